"""What waits to be sent to one client: bounded, and fair between its jobs. Pure.

Delivery classes, by the frame's type:

- control frames (welcome, accepted, rejected, reply, error, pong, goaway) leave first, in order;
- `done` and the statuses that carry a result are never dropped;
- tokens of one job that wait beside each other are merged once the outbox is over its limit;
- a bare progress (`summarization_progress`, the summary so far) is replaced by a newer one;
- a purge takes a job's waiting statuses and tokens, never its `accepted` or `done`; a later
  revision of a live job's text takes the statuses of earlier ones.

A job's frame has no number here: it gets it as it leaves. What is sent again has one already.

Messages wait as bytes, and each counts with what it takes beside its JSON. The frame of a `pong` is
twenty times as large as its message, so a bound in JSON alone would be none in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import orjson

from wsproc.frames.server import JobFrame, ServerFrame, Status, SummarizationProgress, Token
from wsproc.numbered import FRAME_COST, Fresh, Numbered
from wsproc.protocol import encode, mark_replayed

ANSWER_COST = 48
"""What a waiting answer takes beside its bytes, measured; a job's frame takes `FRAME_COST`."""

REPLACEABLE = (SummarizationProgress,)
PURGEABLE = (Status, Token)


def is_stale(revision: int | None, current: int) -> bool:
    """Whether a status of that revision is about a text that is no longer the one."""
    return revision is not None and revision < current


@dataclass(frozen=True, slots=True)
class _Again:
    """A frame that has its number. `sent` is whether this client was sent it before."""

    numbered: Numbered
    sent: bool

    @property
    def message(self) -> bytes:
        return self.numbered.message


_Waiting = Fresh | _Again


