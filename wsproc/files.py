"""Files that settings name, and what is said when one of them cannot be used."""

from __future__ import annotations

from pathlib import Path


class BadFile(Exception):
    """A file that a setting names cannot be used; the message is one sentence with the mend."""


def read_text(setting: str, file: Path) -> str:
    """Return a file's text; raises `BadFile` that names the setting and the file."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{setting}: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFile(f"{setting}: {file} is no text in UTF-8") from None
