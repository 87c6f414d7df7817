"""Where the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class Steady(Console):
    """A console whose reader may go away; what is printed then is lost, and nothing else happens.

    Other commands end when nobody reads them; a server has others to serve.
    """

    def on_broken_pipe(self) -> None:
        """Print no more; what is in buffers goes nowhere, and so the exit code stays."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def out(kind: type[Console] = Console) -> Console:
    """Return the console of stdout, plain where that is no terminal."""
    return kind(highlight=False, markup=False)


def err(kind: type[Console] = Console) -> Console:
    """Return the console of stderr, plain where that is no terminal."""
    return kind(stderr=True, highlight=False, markup=False)


def claim_standard_streams() -> None:
    """Put /dev/null where a standard stream was closed before we were started.

    Otherwise the next socket would get its number, and whatever a library writes there would be
    sent to a client.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115 # for as long as the process lives


def printable(text: str) -> str:
    """Return text that cannot steer a terminal: control characters but line breaks are shown."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )
