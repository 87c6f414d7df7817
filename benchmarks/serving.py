"""wsproc beside the ideal loop, a plain endpoint, LitServe and Ray Serve: one run, in turn.

    python -m benchmarks.serving [--clients 1,8,32,64] [--rounds 3] [--seconds 3]

All serve the same checkpoint, the peers in float32; one server is awake at a time. In each round of
each number of clients all are measured one after the other, so that what disturbs the machine
disturbs all. Writes a table and a plot.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.load import measure
from benchmarks.report import report
from benchmarks.results import Point, Results
from benchmarks.scenarios import short_beside_long, stops
from benchmarks.servers import ROOT, TITLES, Offline, Server, running
from benchmarks.stats import best, bucket_within
from benchmarks.workload import sample_texts

_OFFLINE_S = 1.5
DEFAULT = [name for name in TITLES if name != "lit-loop"]  # stalled at 64 clients
LAG = "wsproc_event_loop_lag_seconds"


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Return the options; lists become lists."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", default="1,8,32,64", type=_numbers)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--model", default="embedded", help="or a folder, for all servers")
    parser.add_argument("--servers", default=DEFAULT, type=_names, help=",".join(TITLES))
    parser.add_argument("--characters", default=[2000, 5000], type=_numbers, help="of a text")
    parser.add_argument("--passes", type=int, default=4, help="of 16 texts in the ideal loop")
    parser.add_argument("--beside", type=int, default=64, help="long jobs beside a short one")
    parser.add_argument("--cancel-clients", type=int, default=32, help="load beside cancels")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="of LitServe and Ray Serve"
    )
    parser.add_argument("--wsproc", default=str(ROOT / ".venv/bin/wsproc"), help="the command")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--name", default="serving", help="of the files")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(TITLES):
        raise argparse.ArgumentTypeError(f"no such server: {', '.join(sorted(unknown))}")
    return names


def main(arguments: list[str]) -> None:
    """Run the benchmark and write its files."""
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no server is left behind
    results = Results(options.clients, options.servers, notes=notes(options))
    logs = ROOT / ".cache" / "benchmarks"
    logs.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    offline = Offline(options.model, *options.characters, options.passes)
    try:
        with running(
            options.servers,
            model=options.model,
            workers=options.workers,
            wsproc=options.wsproc,
            logs=logs,
        ) as servers:
            measure_all(results, servers, offline, options)
    finally:
        offline.end()
    results.notes.append(f"load generator: at most {own_share(results):.0f} % of a core")
    results.notes.append(f"the run took {(time.monotonic() - began) / 60:.0f} minutes")
    write(results, options.out, options.name)


def notes(options: argparse.Namespace) -> list[str]:
    """Return what a reader must know about the run."""
    versions = ("torch", "transformers", "litserve", "ray", "fastapi", "uvicorn", "websockets")
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {_processor()}, Python"
        f" {platform.python_version()}, load average {os.getloadavg()[0]:.1f} at the start",
        ", ".join(f"{name} {version(name)}" for name in versions),
        f"model {Path(options.model).name}, {options.characters[0]} to {options.characters[1]}"
        f" characters a text in chunks of 200; {options.rounds} rounds of {options.seconds:g}"
        f" seconds; {options.workers} workers in LitServe and Ray Serve",
        "figures are the median of the rounds, in brackets the least and the most",
    ]


def own_share(results: Results) -> float:
    """Return the largest share of a core that the load generator took, in percent."""
    return max(max(point.load) for point in results.points.values())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure_all(
    results: Results, servers: list[Server], offline: Offline, options: argparse.Namespace
) -> None:
    """Measure everything in turn."""
    texts = sample_texts(*options.characters)
    for server in servers:
        with awake(server):
            asyncio.run(measure(server.open, 4, 1.0, texts))
    say("the ideal loop, its variants")
    for _ in range(2):
        for variant in offline.VARIANTS:
            results.variants.setdefault(variant, []).append(offline.measure(variant, _OFFLINE_S))
    for clients in options.clients:
        for number in range(options.rounds):
            say(f"{clients} clients, round {number + 1}")
            rate = offline.measure(best(results.variants), _OFFLINE_S)
            results.ideal.setdefault(clients, []).append(rate)
            for server in servers:
                point = results.points.setdefault((server.name, clients), Point())
                with awake(server):
                    one_round(server, clients, options.seconds, texts, point)
                say(f"  {TITLES[server.name]}: {point.rate[-1]:.0f} chunks/s")
    ask_further(results, servers, texts, options)


def ask_further(
    results: Results, servers: list[Server], texts: list[str], options: argparse.Namespace
) -> None:
    """Measure short jobs beside long ones, and what happens behind cancels."""
    longest = max(texts, key=len)
    for number in range(options.rounds if options.beside else 0):
        say(f"a short job beside long ones, round {number + 1}")
        for server in servers:
            with awake(server):
                beside = short_beside_long(server, options.beside, options.seconds, longest)
                results.shorts.setdefault(server.name, []).append(asyncio.run(beside))
    for server in servers if options.cancel_clients else ():
        say(f"cancels: {TITLES[server.name]}")
        with awake(server):
            found = stops(server, options.cancel_clients, 3 * options.seconds, texts)
            results.stops[server.name] = asyncio.run(found)


def one_round(server: Server, clients: int, seconds: float, texts: list[str], point: Point) -> None:
    """Measure one server once."""
    lag: dict[str, float] = {}
    before, began = server.counted(), time.monotonic()
    tally = asyncio.run(
        measure(
            server.open,
            clients,
            seconds,
            texts,
            on_window=lambda: lag.update(server.metrics() if server.ours else {}),
        )
    )
    point.add(tally, server.counted() - before, time.monotonic() - began)
    if server.ours:
        point.lag.append(1000 * bucket_within(lag, server.metrics(), LAG, 0.99))


@contextmanager
def awake(server: Server) -> Iterator[None]:
    """Let one server run for a while, and put it to sleep again."""
    server.wake()
    time.sleep(0.2)  # what slept has timers that are due
    try:
        yield
    finally:
        server.sleep()


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def write(results: Results, folder: Path, name: str) -> None:
    """Write the table and the plot, and print the table."""
    from benchmarks.plot import plot

    folder.mkdir(parents=True, exist_ok=True)
    text = report(results).replace("serving.svg", f"{name}.svg")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    plot(results, folder / f"{name}.svg")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
