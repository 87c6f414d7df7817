"""What happens in a server, as frozen records, and who reads along: logs, metrics, traces. Pure.

Whoever sees something happen tells it once, by calling the one `Reader` that it was given; what is
made of it is the readers' business. A record says what an operator may know: never a text, a token
or a session's secret, only the session's `label`. Sizes are characters or bytes as named, times are
seconds and end in `_s`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

FAULTS = ("internal", "engine_error", "out_of_memory", "lost")
"""Outcomes of jobs that are ours to mend: not a client's doing, and not a lack of room or time."""

logger = logging.getLogger("wsproc.events")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end.

    `connection` counts the sockets since the start, and requests over plain HTTP like them;
    `address` is the peer's, `origin` the header of a page, `principal` who a token named.
    """

    connection: int = 0
    address: str = ""
    origin: str | None = None
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class HandshakeRefused:
    """A client was not let in: `code` is a close code or an HTTP status."""

    peer: Peer
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A client was let in."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection is over. `code` is the close code, 1006 where the socket was just gone."""

    peer: Peer
    code: int
    reason: str
    seconds: float
    frames_in: int
    frames_out: int


@dataclass(frozen=True, slots=True)
class PeerStalled:
    """A client read nothing for so long that it is cut off."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Answered:
    """A request over plain HTTP is over; `path` is its endpoint, or `other` where there is none.

    `status` is 499 where the client left before it was answered.
    """

    peer: Peer
    path: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ResumeAnswered:
    """A client came back for a session; `session` is its label, None where it is not to be had."""

    outcome: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class FrameRefused:
    """A message was answered with `error`."""

    code: str


@dataclass(frozen=True, slots=True)
class JobRejected:
    """A submit was answered with `rejected`."""

    code: str


@dataclass(frozen=True, slots=True)
class JobAccepted:
    """A submit was taken."""

    task: str


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job is over.

    `outcome` is `completed`, `cancelled` or the code of the error; `reason` why it was cancelled;
    `characters` and `inputs` its size; `stop_s` how long it took to free the device of it.
    `traceparent` is the span that its client sent along, as W3C Trace Context writes it.
    """

    session: str
    job: str
    task: str
    outcome: str
    inputs: int
    characters: int
    queued_s: float
    run_s: float
    stop_s: float | None = None
    reason: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerProbed:
    """A worker was given an item of ours; `error` says why it is not finished, None if it is."""

    worker: str
    took_s: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """`/healthz` answers otherwise from now on; without `reasons` all is well."""

    reasons: tuple[str, ...]


Event = (
    HandshakeRefused
    | Connected
    | Disconnected
    | PeerStalled
    | Answered
    | ResumeAnswered
    | FrameRefused
    | JobRejected
    | JobAccepted
    | JobEnded
    | WorkerProbed
    | HealthChanged
)


class Reader(Protocol):
    """Is told of everything that happens, on the event loop: it must not wait."""

    def __call__(self, event: Event, /) -> None:
        """Make of it whatever the reader is for."""
        ...


class Readers:
    """Tells several readers; one that raises disturbs neither the others nor what happens."""

    def __init__(self, readers: Iterable[Reader] = ()) -> None:
        self._readers = tuple(readers)

    def __call__(self, event: Event, /) -> None:
        """Tell them all."""
        for reader in self._readers:
            try:
                reader(event)
            except Exception:
                logger.exception("a reader of events failed on %s", type(event).__name__)


def nobody(event: Event, /) -> None:
    """Read nothing."""


def label(secret: str) -> str:
    """Return a short name for a secret, for logs; it cannot be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]
