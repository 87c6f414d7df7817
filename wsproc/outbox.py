"""What waits to be sent to one client: bounded, fair between jobs, numbered as it leaves. Pure.

Delivery classes, by the frame's type:

- control frames (welcome, accepted, rejected, reply, error, pong, goaway) leave first, in order;
- `done` and the statuses that carry a result are never dropped;
- tokens of one job that wait beside each other are merged once the outbox is over its limit;
- a bare progress (`summarization_progress`, the summary so far) is replaced by a newer one;
- a purge takes a job's waiting statuses and tokens, never its `accepted` or `done`; a later
  revision of a live job's text takes the statuses of earlier ones.

`seq` is given when a frame leaves, so merging, replacing and purging leave no hole.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from wsproc.frames.server import (
    Accepted,
    Done,
    JobFrame,
    ServerFrame,
    Status,
    SummarizationProgress,
    Token,
)
from wsproc.protocol import encode

REPLACEABLE = (SummarizationProgress,)
PURGEABLE = (Status, Token)


def is_stale(frame: ServerFrame, revision: int) -> bool:
    """Whether a frame is a status of a text that is no longer the one."""
    return isinstance(frame, Status) and frame.revision is not None and frame.revision < revision


@dataclass(slots=True)
class _Waiting:
    frame: ServerFrame
    size: int


class Outbox:
    """The frames that wait for one client.

    `limit` is in bytes of JSON. Nothing is refused over it (results must not be lost): producers
    are expected to ask `congested` before they make more.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self.limit = limit
        self.size = 0
        self._control_size = 0
        self._control: deque[_Waiting] = deque()
        self._jobs: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._last_seq: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._control) + sum(map(len, self._jobs.values()))

    def __repr__(self) -> str:
        return f"<Outbox {len(self)} frames, {self.size} of {self.limit} bytes>"

    @property
    def congested(self) -> bool:
        """Whether producers should pause."""
        return self.size >= self.limit

    @property
    def flooded(self) -> bool:
        """Whether answers alone fill it: the client asks on and on and reads nothing."""
        return self._control_size >= self.limit

    def put(self, frame: ServerFrame) -> None:
        """Queue a frame by its class.

        Raises TypeError for one that cannot be written as JSON; nothing is changed then.
        """
        if isinstance(frame, JobFrame) and not isinstance(frame, Accepted):
            self._put_of_job(frame)
        else:
            self._append(self._control, frame)
            self._control_size += self._control[-1].size

    def purge(self, job: str) -> None:
        """Drop a job's waiting statuses and tokens."""
        self._drop(job, lambda frame: isinstance(frame, PURGEABLE))

    def supersede(self, job: str, revision: int) -> None:
        """Drop a job's waiting statuses that are about an earlier revision of its text."""
        self._drop(job, lambda frame: is_stale(frame, revision))

    def _drop(self, job: str, unwanted: Callable[[ServerFrame], bool]) -> None:
        waiting = self._jobs.get(job)
        if waiting is None:
            return
        kept = deque(one for one in waiting if not unwanted(one.frame))
        self.size -= sum(one.size for one in waiting) - sum(one.size for one in kept)
        if kept:
            self._jobs[job] = kept
        else:
            del self._jobs[job]

    def pop(self) -> bytes | None:
        """Take the next message, numbered; None when nothing waits."""
        frame = self.take()
        return None if frame is None else self._numbered(frame)

    def take(self) -> ServerFrame | None:
        """Take the next frame: control first, then the jobs in turn; None when nothing waits."""
        if self._control:
            first = self._control.popleft()
            self._control_size -= first.size
            return self._leave(first)
        if not self._jobs:
            return None
        job, waiting = next(iter(self._jobs.items()))
        first = waiting.popleft()
        if waiting:
            self._jobs.move_to_end(job)
        else:
            del self._jobs[job]
        return self._leave(first)

    def holds(self, job: str) -> bool:
        """Whether a frame of a job waits, its `accepted` aside."""
        return job in self._jobs

    def last_seq(self, job: str) -> int:
        """Return the number of a live job's last frame that left, 0 before the first."""
        return self._last_seq.get(job, 0)

    def _put_of_job(self, frame: JobFrame) -> None:
        waiting = self._jobs.get(frame.id, deque())
        last = waiting[-1].frame if waiting else None
        if isinstance(frame, Token) and isinstance(last, Token) and self.congested:
            self._replace_last(waiting, Token(id=frame.id, text=last.text + frame.text))
        elif isinstance(frame, REPLACEABLE) and isinstance(last, type(frame)):
            self._replace_last(waiting, frame)
        else:
            self._append(waiting, frame)
        self._jobs.setdefault(frame.id, waiting)

    def _append(self, waiting: deque[_Waiting], frame: ServerFrame) -> None:
        size = len(encode(frame))
        waiting.append(_Waiting(frame, size))
        self.size += size

    def _replace_last(self, waiting: deque[_Waiting], frame: ServerFrame) -> None:
        self._append(waiting, frame)
        self.size -= waiting[-2].size
        del waiting[-2]

    def _leave(self, one: _Waiting) -> ServerFrame:
        self.size -= one.size
        return one.frame

    def _numbered(self, frame: ServerFrame) -> bytes:
        if not isinstance(frame, JobFrame):
            return encode(frame)
        seq = self._last_seq.get(frame.id, 0) + 1
        if isinstance(frame, Done):
            self._last_seq.pop(frame.id, None)
        else:
            self._last_seq[frame.id] = seq
        return encode(frame, seq)
