"""A row of the fault matrix as it was run: what was done, what came of it, and what may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One line of the report. `told` are the figures by name, `limit` is in words, `faults` are
    what should not have been on any machine, `late` is what took longer than it may on one that
    does nothing else. Rows of one `group` ran beside each other, for so many `seconds`.
    """

    name: str
    done: str
    limit: str
    told: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    group: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults and not self.late

    def check(self, true: bool, fault: str) -> None:
        """Note a fault unless something is so."""
        if not true:
            self.faults.append(fault)

    def in_time(self, true: bool, fault: str) -> None:
        """Note that something took too long unless something is so."""
        if not true:
            self.late.append(fault)


def quantile(values: list[float], share: float) -> float:
    """Return a quantile of values, which may be in any order; 0 of none."""
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0
