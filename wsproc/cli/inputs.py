"""The texts that a command is given: files, stdin, or the argument itself."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from wsproc.cli.exits import ExitCode, fail


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the name that it goes by: its file's, or `-` for stdin."""

    name: str
    text: str


def read_sources(names: Iterable[str]) -> list[Source]:
    """Return the texts of files, of patterns such as `mails/**/*.txt`, and of stdin for `-`.

    Leaves with a sentence where one cannot be read or a pattern matches no file.
    """
    return [Source(file, read_text(file)) for name in names for file in _files(name)]


def _files(name: str) -> list[str]:
    """Return the files that a pattern stands for, in order; a file of that very name goes first."""
    if name == "-" or Path(name).exists() or not glob.has_magic(name):
        return [name]
    found = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())
    if not found:
        fail(f"{name} matches no file", ExitCode.USAGE)
    return found


def read_text(file: str) -> str:
    """Return the text of a file, or of stdin for `-`; leave with a sentence where there is none."""
    if file == "-":
        return _from_stdin()
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8 text", ExitCode.USAGE)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE)


def example_article() -> str:
    """Return the article that ships with the command line; it is invented."""
    return files("wsproc").joinpath("cli", "article.txt").read_text(encoding="utf-8")


def read_prompt(prompt: str) -> str:
    """Return the prompt, or stdin's text for `-` without its last line break."""
    return _from_stdin().removesuffix("\n") if prompt == "-" else prompt


def parse_meta(meta: str | None) -> dict[str, Any]:
    """Return the `meta` field as its JSON says, or nothing."""
    if meta is None:
        return {}
    try:
        return {"meta": json.loads(meta)}
    except json.JSONDecodeError as error:
        fail(f"--meta: not JSON ({error}); quote it for the shell", ExitCode.USAGE)


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given, so that the server's defaults hold for the others."""
    return {name: value for name, value in fields.items() if value is not None}


def _from_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        fail("stdin is not UTF-8 text", ExitCode.USAGE)
