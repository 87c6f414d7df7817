"""Where the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

from rich.console import Console


def out() -> Console:
    """Return the console of stdout, plain where that is no terminal."""
    return Console(highlight=False, markup=False)


def err() -> Console:
    """Return the console of stderr, plain where that is no terminal."""
    return Console(stderr=True, highlight=False, markup=False)


def printable(text: str) -> str:
    """Return text that cannot steer a terminal: control characters but line breaks are shown."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )
