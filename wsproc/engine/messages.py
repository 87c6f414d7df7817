"""The messages between the engine's pool and a worker, and their bytes. Pure.

A message is a JSON array whose first element names it, behind a length of four bytes (big-endian).
A deadline travels as the seconds that are left, since two machines do not share a clock.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import orjson

from wsproc.engine.call import (
    ERRORS,
    Call,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    Item,
    Outcome,
    Result,
)
from wsproc.engine.tally import StageTally

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Load:
    """To a worker, once: build these stages. `stages` maps a name to `StageSettings` as JSON."""

    stages: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Open:
    """To a worker: run a call."""

    call: Call


@dataclass(frozen=True, slots=True)
class Cancel:
    """To a worker: leave a call."""

    call_id: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To a worker: answer between two steps."""

    n: int


@dataclass(frozen=True, slots=True)
class Loading:
    """From a worker: a line of progress while it loads."""

    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: its stages are loaded.

    `stages` maps a name to facts about its model, `samples` to an item to try it with, if it has.
    """

    stages: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, Item]


@dataclass(frozen=True, slots=True)
class Broken:
    """From a worker: it cannot serve, and why."""

    error: EngineError


@dataclass(frozen=True, slots=True)
class Outcomes:
    """From a worker: all outcomes of one step."""

    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Pong:
    """From a worker: the answer to a ping."""

    n: int


@dataclass(frozen=True, slots=True)
class Logged:
    """From a worker: a line for the log of its pool; `level` is that of the module logging,
    `exception` in words, or nothing.
    """

    level: int
    logger: str
    text: str
    exception: str


@dataclass(frozen=True, slots=True)
class Steps:
    """From a worker: what its steps were made of since it last told, by stage."""

    stages: Mapping[str, StageTally]


Message: TypeAlias = (
    Load | Open | Cancel | Ping | Loading | Ready | Broken | Outcomes | Pong | Logged | Steps
)


def pack(message: Message, now: float) -> bytes:
    """Return a message's bytes, its length in front."""
    body = orjson.dumps(_to_json(message, now))
    return _LENGTH.pack(len(body)) + body


def unpack(body: bytes | memoryview, now: float) -> Message:
    """Return the message in a body (without its length)."""
    kind, *values = orjson.loads(body)
    return _FROM_JSON[kind](values, now)


class Unpacker:
    """Bytes in pieces of any size, whole messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes, now: float) -> Iterator[Message]:
        """Yield the messages that are whole by now."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            body = bytes(self._buffer[start + _LENGTH.size : end])
            start = end
            yield unpack(body, now)
        del self._buffer[:start]


def _to_json(message: Message, now: float) -> list[Any]:
    match message:
        case Open(call):
            left = None if call.deadline is None else call.deadline - now
            head = ["open", call.id, call.stage, call.items]
            return [*head, call.owner, call.priority, left, call.alone]
        case Outcomes(outcomes):
            return ["outcomes", [_outcome_to_json(one) for one in outcomes]]
        case Broken(error):
            return ["broken", error.code, error.message]
        case Steps(stages):
            return ["steps", {name: one.as_row() for name, one in stages.items()}]
        case _:
            values = [getattr(message, one.name) for one in fields(message)]
            return [type(message).__name__.lower(), *values]


def _open(values: list[Any], now: float) -> Open:
    call_id, stage, items, owner, priority, left, alone = values
    deadline = None if left is None else now + left
    return Open(Call(call_id, stage, tuple(items), owner, priority, deadline, alone))


def _outcome_to_json(outcome: Outcome) -> list[Any]:
    match outcome:
        case Delta(call, item, value):
            return ["delta", call, item, value]
        case Result(call, item, value):
            return ["result", call, item, value]
        case Failure(call, item, error):
            return ["failure", call, item, error.code, error.message]
        case End(call, reason, queued_ms, run_ms, stop_ms):
            return ["end", call, reason, queued_ms, run_ms, stop_ms]


def _outcome_from_json(values: list[Any]) -> Outcome:
    kind, *rest = values
    match kind:
        case "delta":
            return Delta(*rest)
        case "result":
            return Result(*rest)
        case "failure":
            call, item, code, message = rest
            return Failure(call, item, _error(code, message))
        case _:
            call, reason, *times = rest
            return End(call, EndReason(reason), *times)


def _outcomes(values: list[Any], now: float) -> Outcomes:
    (outcomes,) = values
    return Outcomes([_outcome_from_json(one) for one in outcomes])


def _steps(values: list[Any], now: float) -> Steps:
    (stages,) = values
    return Steps({name: StageTally(*row) for name, row in stages.items()})


def _broken(values: list[Any], now: float) -> Broken:
    return Broken(_error(*values))


def _error(code: str, message: str) -> EngineError:
    return ERRORS.get(code, EngineError)(message)


def _plain(kind: Callable[..., Message]) -> Callable[[list[Any], float], Message]:
    return lambda values, now: kind(*values)


_FROM_JSON: Mapping[str, Callable[[list[Any], float], Message]] = {
    "open": _open,
    "outcomes": _outcomes,
    "broken": _broken,
    "load": _plain(Load),
    "cancel": _plain(Cancel),
    "ping": _plain(Ping),
    "pong": _plain(Pong),
    "loading": _plain(Loading),
    "logged": _plain(Logged),
    "ready": _plain(Ready),
    "steps": _steps,
}
