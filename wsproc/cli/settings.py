"""Flags of the form NAME=VALUE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wsproc.cli.exits import ExitCode, fail
from wsproc.engine.config import STAGE_KEYS
from wsproc.sources import word_or_json


def parse_pairs(flag: str, values: Iterable[str]) -> dict[str, str]:
    """Return NAME=VALUE arguments as a mapping; leave with a sentence for anything else."""
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            fail(f"{flag} {value}: write it as NAME=VALUE", ExitCode.USAGE)
        pairs[name] = rest
    return pairs


def parse_options(flag: str, values: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return STAGE.KEY=VALUE arguments by stage; a value is JSON, or else a plain word."""
    options: dict[str, dict[str, Any]] = {}
    for path, value in parse_pairs(flag, values).items():
        stage, dot, key = path.partition(".")
        if not (stage and dot and key in STAGE_KEYS):
            known = ", ".join(STAGE_KEYS)
            fail(f"{flag} {path}: write it as STAGE.KEY=VALUE; keys are {known}", ExitCode.USAGE)
        options.setdefault(stage, {})[key] = read = word_or_json(value)
        if key == "options" and not isinstance(read, dict):
            fail(f"{flag} {path}: give a JSON object", ExitCode.USAGE)
    return options
