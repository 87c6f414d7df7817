"""What the steps of a device were made of, counted by stage. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a classifier's step on a GPU to one that is too long for anybody's patience."""


@dataclass(slots=True)
class StageTally:
    """The steps of one stage: how many, the seconds they took, the rows in them, their tokens.

    `tokens` are those of the texts and `padding` those computed beside them to fill rows up; a
    stage that does not count has none of either. `room` is how many rows the steps could have had;
    `lasted` counts the steps by their seconds: up to each of `BOUNDS_S`, and beyond.
    """

    steps: int = 0
    seconds: float = 0.0
    rows: int = 0
    tokens: int = 0
    padding: int = 0
    room: int = 0
    lasted: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))

    @classmethod
    def of_step(
        cls, seconds: float, *, rows: int, room: int, tokens: int, padding: int
    ) -> StageTally:
        """Return the tally of one step."""
        tally = cls(1, seconds, rows, tokens, padding, room)
        tally.lasted[bisect_left(BOUNDS_S, seconds)] = 1
        return tally

    def add(self, other: StageTally) -> None:
        """Add another tally of the same stage."""
        self.steps += other.steps
        self.seconds += other.seconds
        self.rows += other.rows
        self.tokens += other.tokens
        self.padding += other.padding
        self.room += other.room
        self.lasted = [one + more for one, more in zip(self.lasted, other.lasted, strict=True)]

    def as_row(self) -> tuple[Any, ...]:
        """Return the fields in order, as JSON values."""
        return astuple(self)


@dataclass(slots=True)
class Tally:
    """The tallies of several stages by name."""

    stages: dict[str, StageTally] = field(default_factory=dict)

    def add(self, stages: Mapping[str, StageTally]) -> None:
        """Add other tallies, such as those that a worker reports."""
        for name, tally in stages.items():
            self.stages.setdefault(name, StageTally()).add(tally)

    def take(self) -> dict[str, StageTally]:
        """Return what was counted since the last time."""
        taken, self.stages = self.stages, {}
        return taken
