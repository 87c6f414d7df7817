"""The tables of a run, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.results import Results
from benchmarks.servers import BATCHING, OURS, PLAIN, TITLES
from benchmarks.stats import best, quantile, ratios, spread

IDEAL = "ideal offline loop"


def report(results: Results) -> str:
    """Return the whole report."""
    sections = [
        ["# wsproc beside others", ""],
        [f"- {note}" for note in results.notes],
        ["", "![chunks a second and latency by clients](serving.svg)"],
        ["", "## Ratios, round by round", "", *ratio_table(results)],
        ["", "## Throughput and latency", "", *main_table(results)],
        ["", "## The ideal offline loop", "", *ideal_table(results)],
    ]
    if results.shorts:
        sections.append(["", "## A short job beside long ones", "", *short_table(results)])
    if results.stops:
        sections.append(["", "## Behind a cancel", "", *stop_table(results)])
    return "\n".join(line for section in sections for line in section) + "\n"


def main_table(results: Results) -> Iterator[str]:
    """Yield a row a server and number of clients."""
    yield from _head(
        "clients", "server", "chunks/s", "first result ms, p50", "job ms, p50", "job ms, p99",
        "chunks a step", "step ms", "time in steps %", "padding %", "loop lag ms, p99",
    )  # fmt: skip
    for clients in results.counts:
        for name in results.names:
            point = results.points[name, clients]
            yield _row(
                str(clients),
                TITLES[name],
                spread(point.rate, _digits(point.rate)),
                spread(point.first, 1),
                spread(point.whole, 0),
                spread(point.whole_p99, 0),
                spread(point.rows, 1),
                spread(point.step, 1),
                spread(point.busy, 0),
                spread(point.padding, 1),
                spread(point.lag, 0),
            )


def ideal_table(results: Results) -> Iterator[str]:
    """Yield a row a variant of the ideal loop, and one of the best over all rounds of the run."""
    yield from _head("processes, batches of", "chunks/s")
    for name, rates in results.variants.items():
        yield _row(f"{name}, two trials", spread(rates, _digits(rates)))
    every = [rate for rates in results.ideal.values() for rate in rates]
    yield _row(f"{best(results.variants)}, in turn with the servers", spread(every, _digits(every)))


def best_peer(results: Results, clients: int) -> str | None:
    """Return the batching peer with the most chunks a second."""
    names = [name for name in results.names if name in BATCHING]
    return best({name: results.points[name, clients].rate for name in names}) if names else None


def ratio_table(results: Results) -> Iterator[str]:
    """Yield what wsproc reaches over each other, by the rounds of one number of clients."""
    yield from _head("clients", "ratio", "chunks/s", "first result, p50: theirs over ours")
    for clients in results.counts:
        peers = [name for name in results.names if name in PLAIN]
        peers += filter(None, [best_peer(results, clients)])
        for ours in (name for name in results.names if name in OURS):
            mine = results.points[ours, clients]
            rates = ratios(mine.rate, results.ideal[clients])
            yield _row(str(clients), f"{TITLES[ours]} / {IDEAL}", spread(rates, 2), "")
            for name in peers:
                theirs = results.points[name, clients]
                yield _row(
                    str(clients),
                    f"{TITLES[ours]} / {TITLES[name]}",
                    spread(ratios(mine.rate, theirs.rate), 2),
                    spread(ratios(theirs.first, mine.first), 1),
                )


def short_table(results: Results) -> Iterator[str]:
    """Yield a row a server."""
    yield from _head(
        "server", "alone: first result ms, p50", "beside: p50", "beside: p99", "step ms",
        "more, in steps",
    )  # fmt: skip
    for name, shorts in results.shorts.items():
        yield _row(
            TITLES[name],
            spread([quantile(short.alone, 0.5) for short in shorts], 1),
            spread([quantile(short.beside, 0.5) for short in shorts], 1),
            spread([quantile(short.beside, 0.99) for short in shorts], 1),
            spread([short.step_ms for short in shorts if short.step_ms], 1),
            spread([short.steps for short in shorts if short.step_ms], 1),
        )


def stop_table(results: Results) -> Iterator[str]:
    """Yield a row a server."""
    yield from _head(
        "server", "jobs left", "device busy for it ms, p50", "p99", "client told ms, p50", "p99",
        "chunks for nobody, mean", "step ms",
    )  # fmt: skip
    for name, found in results.stops.items():
        yield _row(
            TITLES[name] + (" (stalled or hung up, then left out)" if found.stalled else ""),
            str(len(found.device)),
            *_quantiles(found.device),
            *_quantiles(found.seen),
            f"{statistics.mean(found.chunks):.1f}" if found.chunks else "",
            f"{found.step_ms:.1f}" if found.step_ms else "",
        )


def _quantiles(values: Sequence[float]) -> list[str]:
    return [f"{quantile(values, share):.1f}" if values else "" for share in (0.5, 0.99)]


def _digits(values: Sequence[float]) -> int:
    return 0 if max(values) >= 100 else 1


def _head(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield "|" + "-|" * len(titles)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
