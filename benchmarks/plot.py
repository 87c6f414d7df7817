"""The plot of a run: chunks a second and latencies by clients, with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.report import IDEAL
from benchmarks.results import Results
from benchmarks.servers import OURS, TITLES

_PANELS = (
    ("rate", "chunks/s (more is better)"),
    ("first", "first result, ms, p50 (less is better)"),
    ("whole_p99", "job, ms, p99 (less is better)"),
)


def plot(results: Results, path: Path) -> None:
    """Draw the medians with bars from the least to the most into an SVG file."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wsproc", "font.size": 9})
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    for panel, (field, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        for name in results.names:
            values = [getattr(results.points[name, clients], field) for clients in results.counts]
            _line(panel, results.counts, values, TITLES[name].replace("`", ""), name in OURS)
        if field == "rate":
            rates = [results.ideal[clients] for clients in results.counts]
            _line(panel, results.counts, rates, IDEAL, None)
        panel.set(title=title, xlabel="clients", xscale="log")
        panel.set_yscale("linear" if field == "rate" else "log")
        panel.set_xticks(results.counts, [str(count) for count in results.counts], minor=False)
        panel.minorticks_off()
        panel.grid(visible=True, alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    figure.savefig(path, metadata={"Date": None})


def _line(
    panel: Any,
    counts: Sequence[int],
    rounds: Sequence[Sequence[float]],
    label: str,
    ours: bool | None,
) -> None:
    middles = [statistics.median(values) for values in rounds]
    below = [middle - min(values) for middle, values in zip(middles, rounds, strict=True)]
    above = [max(values) - middle for middle, values in zip(middles, rounds, strict=True)]
    style = {None: "k--", True: "o-", False: "s-"}[ours]
    width = 2.2 if ours else 1.2
    panel.errorbar(
        counts, middles, yerr=[below, above], fmt=style, label=label, linewidth=width, capsize=2,
        markersize=4,
    )  # fmt: skip
