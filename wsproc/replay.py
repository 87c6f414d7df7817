"""What has left a session, kept for a client that comes back for it: numbered and bounded. Pure.

- A frame gets its `seq` as it comes in here, which is when it leaves, or when nobody is there to
  take it. So merging, replacing and purging what still waits leave no hole.
- Of each job the frames are kept, while it lives and until its result is forgotten; a session's
  frames are bounded in bytes, and so are those of all sessions together.
- A `done` that was sent need not have arrived: it may have been on the way when the connection was
  lost, and only the client knows, who tells it by a `resume`. So the newest are kept for longer.
- Over a bound something is lost, in this order, the oldest first, of several sessions that of the
  one that was silent for longest: frames before a `done`, which has everything; ended jobs whose
  `done` the client has, and those whose `done` was sent, but for the newest; frames of live jobs,
  which a snapshot stands for; the results of those newest, and then results that nobody was there
  for, whose `done` says so from then on (`output_overflow`); these as well.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from wsproc.frames.server import Done, FinalStatus
from wsproc.numbered import FRAME_COST, Fresh, Numbered, overflowed
from wsproc.protocol import with_seq

JOB_COST = 1024
"""What an ended job takes beside its frames; so their number is bounded as well."""

DOUBT_BYTES = 4096
"""For so many bytes of a log's limit one `done` is kept that was sent and may not have arrived. Two
thousand in 8 MiB are more than a socket's buffers hold; without their results they are a third.
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is kept of a job that is over, beside its frames. `at` is in seconds of the session's
    clock; `digest` tells the same submit from another one; `hushed` is whether its client had
    cancelled it.
    """

    task: str
    status: FinalStatus
    digest: bytes
    at: float
    hushed: bool = False


@dataclass(slots=True)
class _JobLog:
    """The frames of one job: `frames` are those from `first` on, its `done` apart."""

    frames: deque[tuple[int, bytes]] = field(default_factory=deque)
    first: int = 1
    last: int = 0
    done: bytes | None = None
    sent: bool = False
    """Whether a connection was sent the `done`."""
    seen: bool = False
    """Whether the client has told that it has the `done`."""


class ReplayLog:
    """The frames of one session's jobs. `limit` is in bytes; `budget` is that of all sessions.

    `unattended` is whether no connection is there: what was last sent to one may not have arrived.
    """

    __slots__ = ("_budget", "_ended", "_jobs", "_stamp", "limit", "size", "unattended")

    def __init__(self, limit: int = 8 << 20, budget: ReplayBudget | None = None) -> None:
        self.limit = limit
        self.size = 0
        self.unattended = False
        self._budget = ReplayBudget() if budget is None else budget
        self._jobs: dict[str, _JobLog] = {}
        self._ended: dict[str, Ended] = {}
        self._stamp = 0

    def __repr__(self) -> str:
        return f"<ReplayLog {len(self._jobs)} jobs, {self.size} of {self.limit} bytes>"

    def __contains__(self, job: str) -> bool:
        return job in self._jobs

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the jobs, in the order of their acceptance."""
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    # --- in -------------------------------------------------------------------------------------

    def append(self, fresh: Fresh, *, sent: bool) -> bytes:
        """Give a frame its number, keep it, and return its message.

        `sent` is whether a connection is sent it now.
        """
        log = self._jobs.setdefault(fresh.job, _JobLog())
        log.last += 1
        message = with_seq(fresh.message, log.last)
        if issubclass(fresh.kind, Done):
            log.done, log.sent = message, sent
            self._grow(len(message) + JOB_COST)
        else:
            self._stamp += 1
            log.frames.append((self._stamp, message))
            self._grow(len(message) + FRAME_COST)
        if log.done is None or fresh.job in self._ended:  # else `end` is still to come
            self._settle()
        return message

    def end(self, job: str, ended: Ended) -> None:
        """Note that a job is over, and may be dropped; its `done` may still be on its way here."""
        self._ended[job] = ended
        self._settle()

    def acknowledge(self, job: str, seq: int) -> None:
        """Note what the client has of a job: its frames up to a number."""
        log = self._jobs.get(job)
        if log is not None and log.done is not None and seq >= log.last:
            log.sent = log.seen = True

    def take_back(self, job: str, first: int) -> None:
        """Unlearn a live job's frames from the number `first` on: they were never sent."""
        log = self._jobs[job]
        if first > log.last:
            return
        while log.frames and log.last >= first:
            self._grow(-(len(log.frames.pop()[1]) + FRAME_COST))
            log.last -= 1
        log.last = first - 1
        log.first = min(log.first, first)

    # --- out ------------------------------------------------------------------------------------

    def last_seq(self, job: str) -> int:
        """Return the number of a job's last numbered frame, 0 for a job that is not known."""
        log = self._jobs.get(job)
        return 0 if log is None else log.last

    def after(self, job: str, seq: int) -> list[Numbered] | None:
        """Return a job's frames behind a number; None where some of them were dropped."""
        log = self._jobs[job]
        if seq >= log.last:
            return []
        if seq + 1 < log.first:
            return None
        kept = islice(log.frames, seq + 1 - log.first, None)
        frames = [Numbered(number, message) for number, (_, message) in enumerate(kept, seq + 1)]
        return frames if log.done is None else [*frames, Numbered(log.last, log.done)]

    def done(self, job: str) -> Numbered | None:
        """Return a job's terminal frame where it has left."""
        log = self._jobs.get(job)
        return None if log is None or log.done is None else Numbered(log.last, log.done)

    def ended(self, job: str) -> Ended | None:
        """Return what is kept of a job that is over; None for a live or an unknown one."""
        return self._ended.get(job)

    @property
    def oldest_end(self) -> float | None:
        """When the first of the ended jobs ended."""
        return next((ended.at for ended in self._ended.values()), None)

    # --- forgetting -----------------------------------------------------------------------------

    def forget(self, until: float) -> None:
        """Forget the jobs that ended by then, those aside whose `done` has not left yet."""
        for job, ended in list(self._ended.items()):
            if ended.at > until:
                return
            if self._jobs[job].done is not None:
                self._drop(job)

    def close(self) -> None:
        """Forget everything, and keep nothing from now on: nobody can come back for it."""
        self.limit = 0
        self._settle()

    def drop_told(self, most: int) -> None:
        """Drop the oldest frames of the jobs whose `done` tells all of it once more."""
        self._drop_frames(most, [log for log in self._jobs.values() if log.done is not None])

    def drop_frames(self, most: int) -> None:
        """Drop the oldest frames of all jobs, but no `done`."""
        self._drop_frames(most, self._jobs.values())

    def _drop_frames(self, most: int, logs: Iterable[_JobLog]) -> None:
        oldest = [(log.frames[0][0], log) for log in logs if log.frames]
        heapq.heapify(oldest)
        while self.size > most and oldest:
            _, log = heapq.heappop(oldest)
            self._grow(-(len(log.frames.popleft()[1]) + FRAME_COST))
            log.first += 1
            if log.frames:
                heapq.heappush(oldest, (log.frames[0][0], log))

    def drop_sent(self, most: int) -> None:
        """Forget ended jobs whose `done` the client has, then those whose `done` was sent, but for
        the newest, which may not have arrived.
        """
        self._drop_sent(most, spared=self.limit // DOUBT_BYTES)

    def drop_arrived(self, most: int) -> None:
        """Forget ended jobs whose `done` was sent, all of them while a connection is there.

        It is for silent sessions: what they were sent has arrived.
        """
        self._drop_sent(most, spared=self.limit // DOUBT_BYTES if self.unattended else 0)

    def _drop_sent(self, most: int, *, spared: int) -> None:
        sent = [(job, log) for job, log in self._ended_with_done() if log.sent]
        seen = [job for job, log in sent if log.seen]
        doubted = [job for job, log in sent if not log.seen]
        for job in (*seen, *doubted[: max(0, len(doubted) - spared)]):
            if self.size <= most:
                return
            self._drop(job)

    def empty_sent(self, most: int) -> None:
        """Replace results that were sent, and may not have arrived, by the news that they are gone.

        How their jobs ended stays as it was: most clients were told.
        """
        for _, log in self._ended_with_done():
            if self.size <= most:
                return
            if log.sent:
                self._empty(log)

    def empty(self, most: int) -> None:
        """Replace results that nobody was there for by the news that they are gone."""
        for job, log in self._ended_with_done():
            if self.size <= most:
                return
            if not log.sent and self._empty(log):
                self._ended[job] = replace(self._ended[job], status="failed")

    def _empty(self, log: _JobLog) -> bool:
        """Replace a `done` by a smaller one that says so; False where it is small already."""
        assert log.done is not None
        smaller = overflowed(log.done)
        if len(smaller) >= len(log.done):
            return False
        self._grow(len(smaller) - len(log.done))
        log.done = smaller
        return True

    def drop_ended(self, most: int) -> None:
        """Forget ended jobs, those first whose `done` was sent."""
        ends = sorted(self._ended_with_done(), key=lambda one: not one[1].sent)
        for job, _ in ends:
            if self.size <= most:
                return
            self._drop(job)

    def _ended_with_done(self) -> Iterator[tuple[str, _JobLog]]:
        """Yield the ended jobs whose end has left, in the order of their ends."""
        for job in list(self._ended):
            log = self._jobs[job]
            if log.done is not None:
                yield job, log

    def _drop(self, job: str) -> None:
        log = self._jobs.pop(job)
        del self._ended[job]
        done = 0 if log.done is None else len(log.done) + JOB_COST
        self._grow(-done - sum(len(message) + FRAME_COST for _, message in log.frames))

    def _grow(self, amount: int) -> None:
        self.size += amount
        self._budget.note(self, amount)

    def _settle(self) -> None:
        """Keep to the bounds: this log's, and that of all together."""
        for step in STEPS:
            if self.size > self.limit:
                step(self, _goal(step, self.limit))
        self._budget.settle()


Step = Callable[[ReplayLog, int], None]

STEPS: tuple[Step, ...] = (
    ReplayLog.drop_told,
    ReplayLog.drop_sent,
    ReplayLog.drop_frames,
    ReplayLog.empty_sent,
    ReplayLog.empty,
    ReplayLog.drop_ended,
)
"""What is lost first, second, and last."""

STEPS_OF_ALL: tuple[Step, ...] = (STEPS[0], ReplayLog.drop_arrived, *STEPS[2:])
"""The same where it is lost for another session, the silent ones first."""


class ReplayBudget:
    """The bytes that the logs of all sessions may take together."""

    def __init__(self, limit: int = 256 << 20) -> None:
        self.limit = limit
        self.size = 0
        self._logs: OrderedDict[ReplayLog, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<ReplayBudget {len(self._logs)} logs, {self.size} of {self.limit} bytes>"

    def note(self, log: ReplayLog, amount: int) -> None:
        """Count what a log has grown by."""
        self.size += amount
        if log.size == 0:
            self._logs.pop(log, None)
        elif amount > 0:
            self._logs[log] = None
            self._logs.move_to_end(log)

    def settle(self) -> None:
        """Let the silent logs give if there is too much in all."""
        for step in STEPS_OF_ALL:
            if self.size <= self.limit:
                return
            goal = _goal(step, self.limit)
            for log in list(self._logs):
                if self.size > goal:
                    step(log, max(0, log.size - (self.size - goal)))


def _goal(step: Step, limit: int) -> int:
    """Return how far to go: an eighth further, so that not every frame has to, but not for results
    that nobody has had.
    """
    return limit if step in (ReplayLog.empty, ReplayLog.drop_ended) else limit - limit // 8
