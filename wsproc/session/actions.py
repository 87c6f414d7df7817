"""What a session asks of the shell around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsproc.frames.errors import CloseCode
from wsproc.job import Job


@dataclass(frozen=True, slots=True)
class Start:
    """Run this job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop this job; its end is still to be reported by `finish`."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Give a job more text, or another text where it is to `replace` what there is."""

    job_id: str
    text: str
    replace: bool
    revision: int
    final: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once the outbox is empty."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Give the connection another session, an earlier one, in place of this one without a job.

    `after` maps a job's id to the last seq that the client has seen of it.
    """

    token: str
    after: Mapping[str, int]


JobAction = Start | Stop | Feed
"""What is done to jobs; the others are for the connection."""

Action = JobAction | Close | TakeUp
