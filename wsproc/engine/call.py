"""What crosses the seam to a worker: a call goes in, a stream of outcomes comes out.

Rules that hold here and nowhere else:

- A call is one stage's name, its items and how urgent they are. Items are pure: the same item gives
  the same outcome on any worker, so a call may be run again after a worker's death.
- Each item ends with exactly one `Result` or `Failure`; any number of `Delta`s come before it.
- Each call ends with exactly one `End`, its last outcome, whatever happened to its items. An `End`
  whose reason is not `COMPLETED` may come with items that have neither result nor failure.

This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

Item: TypeAlias = Mapping[str, Any]
"""The JSON object that a stage reads, such as `{"text": "..."}`; each stage documents its keys."""

Value: TypeAlias = Mapping[str, Any]
"""The JSON object that a stage gives back, for a delta or for a result."""

DEFAULT_PRIORITY = 5

RESUME = "resume"
"""A key for stages whose runs can go on where another broke off, which saves doing it all again.

A delta that has it says what its stage needs for that. It stays in the engine; after the worker's
death the item comes again with a list of what all deltas so far said under the same key, and the
stage gives what follows behind them.
"""


class EndReason(StrEnum):
    """Why a call ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Call:
    """Work for one stage on behalf of one owner.

    `owner` is who shares fairly (a connection, a principal); `priority` runs from 0 to 9, 9 first;
    `deadline` is on the clock that the scheduler is given as `now`, in seconds, or None. Items of a
    call that is to run `alone` share no step with others: one of them may have ended a worker.
    """

    id: int
    stage: str
    items: tuple[Item, ...]
    owner: str = ""
    priority: int = DEFAULT_PRIORITY
    deadline: float | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """A part of an item's result, as soon as it exists."""

    call: int
    item: int
    value: Value


@dataclass(frozen=True, slots=True)
class Result:
    """The whole result of an item; nothing of that item follows."""

    call: int
    item: int
    value: Value


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that failed, alone; nothing of that item follows."""

    call: int
    item: int
    error: EngineError


@dataclass(frozen=True, slots=True)
class End:
    """The last outcome of a call.

    `queued_ms` is from the call's arrival at the worker to its first step (or its end, if it never
    ran); `run_ms` from that first step to the end, both by the worker's clock. `stop_ms`, None when
    nobody cancelled, is the engine's own measure from the cancel to the moment it knew that the
    device was free of the call: from call to end in the pool, the way to the worker and back
    included, since that is what its caller waits for.
    """

    call: int
    reason: EndReason
    queued_ms: float
    run_ms: float
    stop_ms: float | None = None


Outcome: TypeAlias = Delta | Result | Failure | End


class EngineError(Exception):
    """Base of what the engine raises and reports.

    EngineError                 engine_error        the stage raised; details are in the log
    ├── InvalidItem             invalid_field       the item cannot be read by its stage
    ├── OutOfMemory             out_of_memory       the item alone does not fit the device
    ├── DeadlineExceeded        deadline_exceeded   its deadline passed before it was finished
    ├── ModelUnavailable        model_unavailable   the stage is not loaded, or its worker is down
    └── WorkerLost              lost                its worker died and the work was not run again
    """

    code: ClassVar[str] = "engine_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    def __hash__(self) -> int:
        return hash((type(self), self.message))


class InvalidItem(EngineError):
    """The item cannot be read by its stage."""

    code = "invalid_field"


class OutOfMemory(EngineError):
    """The item alone does not fit the device's memory."""

    code = "out_of_memory"


class DeadlineExceeded(EngineError):
    """The item's deadline passed before it was finished."""

    code = "deadline_exceeded"


class ModelUnavailable(EngineError):
    """The stage has no model loaded, or its worker is down."""

    code = "model_unavailable"
    retryable = True


class WorkerLost(EngineError):
    """The worker died with the item and it was not run again."""

    code = "lost"
    retryable = True


ERRORS: Mapping[str, type[EngineError]] = {
    kind.code: kind
    for kind in (
        EngineError,
        InvalidItem,
        OutOfMemory,
        DeadlineExceeded,
        ModelUnavailable,
        WorkerLost,
    )
}