class Outbox:
    """The frames that wait for one client.

    `limit` and `size` are in bytes. Nothing is refused over the limit (results must not be lost):
    producers are expected to ask `congested` before they make more.
    """

    __slots__ = ("_control", "_control_size", "_jobs", "limit", "size")

    def __init__(self, limit: int = 1 << 20) -> None:
        self.limit = limit
        self.size = 0
        self._control_size = 0
        self._control: deque[bytes] | None = None  # most of the time nothing waits: no memory
        self._jobs: dict[str, deque[_Waiting]] = {}  # the first is the next to send

    def __len__(self) -> int:
        return len(self._control or ()) + sum(map(len, self._jobs.values()))

    def __repr__(self) -> str:
        return f"<Outbox {len(self)} frames, {self.size} of {self.limit} bytes>"

    @property
    def congested(self) -> bool:
        """Whether producers should pause."""
        return self.size >= self.limit

    @property
    def overfull(self) -> bool:
        """Whether no further job should be taken: producers paused long ago, and what waits are the
        ends of jobs, which nothing holds back.
        """
        return self.size >= 2 * self.limit

    @property
    def flooded(self) -> bool:
        """Whether answers alone fill it: the client asks on and on and reads nothing.

        One answer alone may be of any size.
        """
        return self._control_size >= self.limit and len(self._control or ()) > 1

    # --- in -------------------------------------------------------------------------------------

    def answer(self, frame: ServerFrame) -> None:
        """Queue a control frame."""
        self.put_first(encode(frame))

    def put_first(self, message: bytes) -> None:
        """Queue the message of a control frame, or of an `accepted` that has its number."""
        if self._control is None:
            self._control = deque()
        self._control.append(message)
        self._control_size += len(message) + ANSWER_COST
        self.size += len(message) + ANSWER_COST

    def put(self, frame: JobFrame) -> None:
        """Queue a frame of a job by its class.

        Raises TypeError for one that cannot be written as JSON; nothing is changed then.
        """
        waiting = self._queue(frame.id)
        last = waiting[-1] if waiting else None
        before = last if isinstance(last, Fresh) and last.kind is type(frame) else None
        if before is not None and isinstance(frame, Token) and self.congested:
            text = orjson.loads(before.message)["text"] + frame.text
            self._replace_last(waiting, Token(id=frame.id, text=text))
        elif before is not None and isinstance(frame, REPLACEABLE):
            self._replace_last(waiting, frame)
        else:
            self._append(waiting, Fresh.of(frame))
        self._keep(frame.id, waiting)

    def replay(self, job: str, frames: Iterable[Numbered], sent: int = 0) -> None:
        """Queue frames of a job that are sent again; the connection has had those up to `sent`."""
        waiting = self._queue(job)
        for one in frames:
            self._append(waiting, _Again(one, one.seq is None or one.seq <= sent))
        self._keep(job, waiting)

    # --- out ------------------------------------------------------------------------------------

    def pop(self) -> bytes | Fresh | None:
        """Take the next message, or the next frame, which is to be given its number.

        Control first, then the jobs in turn; None when nothing waits.
        """
        if self._control:
            return self._pop_control(self._control)
        if not self._jobs:
            return None
        first = self._pop_of_job()
        return first if isinstance(first, Fresh) else mark_replayed(first.message)

    def _pop_of_job(self) -> _Waiting:
        job, waiting = next(iter(self._jobs.items()))
        first = waiting.popleft()
        self.size -= _cost(first.message)
        del self._jobs[job]
        self._keep(job, waiting)
        return first

    def purge(self, job: str) -> int | None:
        """Drop a live job's waiting statuses and tokens.

        Returns the first number that the connection was to be sent and now is not; None where there
        is none.
        """
        first = next((seq for seq in _unsent(self._jobs.get(job, ())) if seq > 1), None)
        self._drop(job, _is_purgeable)
        return first

    def supersede(self, job: str, current: int) -> None:
        """Drop a job's waiting statuses that are about an earlier revision of its text."""
        self._drop(job, lambda one: isinstance(one, Fresh) and is_stale(one.revision, current))

    def _drop(self, job: str, unwanted: Callable[[_Waiting], bool]) -> None:
        waiting = self._jobs.pop(job, deque())
        kept = deque(one for one in waiting if not unwanted(one))
        self.size -= _sum(waiting) - _sum(kept)
        self._keep(job, kept)

    def sent(self, job: str, last: int) -> int:
        """Return up to which number a job's frames were sent, `last` where none waits."""
        return next(_unsent(self._jobs.get(job, ())), last + 1) - 1

    def take_fresh(self) -> list[Fresh]:
        """Take the frames of all jobs out, those of each in their order; control frames stay.

        What was to be sent again is dropped: it is in the log.
        """
        queues = self._jobs.values()
        fresh = [one for waiting in queues for one in waiting if isinstance(one, Fresh)]
        self._jobs = {}
        self.size = self._control_size
        return fresh

    def take_control(self) -> list[bytes]:
        """Take the messages of the control frames out."""
        answers = list(self._control or ())
        self._control = None
        self.size -= self._control_size
        self._control_size = 0
        return answers

    def holds(self, job: str) -> bool:
        """Whether a frame of a job waits, its `accepted` aside."""
        return job in self._jobs

    # --- queues ---------------------------------------------------------------------------------

    def _queue(self, job: str) -> deque[_Waiting]:
        return self._jobs.get(job) or deque()

    def _keep(self, job: str, waiting: deque[_Waiting]) -> None:
        if waiting:
            self._jobs[job] = waiting

    def _pop_control(self, control: deque[bytes]) -> bytes:
        first = control.popleft()
        self._control = control or None
        self._control_size -= len(first) + ANSWER_COST
        self.size -= len(first) + ANSWER_COST
        return first

    def _append(self, waiting: deque[_Waiting], one: _Waiting) -> None:
        waiting.append(one)
        self.size += _cost(one.message)

    def _replace_last(self, waiting: deque[_Waiting], frame: JobFrame) -> None:
        newer = Fresh.of(frame)
        self.size += len(newer.message) - len(waiting[-1].message)
        waiting[-1] = newer


def _unsent(waiting: Iterable[_Waiting]) -> Iterator[int]:
    """Yield the numbers in a queue that the connection has not been sent, the lowest first."""
    for one in waiting:
        if isinstance(one, _Again) and not one.sent and one.numbered.seq is not None:
            yield one.numbered.seq


def _is_purgeable(one: _Waiting) -> bool:
    """Whether a cancel takes it: only live jobs are purged, and `accepted` is always number 1."""
    if isinstance(one, Fresh):
        return issubclass(one.kind, PURGEABLE)
    return one.numbered.seq != 1


def _cost(message: bytes) -> int:
    return len(message) + FRAME_COST


def _sum(waiting: Iterable[_Waiting]) -> int:
    return sum(_cost(one.message) for one in waiting)
