"""Exit codes, and the one way out of a command that went wrong: a sentence on stderr."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

import typer

from wsproc.cli.terminal import err


class ExitCode(IntEnum):
    """What the command line ends with; 2 is also what a wrong flag gives."""

    JOB = 1
    USAGE = 2
    CONNECTION = 3
    MODEL = 4
    ADDRESS = 5
    INTERRUPTED = 130


def fail(message: str, code: ExitCode) -> NoReturn:
    """Say what is wrong on stderr and leave."""
    err().print(f"wsproc: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
