"""How long a job would wait for its first work, from how fast its like began lately. Pure.

Jobs of a kind and a priority stand in one lane; a kind is the same task with the same stages. While
a real queue stands in a lane, the time that passes and the jobs that begin are counted, older ones
less and less; their ratio is what one place in the queue costs, whatever else the devices do
meanwhile, how many share a batch, and whether a worker is down. A short queue tells nothing: what
passes then is the way to the device and back.

The engine takes turns between owners, so how many are ahead of a job depends on whose it is: first
one of each other owner who waits, and then, for each of one's own that wait already, as many as
lately began between two of one owner. A client is not made to wait for another's thousand jobs, and
many clients with a few jobs each are not mistaken for a queue that is served in order.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

REAL_QUEUE = 8
"""A queue is timed while so many jobs stand in it."""

MEMORY_S = 10.0
MEMORY_JOBS = 50
"""What is older than so many seconds, and than so many jobs, counts little."""

LEAST_S = 0.5
"""Nothing is said of a lane before its queue was timed for so long."""

WEIGHT = 0.1
"""Share of the newest in the averages: of the jobs that begin between two of one owner, and of how
long a job takes from there."""

MOST_SHARE = 0.75
"""A job may be expected to use so much of its timeout; the rest is for our being wrong."""

LATE, IN_TIME = 0.9, 0.001
"""What a job that was too late takes of that share, as a factor, and what one in time gives back:
so about two in a hundred are late, however unsteady the devices are."""

STALE_S = 30.0
"""Nor when it was timed last so long ago: the devices may be faster or slower by now."""


@dataclass
class Stopwatch:
    """What one place in a queue costs: the seconds that it was timed, by the jobs that began."""

    _seconds: float = 0.0
    _jobs: float = 0.0
    _evidence: int = 0
    _since: float | None = None
    _timed_at: float = -math.inf

    def grown(self, queued: int, now: float) -> None:
        """Note that a queue has become longer; time it from when it is a real one."""
        if self._since is None and queued >= REAL_QUEUE:
            self._since = now

    def shrunk(self, queued: int) -> None:
        """Note that a queue has become shorter."""
        if queued < REAL_QUEUE:
            self._since = None

    def began(self, now: float) -> None:
        """Note that a job left the queue because its work began."""
        if self._since is None:
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


@dataclass(slots=True)
class Owner:
    """How many jobs of one owner wait in a lane, and which in order the last one was to begin."""

    waiting: int = 0
    last: int | None = None


@dataclass
class Lane:
    """The jobs of one kind and priority that wait; `run_s` is how long one takes from its first
    work on, on the average of the last few, `share` how much of a timeout it may plan to use.
    """

    waiting: int = 0
    run_s: float | None = None
    share: float = MOST_SHARE
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    _owners: dict[Hashable, Owner] = field(default_factory=dict)
    _begun: int = 0
    _turns: float | None = None

    def enter(self, name: Hashable, now: float) -> None:
        """Let a job wait."""
        self._owners.setdefault(name, Owner()).waiting += 1
        self.waiting += 1
        self.stopwatch.grown(self.waiting, now)

    def begin(self, name: Hashable, now: float) -> None:
        """Let a job leave because its work began."""
        self.stopwatch.began(now)
        self._begun += 1
        owner = self._owners[name]
        if owner.last is not None:
            self._turns = _averaged(self._turns, self._begun - owner.last)
        owner.last = self._begun
        self.withdraw(name)

    def withdraw(self, name: Hashable) -> None:
        """Let a job leave with no work done."""
        owner = self._owners[name]
        owner.waiting -= 1
        if not owner.waiting:
            del self._owners[name]
        self.waiting -= 1
        self.stopwatch.shrunk(self.waiting)

    def ended(self, run_s: float, *, late: bool) -> None:
        """Learn from a job that ran to its end, or until it was too `late`, maybe not at all."""
        if run_s > 0:
            self.run_s = _averaged(self.run_s, run_s)
        self.share = self.share * LATE if late else min(MOST_SHARE, self.share + IN_TIME)

    def ahead(self, name: Hashable) -> float:
        """Return about how many jobs begin before a new one of an owner would."""
        owner = self._owners.get(name)
        others = len(self._owners) - (owner is not None)
        turns = others + 1 if self._turns is None else self._turns
        return others + (owner.waiting * turns if owner else 0.0)


def _averaged(known: float | None, new: float) -> float:
    return new if known is None else known + WEIGHT * (new - known)


class QueueTime:
    """The lanes of one server. Times (`now`) are seconds on any one steady clock."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}

    def __repr__(self) -> str:
        waiting = {name: lane.waiting for name, lane in self._lanes.items() if lane.waiting}
        return f"<QueueTime {waiting}>"

    def enter(self, lane: Hashable, owner: Hashable, now: float) -> None:
        """Note that a job waits."""
        self._lanes.setdefault(lane, Lane()).enter(owner, now)

    def begin(self, lane: Hashable, owner: Hashable, now: float) -> None:
        """Note that a waiting job has had its first work."""
        self._lanes[lane].begin(owner, now)

    def withdraw(self, lane: Hashable, owner: Hashable) -> None:
        """Note that a job waits no more, with no work done."""
        self._lanes[lane].withdraw(owner)

    def ended(self, lane: Hashable, run_s: float, *, late: bool) -> None:
        """Note how long a job took from its first work to its end, or to being too late."""
        self._lanes[lane].ended(run_s, late=late)

    def run_s(self, lane: Hashable) -> float:
        """Return how long a job of a lane takes lately from its first work on; 0 if unknown."""
        known = self._lanes.get(lane)
        return 0.0 if known is None else known.run_s or 0.0

    def longest_wait_s(self, lane: Hashable, timeout_s: float) -> float:
        """Return how long a job may wait and still be done within its timeout, to plan with."""
        known = self._lanes.get(lane)
        return timeout_s * (known.share if known else MOST_SHARE) - self.run_s(lane)

    def seconds_a_job(self, lane: Hashable, now: float) -> float | None:
        """Return how long it takes lately until the next job of a lane begins; None if unknown."""
        known = self._lanes.get(lane)
        return None if known is None else known.stopwatch.seconds_a_job(now)

    def expect(self, lane: Hashable, owner: Hashable, now: float) -> float | None:
        """Return how many seconds a new job would wait; None where too little is known."""
        each = self.seconds_a_job(lane, now)
        return None if each is None else each * self._lanes[lane].ahead(owner)
