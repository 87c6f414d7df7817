"""Who may come in, who waits and where: the jobs of all sessions of one server, counted. Pure.

A job waits from its acceptance to its first work on a device. Positions count the waiting jobs that
are to start earlier: those of a higher priority, and the older ones of its own. A job that would
wait for too long is refused before it is accepted, when that is still cheap for both sides; what
was accepted is not given up for having waited.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field

from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.pace import Pace
from wsproc.queue_time import QueueTime, Ran

JobKey = tuple[str, str]
"""(session, job id): unique in a server. The session is the owner, which shares fairly."""

LEVELS = 10
"""Priorities run from 0 to 9."""

UNKNOWN_RETRY_S = 1.0
"""When to come again, where nothing was measured yet."""

LONGEST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a live job stands. `ticket` orders those of one priority; `crowd` is how many jobs were
    live when it came; `number` is its place in the lane, 0 where it never waited.
    """

    priority: int
    kind: Hashable
    crowd: int
    ticket: int
    number: int

    @property
    def lane(self) -> Hashable:
        """Whose waiting is measured together."""
        return self.kind, self.priority


@dataclass
class Admission:
    """Counts the jobs of a server against its limits: `max_jobs` in all, and `max_queue_s` of
    waiting, 0 for no such limit; `pace` is their speed. Times are seconds on any one steady clock.
    """

    max_jobs: int
    max_queue_s: float = 0.0
    pace: Pace = field(default_factory=Pace)
    queue_time: QueueTime = field(default_factory=QueueTime)
    _places: dict[JobKey, Place] = field(default_factory=dict)
    _queues: list[list[int]] = field(default_factory=lambda: [[] for _ in range(LEVELS)])
    _tickets: int = 0
    _next_retry: float = 0.0

    def __repr__(self) -> str:
        return f"<Admission {self.live} jobs of {self.max_jobs}, {self.waiting} waiting>"

    @property
    def live(self) -> int:
        """How many jobs were accepted and are not over."""
        return len(self._places)

    @property
    def waiting(self) -> int:
        """How many jobs have not had any work done yet."""
        return sum(map(len, self._queues))

    @property
    def full(self) -> bool:
        """Whether no further job may come in."""
        return self.live >= self.max_jobs

    # --- who may come in ------------------------------------------------------------------------

    def objection(
        self, owner: str, kind: Hashable, priority: int, timeout_s: float | None, now: float
    ) -> ErrorInfo | None:
        """Return why a job cannot be taken now, with the time to come again; None if it can."""
        lane = kind, priority
        if self.full:
            message = "the server's queue is full; try again later"
            return self._queue_full(message, lane, 0.0, now)
        wait = self.queue_time.expect(lane, owner, now)
        if wait is not None and self.max_queue_s and wait > self.max_queue_s:
            message = (
                f"a job sent now would wait about {_seconds(wait)} for its turn,"
                f" {_seconds(self.max_queue_s)} are the most; try again later"
            )
            return self._queue_full(message, lane, wait - self.max_queue_s, now)
        return None if timeout_s is None else self._too_late(lane, timeout_s, wait, now)

    def _too_late(
        self, lane: Hashable, timeout_s: float, wait: float | None, now: float
    ) -> ErrorInfo | None:
        """Return why a job would not be done in time: it would be work in vain, at the cost of one
        that could have been finished.
        """
        most = self.queue_time.longest_wait_s(lane, timeout_s)
        run = self.queue_time.run_s(lane)
        if wait is not None and wait > most:
            message = (
                f"a job sent now would wait about {_seconds(wait)} for its turn and then take"
                f" {_seconds(run)}, too long for its timeout_ms of {timeout_s * 1000:.0f};"
                " try again later"
            )
            return self._queue_full(message, lane, wait - most, now)
        if self.queue_time.crowded(lane):
            message = "jobs like this one are late already, there are so many; try again later"
            return self._queue_full(message, lane, 0.0, now)
        return None

    def next_turn_ms(self, kind: Hashable, priority: int, now: float) -> int:
        """Return about how long it takes until the next job of a kind ends."""
        each = self.queue_time.seconds_a_job((kind, priority), now)
        return _retry_ms(UNKNOWN_RETRY_S if each is None else each)

    def _queue_full(self, message: str, lane: Hashable, too_long_s: float, now: float) -> ErrorInfo:
        """Refuse, and spread those who are refused over the places that will become free.

        If all came again when the next place is free, all but one would come in vain.
        """
        each = self.queue_time.seconds_a_job(lane, now)
        if each is None:
            retry_s = UNKNOWN_RETRY_S
        else:
            earliest = max(self._next_retry, now + too_long_s)
            self._next_retry = min(earliest + each, now + LONGEST_RETRY_S)
            retry_s = self._next_retry - now
        return error_info(ErrorCode.QUEUE_FULL, message, retry_after_ms=_retry_ms(retry_s))

    # --- who is there ---------------------------------------------------------------------------

    def enter(
        self, key: JobKey, priority: int, kind: Hashable, now: float, *, waits: bool = True
    ) -> int:
        """Register an accepted job and return its position, 0 for the next to start.

        One that does not wait, since its input is still to come, stands in nobody's way.
        """
        position = sum(map(len, self._queues[priority:]))
        self._tickets += 1
        number = 0
        if waits:
            self._queues[priority].append(self._tickets)
            number = self.queue_time.enter((kind, priority), key[0], now)
        self._places[key] = Place(priority, kind, self.live + 1, self._tickets, number)
        return position

    def begin(self, key: JobKey) -> None:
        """Note that a job has had its first work done."""
        place = self._places.get(key)
        if place is not None and self._dequeue(place):
            self.queue_time.begin(place.lane, key[0])

    def withdraw(self, key: JobKey, *, late: bool = False) -> None:
        """Note that a job waits no more though nothing was done: it is stopped, or `late`."""
        place = self._places.get(key)
        if place is not None and self._dequeue(place):
            self.queue_time.withdraw(place.lane, key[0], late=late)

    def leave(self, key: JobKey, ran: Ran) -> None:
        """Forget a job that is over; `ran` is how it ended."""
        self.withdraw(key, late=ran.how == "late")
        place = self._places.pop(key, None)
        if place is not None and place.number:
            self.queue_time.leave(place.lane, place.number, ran)

    def crowd(self, key: JobKey) -> float:
        """Return among how many jobs a live one has run: the mean of its first and this moment."""
        place = self._places.get(key)
        return ((place.crowd if place else self.live) + self.live) / 2

    def position(self, key: JobKey) -> int | None:
        """Return how many jobs are to start before a waiting one; None when it does not wait."""
        place = self._places.get(key)
        if place is None:
            return None
        index = self._index(place)
        if index is None:
            return None
        return sum(map(len, self._queues[place.priority + 1 :])) + index

    def _dequeue(self, place: Place) -> bool:
        index = self._index(place)
        if index is None:
            return False
        del self._queues[place.priority][index]
        return True

    def _index(self, place: Place) -> int | None:
        """Return where a ticket stands among its priority's, which are in order; None if nowhere.

        Taking one out moves the others by a memory copy: a microsecond for thousands.
        """
        queue = self._queues[place.priority]
        index = bisect_left(queue, place.ticket)
        return index if index < len(queue) and queue[index] == place.ticket else None


def _retry_ms(seconds: float) -> int:
    return max(1, round(1000 * min(seconds, LONGEST_RETRY_S)))


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
