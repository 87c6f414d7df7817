"""`wsproc token`: a new token, and the line that lets its owner in."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from wsproc.auth.tokens import check_principal, line_of, parse_tokens
from wsproc.cli.exits import ExitCode, fail
from wsproc.cli.terminal import err, out

TOKEN_BYTES = 32
"""256 random bits: nobody guesses them, so their plain hash may be kept."""


def token(
    principal: Annotated[str, typer.Argument(help="Whose token it is: it owns its sessions.")],
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the line to this token file; others stay valid."),
    ] = None,
) -> None:
    """Make a token for somebody. It is printed once; the server keeps its hash alone."""
    try:
        check_principal(principal)
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    made = f"wsp_{secrets.token_urlsafe(TOKEN_BYTES)}"
    line = line_of(principal, made)
    if file is None:
        err().print(
            f"the line for the server's token file (auth.token_file):\n{line}", soft_wrap=True
        )
    else:
        _add(line, file)
        err().print(f"added to {file}; a server that runs reads it again on SIGHUP", soft_wrap=True)
    out().print(made, soft_wrap=True)


def _add(line: str, file: Path) -> None:
    """Append a line to a token file that is in order; only its owner may read a new one."""
    try:
        known = file.read_text(encoding="utf-8") if file.exists() else ""
        parse_tokens(known)
        with os.fdopen(
            os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w"
        ) as open_file:
            open_file.write(("\n" if known and not known.endswith("\n") else "") + line + "\n")
    except ValueError as error:  # a UnicodeDecodeError is one too
        fail(f"--file {file}: this is no token file: {error}", ExitCode.USAGE)
    except OSError as error:
        fail(f"--file {file}: it cannot be written: {error.strerror}", ExitCode.USAGE)
