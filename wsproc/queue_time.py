"""How long a job would wait for its first work, from how fast its like ended lately. Pure.

Jobs of a kind and a priority stand in one lane; a kind is the same task with the same stages. While
a real queue stands in a lane, the time that passes and the jobs that end in time are counted, older
ones less and less; their ratio is what one place in the queue costs, whatever else the devices do
meanwhile, how many share a batch, whether a worker is down, and how much work is in vain. A short
queue tells nothing: what passes then is the way to the device and back.

How many are ahead of a job depends on whose it is: the engine takes turns between owners (`turns`).

A job that has a timeout is to be done within it, so what counts for it is also how long its like
takes from its first work on. And since devices that share their time between too many jobs finish
none of them, those that are late set a bound to how many there may be, as lost packets do in TCP.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from wsproc.turns import Turns

REAL_QUEUE = 8
"""A queue is timed while so many jobs stand in it."""

MOST_LEFT = 8
"""And while no more than so many leave it, between two that end, with nothing done."""

MEMORY_S = 4.0
MEMORY_JOBS = 50
"""What is older than so many seconds, and than so many jobs, counts little."""

LEAST_S = 0.2
"""Nothing is said of a lane before its queue was timed for so long. Until then all are taken: at
ten times the load two seconds of work."""

WEIGHT = 0.1
"""Share of the newest in the average of how long a job takes from its first work on."""

MOST_SHARE = 0.5
"""A job may be expected to use so much of its timeout: devices may slow down to half without a job
that was accepted being late."""

LEAST_SHARE = 0.1
"""It may wait for so much of it in any case: devices that run out of jobs are no help to anyone."""

LATE = 0.5
"""What is left of the jobs that there may be when one was late. Those that were accepted before the
bound was changed say nothing of it, so jobs that are late together count once."""

LEAST_BOUND = 2.0

STALE_S = 30.0
"""Nor when it was timed last so long ago: the devices may be faster or slower by now."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a job ended: how long it took from its first work on, 0 where it had none, at what time,
    and whether it was done, too late for itself, or stopped for another reason.
    """

    seconds: float
    at: float
    how: Literal["done", "late", "stopped"] = "done"


@dataclass
class Stopwatch:
    """What one place in a queue costs: the seconds that it was timed, by the jobs that ended."""

    _seconds: float = 0.0
    _jobs: float = 0.0
    _evidence: int = 0
    _left: int = 0
    _since: float | None = None
    _is_whole: bool = False
    """Whether it is timed since a job ended: the first that ends had a part of its time before."""
    _timed_at: float = -math.inf

    def grown(self, queued: int, now: float) -> None:
        """Note that a queue has become longer; time it from when it is a real one."""
        if self._since is None and queued >= REAL_QUEUE:
            self._since, self._is_whole = now, False

    def shrunk(self, queued: int, *, left: bool = False) -> None:
        """Note that a queue has become shorter; `left` says that a job went for reasons of its own.

        Where many do so between two that end, what passed meanwhile tells nothing of the pace.
        """
        self._left += left
        if queued < REAL_QUEUE or self._left > MOST_LEFT:
            self._since = None

    def ended(self, now: float) -> None:
        """Note that a job ended."""
        self._left = 0
        if self._since is None:
            return
        if not self._is_whole:
            self._since, self._is_whole = now, True
            return
        passed = max(0.0, now - self._since)
        keep = math.exp(-passed / max(MEMORY_S, MEMORY_JOBS * self._seconds / (self._jobs or 1)))
        self._seconds = keep * self._seconds + passed
        self._jobs = keep * self._jobs + 1
        self._evidence += 1
        self._since = self._timed_at = now

    def seconds_a_job(self, now: float) -> float | None:
        """Return the cost of one place; None while too little is known."""
        stale = self._since is None and now - self._timed_at > STALE_S
        if stale or self._evidence < REAL_QUEUE:
            return None
        seconds = self._seconds + (0.0 if self._since is None else max(0.0, now - self._since))
        return None if seconds < LEAST_S else seconds / self._jobs


@dataclass
class Lane:
    """The jobs of one kind and priority: those that wait for their turn, and all that are `live`.

    `run_s` is how long one takes from its first work on, on the average of the last few; `bound` is
    how many may be live for all to be in time, None while none is late.
    """

    live: int = 0
    entered: int = 0
    run_s: float | None = None
    bound: float | None = None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    turns: Turns = field(default_factory=Turns)
    _bounded_at: int = 0

    def enter(self, name: Hashable, now: float) -> int:
        """Let a job wait, and return its number."""
        self.turns.enter(name)
        self.live += 1
        self.entered += 1
        self.stopwatch.grown(self.turns.waiting, now)
        return self.entered

    def begin(self, name: Hashable) -> None:
        """Let a job leave because its work began."""
        self.turns.begin(name)
        self.stopwatch.shrunk(self.turns.waiting)

    def withdraw(self, name: Hashable, *, late: bool) -> None:
        """Let a job leave with no work done: it was stopped, or its time is over."""
        self.turns.leave(name)
        self.stopwatch.shrunk(self.turns.waiting, left=not late)

    def leave(self, number: int, ran: Ran) -> None:
        """Let a job go, and learn from it."""
        self.live -= 1
        if ran.how == "late":
            self._narrow(number)
        elif ran.how == "done" or ran.seconds > 0:  # its place is free, however it came to that
            self.stopwatch.ended(ran.at)
        if ran.how == "done":
            self._widen()
        if ran.seconds > 0 and ran.how != "stopped":
            self.run_s = _averaged(self.run_s, ran.seconds)

    def _narrow(self, number: int) -> None:
        if number > self._bounded_at:
            self.bound = max(LEAST_BOUND, min(self.live, self.bound or self.live) * LATE)
            self._bounded_at = self.entered

    def _widen(self) -> None:
        """Allow one job more for each time that as many as are allowed were in time."""
        if self.bound is not None:
            self.bound += 1 / self.bound
            if self.bound > 2 * self.live + REAL_QUEUE:  # far from what there is: no bound
                self.bound = None


def _averaged(known: float | None, new: float) -> float:
    return new if known is None else known + WEIGHT * (new - known)


class QueueTime:
    """The lanes of one server. Times (`now`) are seconds on any one steady clock."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}

    def __repr__(self) -> str:
        lanes = self._lanes.items()
        waiting = {name: lane.turns.waiting for name, lane in lanes if lane.turns.waiting}
        return f"<QueueTime {waiting}>"

    def enter(self, lane: Hashable, owner: Hashable, now: float) -> int:
        """Note that a job waits; return its number in the lane."""
        return self._lanes.setdefault(lane, Lane()).enter(owner, now)

    def begin(self, lane: Hashable, owner: Hashable) -> None:
        """Note that a waiting job has had its first work."""
        self._lanes[lane].begin(owner)

    def withdraw(self, lane: Hashable, owner: Hashable, *, late: bool = False) -> None:
        """Note that a job waits no more with no work done: it was stopped, or its time is over."""
        self._lanes[lane].withdraw(owner, late=late)

    def leave(self, lane: Hashable, number: int, ran: Ran) -> None:
        """Note that a job is over, and how it ended."""
        self._lanes[lane].leave(number, ran)

    def run_s(self, lane: Hashable) -> float:
        """Return how long a job of a lane takes lately from its first work on; 0 if unknown."""
        known = self._lanes.get(lane)
        return 0.0 if known is None else known.run_s or 0.0

    def longest_wait_s(self, lane: Hashable, timeout_s: float) -> float:
        """Return how long a job may wait and still be done within its timeout, to plan with."""
        return max(timeout_s * MOST_SHARE - self.run_s(lane), timeout_s * LEAST_SHARE)

    def crowded(self, lane: Hashable) -> bool:
        """Whether there are so many jobs that one more would make some of them late."""
        known = self._lanes.get(lane)
        return known is not None and known.bound is not None and known.live >= known.bound

    def seconds_a_job(self, lane: Hashable, now: float) -> float | None:
        """Return how long it takes lately until the next job of a lane ends; None if unknown."""
        known = self._lanes.get(lane)
        return None if known is None else known.stopwatch.seconds_a_job(now)

    def expect(self, lane: Hashable, owner: Hashable, now: float) -> float | None:
        """Return how many seconds a new job would wait; None where too little is known."""
        each = self.seconds_a_job(lane, now)
        return None if each is None else each * self._lanes[lane].turns.ahead(owner)
