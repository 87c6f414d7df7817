"""How many jobs begin before a new one would, where the owners of jobs take turns. Pure.

The engine takes turns by tokens, and here nobody knows how heavy a job is or how many of them are
begun in a turn. So jobs are counted as they begin, and three things tell how many there will be:

- The queues as they are: until an owner's fifth job begins, each other owner begins five, or all
  that it has. A client is not made to wait for another's thousand jobs.
- The round: how many began in all, for each of the owner's, while its last one waited. It knows of
  those who come again and again with few jobs, and of owners whose jobs are heavier than others'.
- The margin: how many times as many as expected began before the unlucky. Light jobs begin in
  bunches, as many as a turn has tokens for, and whose bunch is over waits for everybody else's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

WEIGHT = 0.1
"""Share of the newest in the average round of all owners, which counts for those who have none."""

UNLUCKY = 0.1
"""About this share of the jobs waits for more others than was said."""

MARGIN_STEP = 0.02
"""By so much the margin grows for each unlucky job: 35 of them double it."""

MOST_MARGIN = 4.0

FEW = 8
"""So many jobs more than expected are no bad luck: they may begin together, in one step."""


@dataclass(slots=True)
class Level:
    """The owners whose queues are about equally long, and the jobs in these."""

    owners: int = 0
    jobs: int = 0


@dataclass
class Backlogs:
    """How much each owner has waiting, counted by doublings, not to look at each owner."""

    _levels: dict[int, Level] = field(default_factory=dict)

    def move(self, old: int, new: int) -> None:
        """Note that an owner's queue had one length and has another."""
        for length, sign in ((old, -1), (new, 1)):
            if length:
                level = self._levels.setdefault(length.bit_length(), Level())
                level.owners += sign
                level.jobs += sign * length

    def until(self, turn: int) -> int:
        """Return about how many jobs begin until everyone has begun so many, or all it has."""
        return sum(min(level.jobs, level.owners * turn) for level in self._levels.values())


@dataclass(frozen=True, slots=True)
class Entry:
    """What a job found when it came: how many had begun, in all and of its owner's, and how many
    were expected to begin before it.
    """

    begun: int
    own: int
    expected: float


@dataclass(slots=True)
class Owner:
    """The waiting jobs of one owner, first in, first out; its `round` as told above."""

    round: float
    begun: int = 0
    entries: deque[Entry] = field(default_factory=deque)


class Turns:
    """Who waits for a turn, `waiting` in all; `margin` as told above."""

    def __init__(self) -> None:
        self.waiting = 0
        self._owners: dict[Hashable, Owner] = {}
        self._backlogs = Backlogs()
        self._begun = 0
        self._round: float | None = None
        self.margin = 1.0

    def __repr__(self) -> str:
        return f"<Turns of {len(self._owners)} owners, {self.waiting} waiting>"

    def ahead(self, name: Hashable) -> float:
        """Return about how many jobs begin before a new one of an owner would."""
        return self.margin * self._expected(self._owners.get(name))

    def _expected(self, owner: Owner | None) -> float:
        if owner is None:
            return self._backlogs.until(1)
        turn = len(owner.entries) + 1
        return max(self._backlogs.until(turn), turn * owner.round - 1)

    def enter(self, name: Hashable) -> None:
        """Let a job wait."""
        owner = self._owners.get(name)
        expected = self._expected(owner)
        if owner is None:
            owner = self._owners[name] = Owner(self._round or 0.0)
        owner.entries.append(Entry(self._begun, owner.begun, expected))
        self._grow(name, 1)

    def begin(self, name: Hashable) -> None:
        """Let an owner's oldest job begin, and learn from what its wait was like."""
        owner = self._owners[name]
        entry = owner.entries.popleft()
        others = self._begun - entry.begun
        self._begun += 1
        owner.begun += 1
        owner.round = (others + 1) / (owner.begun - entry.own)
        known = owner.round if self._round is None else self._round
        self._round = known + WEIGHT * (owner.round - known)
        self._judge(others, entry.expected)
        self._grow(name, -1)

    def leave(self, name: Hashable) -> None:
        """Let a job go that waits no more and did not begin."""
        self._owners[name].entries.pop()  # the newest: what the others found tells as much
        self._grow(name, -1)

    def _judge(self, others: int, expected: float) -> None:
        """Widen the margin for an unlucky job, narrow it a little for another."""
        if others > self.margin * expected + FEW:
            self.margin = min(MOST_MARGIN, self.margin * (1 + MARGIN_STEP))
        else:
            self.margin = max(1.0, self.margin * (1 - MARGIN_STEP * UNLUCKY))

    def _grow(self, name: Hashable, jobs: int) -> None:
        length = len(self._owners[name].entries)
        self._backlogs.move(length - jobs, length)
        self.waiting += jobs
        if not length:
            del self._owners[name]
