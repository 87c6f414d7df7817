"""One job's life as a table: what is not in it is a defect of ours and raises.

    queued ──begin──> running ──end──> done
      │ │                │               ^
      │ └──────end───────┼───────────────┤
      └─────stop──> cancelling ────end───┘
                        ^
    running ──stop──────┘

`stop` is a cancel, a deadline, input that does not come, a disconnect or a shutdown; the first one
gives the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wsproc.frames.client import Submit
from wsproc.intake import Intake


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"


class JobEvent(StrEnum):
    """What moves a job on."""

    BEGIN = "begin"
    STOP = "stop"
    END = "end"


class StopReason(StrEnum):
    """Why a job was stopped before its end."""

    CLIENT = "client"
    DISCONNECT = "disconnect"
    SHUTDOWN = "shutdown"
    DEADLINE = "deadline"
    INPUT_TIMEOUT = "input_timeout"


TRANSITIONS: dict[tuple[JobState, JobEvent], JobState] = {
    (JobState.QUEUED, JobEvent.BEGIN): JobState.RUNNING,
    (JobState.QUEUED, JobEvent.STOP): JobState.CANCELLING,
    (JobState.QUEUED, JobEvent.END): JobState.DONE,
    (JobState.RUNNING, JobEvent.STOP): JobState.CANCELLING,
    (JobState.RUNNING, JobEvent.END): JobState.DONE,
    (JobState.CANCELLING, JobEvent.END): JobState.DONE,
}


class IllegalTransition(AssertionError):
    """An event came to a job in a state that does not know it."""


@dataclass(slots=True)
class Job:
    """One accepted job. Times are seconds on the session's clock; `intake` is what has come in of
    one whose input goes on after the submit; `digest` tells the same submit from another one;
    `partial` is what its task has finished so far, a JSON object.
    """

    id: str
    request: Submit
    accepted_at: float
    digest: bytes = b""
    partial: dict[str, Any] = field(default_factory=dict)
    state: JobState = JobState.QUEUED
    stop_reason: StopReason | None = None
    intake: Intake | None = None

    @property
    def deadline(self) -> float | None:
        """When the job must be over, or None."""
        timeout_ms = self.request.timeout_ms
        return None if timeout_ms is None else self.accepted_at + timeout_ms / 1000

    @property
    def is_hushed(self) -> bool:
        """Whether its client has cancelled it, and is told of its end and nothing else."""
        return self.state is JobState.CANCELLING and self.stop_reason is StopReason.CLIENT

    def apply(self, event: JobEvent) -> None:
        """Move on, or raise `IllegalTransition` and stay as it is."""
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise IllegalTransition(f"job {self.id!r} is {self.state}: {event} is not possible")
        self.state = state
