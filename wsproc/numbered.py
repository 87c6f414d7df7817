"""A job's frame as a message, before and after it has its number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from wsproc.frames.errors import ErrorCode, error_info
from wsproc.frames.server import Failed, JobFrame, Status
from wsproc.protocol import encode

FRAME_COST = 160
"""What a frame that is kept or waits takes beside its bytes: the objects around it, measured."""


def revision_of(frame: JobFrame) -> int | None:
    """Return which text of a live job a status is about, None where it tells none."""
    return frame.revision if isinstance(frame, Status) else None


@dataclass(frozen=True, slots=True)
class Fresh:
    """A job's frame that is still to be numbered: its message with the number 0, and what has to be
    known of it. `revision` is that of the text that a status is about, where it tells one.
    """

    job: str
    kind: type[JobFrame]
    message: bytes
    revision: int | None = None

    @classmethod
    def of(cls, frame: JobFrame) -> Fresh:
        """Encode a frame; raise TypeError for one that cannot be written as JSON."""
        return cls(frame.id, type(frame), encode(frame, 0), revision_of(frame))


@dataclass(frozen=True, slots=True)
class Numbered:
    """A frame that has its number. `seq` is None for a snapshot, which has no place in the log."""

    seq: int | None
    message: bytes


def overflowed(done: bytes) -> bytes:
    """Return a `done` that says that the result of this one is gone."""
    told = orjson.loads(done)
    kept = {name: told[name] for name in ("id", "usage", "timing_ms", "meta") if name in told}
    message = "the result was dropped: too much was kept for a client that was not there"
    error = error_info(ErrorCode.OUTPUT_OVERFLOW, message)
    return encode(Failed.model_validate({**kept, "error": error}), told["seq"])
