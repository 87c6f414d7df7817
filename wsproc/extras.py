"""Parts whose libraries are installed only on request, `pip install 'wsproc[NAME]'`."""

from __future__ import annotations


class MissingExtra(ImportError):
    """A setting asks for an optional part whose libraries are not installed."""


def missing(part: str, extra: str, error: ModuleNotFoundError) -> MissingExtra:
    """Say which library a part of ours lacks, and how to get it."""
    return MissingExtra(
        f"{part} needs {error.name}, which is not installed: pip install 'wsproc[{extra}]'"
    )
