"""Who may start and who waits: the jobs of all sessions of one server, counted. Pure.

A job waits from its acceptance to its first work on a device. Positions count the waiting jobs that
are to start earlier: those of a higher priority, and the older ones of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from wsproc.pace import Pace

JobKey = tuple[str, str]
"""(session, job id): unique in a server."""


@dataclass
class Admission:
    """Counts the jobs of a server against its limit, `max_jobs` in all; `pace` is their speed."""

    max_jobs: int
    pace: Pace = field(default_factory=Pace)
    _crowds: dict[JobKey, int] = field(default_factory=dict)
    _live: dict[JobKey, int] = field(default_factory=dict)
    _waiting: dict[int, OrderedDict[JobKey, None]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Admission {self.live} jobs of {self.max_jobs}, {self.waiting} waiting>"

    @property
    def live(self) -> int:
        """How many jobs were accepted and are not over."""
        return len(self._live)

    @property
    def waiting(self) -> int:
        """How many jobs have not had any work done yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def full(self) -> bool:
        """Whether no further job may come in."""
        return self.live >= self.max_jobs

    def enter(self, key: JobKey, priority: int) -> int:
        """Register an accepted job and return its position, 0 for the next to start."""
        position = self._ahead_of_level(priority) + len(self._waiting.get(priority, ()))
        self._live[key] = priority
        self._crowds[key] = self.live
        self._waiting.setdefault(priority, OrderedDict())[key] = None
        return position

    def begin(self, key: JobKey) -> None:
        """Note that a job has had its first work done."""
        priority = self._live.get(key)
        if priority is not None:
            self._waiting.get(priority, OrderedDict()).pop(key, None)

    def leave(self, key: JobKey) -> None:
        """Forget a job that is over."""
        self.begin(key)
        self._live.pop(key, None)
        self._crowds.pop(key, None)

    def crowd(self, key: JobKey) -> float:
        """Return among how many jobs a live one has run: the mean of its first and this moment."""
        return (self._crowds.get(key, self.live) + self.live) / 2

    def position(self, key: JobKey) -> int | None:
        """Return how many jobs are to start before a waiting one; None when it does not wait."""
        priority = self._live.get(key)
        if priority is None:
            return None
        for index, other in enumerate(self._waiting.get(priority, ())):
            if other == key:
                return self._ahead_of_level(priority) + index
        return None

    def _ahead_of_level(self, priority: int) -> int:
        return sum(len(keys) for level, keys in self._waiting.items() if level > priority)
