"""Pure figures: quantiles, spreads, ratios, and what a server's metrics tell."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median and, behind it, the least and the most; nothing of no values."""
    if not values:
        return ""
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios round by round; over nothing all is infinite."""
    return [a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)]


def best(rounds: Mapping[str, Sequence[float]]) -> str:
    """Return the name with the highest median."""
    return max(rounds, key=lambda name: statistics.median(rounds[name]))


def metrics(text: str) -> dict[str, float]:
    """Return the samples of Prometheus' text format by name with labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def summed(samples: Mapping[str, float], name: str, *labels: str) -> float:
    """Return the sum of one metric's samples that have these labels; 0 where there are none."""
    return sum(
        value
        for key, value in samples.items()
        if key.partition("{")[0] == name and all(label in key for label in labels)
    )


def bucket_within(
    before: Mapping[str, float], now: Mapping[str, float], name: str, share: float
) -> float:
    """Return the bound of the histogram's bucket that a share of the new samples lies within."""
    head = f"{name}_bucket{{"
    bounds = {
        float(key.split('le="')[1].partition('"')[0]): now[key] - before.get(key, 0.0)
        for key in now
        if key.startswith(head)
    }
    total = bounds[float("inf")]
    return next(bound for bound in sorted(bounds) if bounds[bound] >= share * total)
