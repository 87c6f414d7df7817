"""How long a job is likely to take, from how long its like took lately. Pure.

Jobs share the devices, so a job of size n among c jobs takes about n * c * s seconds, where s is
what a unit of size costs. Batching makes s smaller in a crowd, so it is kept for each kind of job
and for each doubling of the crowd.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

WEIGHT = 0.2
"""Share of the newest job in the average: about the last five count."""


@dataclass
class Pace:
    """The recent speed of jobs by kind; a kind is whatever tells jobs of like cost apart."""

    _logs: dict[Hashable, dict[int, float]] = field(default_factory=dict)

    def note(self, kind: Hashable, size: float, crowd: float, seconds: float) -> None:
        """Learn from a job of a size that ran in `seconds` among `crowd` jobs, itself included."""
        if seconds <= 0 or size <= 0 or crowd < 1:
            return
        new = math.log(seconds / (size * crowd))
        known = self._logs.setdefault(kind, {})
        level = _level(crowd)
        known[level] = known.get(level, new) + WEIGHT * (new - known.get(level, new))

    def expect_ms(self, kind: Hashable, size: float, crowd: float) -> float | None:
        """Return the milliseconds until such a job would be done; None where nothing is known.

        In a crowd that was not seen yet the nearest known one counts.
        """
        known = self._logs.get(kind)
        if not known or size <= 0 or crowd < 1:
            return None
        level = _level(crowd)
        nearest = min(known, key=lambda one: abs(one - level))
        return round(1000 * math.exp(known[nearest]) * size * crowd, 1)


def _level(crowd: float) -> int:
    return int(crowd).bit_length()
