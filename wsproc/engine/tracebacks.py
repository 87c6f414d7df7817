"""Exceptions for logs: where they were raised, but not what they quote. Pure.

The message of an exception of a model or a task may hold a piece of the text that it failed on, and
local variables do. So neither is written, but the messages of the system's own errors and of ours.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from wsproc.engine.call import EngineError

QUOTING_NOTHING = (EngineError, OSError, ImportError, AssertionError)
"""Exceptions whose messages are written by us, by the system or by whoever wrote the code."""

WITHHELD = "(message withheld, it may quote a text; the level debug shows it)"


def describe(error: BaseException, *, quoting: bool = False) -> str:
    """Return an exception with its frames, its causes and its group; all messages if `quoting`."""
    return "\n".join(_lines(error, quoting, set()))


def _lines(error: BaseException, quoting: bool, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, quoting, seen)
        yield "which led to:"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
    yield f"{_name(error)}: {_message(error, quoting)}".removesuffix(": ")
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(inner) not in seen:
            yield "of which one is:"
            yield from _lines(inner, quoting, seen)


def _name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _message(error: BaseException, quoting: bool) -> str:
    if not error.args or quoting or isinstance(error, QUOTING_NOTHING):
        return str(error)
    return WITHHELD
