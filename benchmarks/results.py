"""What a run found, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.load import Tally
from benchmarks.peers.counting import Counts
from benchmarks.scenarios import Short, Stops
from benchmarks.stats import quantile


@dataclass
class Point:
    """One server at one number of clients; a value a round. Times in ms, shares in percent."""

    rate: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    whole_p99: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    padding: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    def add(self, tally: Tally, counts: Counts, seconds: float) -> None:
        """Add one round, in whose `seconds` the model computed `counts`."""
        self.rate.append(tally.rate)
        self.first.append(1000 * quantile(tally.firsts, 0.5))
        self.whole.append(1000 * quantile(tally.wholes, 0.5))
        self.whole_p99.append(1000 * quantile(tally.wholes, 0.99))
        self.load.append(100 * tally.own_cpu)
        if counts.steps:
            self.rows.append(counts.chunks / counts.steps)
            self.step.append(counts.busy_ns / counts.steps / 1e6)
            self.busy.append(counts.busy_ns / 1e7 / seconds)
        if counts.computed:
            self.padding.append(100 * (1 - counts.useful / counts.computed))


@dataclass
class Results:
    """All of a run: by (server, clients), by server, and of the ideal loop in chunks a second.

    `variants` are the trials of the ideal loop by variant, `ideal` the rounds of the best one
    beside each number of clients.
    """

    counts: list[int]
    names: list[str]
    points: dict[tuple[str, int], Point] = field(default_factory=dict)
    variants: dict[str, list[float]] = field(default_factory=dict)
    ideal: dict[int, list[float]] = field(default_factory=dict)
    shorts: dict[str, list[Short]] = field(default_factory=dict)
    stops: dict[str, Stops] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
