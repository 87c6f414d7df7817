"""What the steps of a device were made of, counted by stage. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field


@dataclass(slots=True)
class StageTally:
    """The steps of one stage: how many, the seconds they took, the rows in them, their tokens.

    `tokens` are those of the texts and `padding` those computed beside them to fill rows up; a
    stage that does not count has none of either.
    """

    steps: int = 0
    seconds: float = 0.0
    rows: int = 0
    tokens: int = 0
    padding: int = 0

    def add(self, other: StageTally) -> None:
        """Add another tally of the same stage."""
        self.steps += other.steps
        self.seconds += other.seconds
        self.rows += other.rows
        self.tokens += other.tokens
        self.padding += other.padding

    def as_row(self) -> tuple[float, ...]:
        """Return the five numbers in order."""
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
