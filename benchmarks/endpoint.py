"""wsproc beside the plain streaming endpoint: same model, same load, in turn, in one run.

    python -m benchmarks.endpoint [--clients 1,8,32] [--rounds 3] [--seconds 8]

Prints chunks a second, time to the first result, job latency and the event loop's lag, each as
the median over the rounds with their least and most, and the ratios round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import Client, Tally, http_client, measure, websocket_client

CHUNK_SIZE = 200
ARTICLE = Path(__file__).parent.parent / "examples" / "article.txt"
HEAD = """\
| clients | server | chunks/s | first ms, p50 | job ms, p50 | job ms, p99 | loop lag ms, p99 |
|-|-|-|-|-|-|-|"""
PEER, BARE, OURS = "plain endpoint", "the same, bare model", "wsproc"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--model", default="embedded", help="a name or folder, for both")
    options = parser.parse_args()
    counts = [int(count) for count in options.clients.split(",")]
    print(
        f"machine: {os.cpu_count()} cores, {platform.processor() or platform.machine()}, "
        f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f} at the start"
    )
    with servers(options.model) as (clients, lag):
        asyncio.run(compare(clients, lag, counts, options))


async def compare(
    clients: dict[str, Client], lag: Lag, counts: list[int], options: argparse.Namespace
) -> None:
    """Measure all in turn at each number of clients and print a table."""
    texts = sample_texts()
    for client in clients.values():
        await measure(client, 4, 1.0, texts)
    print(HEAD)
    for count in counts:
        rounds: dict[str, list[Tally]] = {name: [] for name in clients}
        lags = []
        for _ in range(options.rounds):
            for name, client in clients.items():
                before = lag.read()
                rounds[name].append(await measure(client, count, options.seconds, texts))
                if name == OURS:
                    lags.append(lag.p99_ms(before))
        for name, tallies in rounds.items():
            print(row(count, name, tallies, spread(lags, 0) if name == OURS else ""))
        for peer in (PEER, BARE):
            ratios = [a.rate / b.rate for a, b in zip(rounds[OURS], rounds[peer], strict=True)]
            print(f"| {count} | wsproc / {peer} | {spread(ratios, 2)} | | | | |", flush=True)


def row(count: int, name: str, tallies: list[Tally], lag: str) -> str:
    """Return one row of the table."""
    cells = [
        spread([tally.rate for tally in tallies], 0),
        spread([1000 * statistics.median(tally.firsts) for tally in tallies], 0),
        spread([1000 * statistics.median(tally.jobs) for tally in tallies], 0),
        spread([1000 * quantile(tally.jobs, 0.99) for tally in tallies], 0),
    ]
    return f"| {count} | {name} | {' | '.join(cells)} | {lag} |"


def spread(values: list[float], digits: int) -> str:
    """Return the median and, behind it, the least and the most."""
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def sample_texts() -> list[str]:
    """Return texts of 2,000 to 5,000 characters: parts of the article, each beginning elsewhere."""
    article = ARTICLE.read_text(encoding="utf-8")
    doubled = article + "\n\n" + article
    starts = range(0, len(article), len(article) // 16)
    return [doubled[start : start + 2000 + 190 * n] for n, start in enumerate(starts)][:16]


class Lag:
    """The event loop's lag, read from the server's own metrics."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> dict[float, float]:
        """Return how many of the loop's timers were at most so many seconds late, by seconds."""
        name = "wsproc_event_loop_lag_seconds_bucket{le="
        with urllib.request.urlopen(self._url) as answer:
            lines = answer.read().decode().splitlines()
        rows = (line.removeprefix(name).split("} ") for line in lines if line.startswith(name))
        return {float(bound.strip('"')): float(count) for bound, count in rows}

    def p99_ms(self, before: dict[float, float]) -> float:
        """Return the bucket, in milliseconds, that 99 % of the timers since `before` lie within."""
        now = self.read()
        total = now[float("inf")] - before[float("inf")]
        within = (bound for bound in sorted(now) if now[bound] - before[bound] >= 0.99 * total)
        return 1000 * next(within)


@contextmanager
def servers(model: str) -> Iterator[tuple[dict[str, Client], Lag]]:
    """Run the servers; yield a client of each by name, and the lag of ours."""
    ports = {name: free_port() for name in (PEER, BARE, OURS)}
    commands = {name: _peer(ports[name]) for name in (PEER, BARE)}
    commands[OURS] = ["-m", "wsproc", "serve", "--port", str(ports[OURS]), "--sentiment", model]
    processes = {}
    try:
        for name, command in commands.items():
            bare = "1" if name == BARE else ""
            environment = {**os.environ, "PEER_MODEL": model, "PEER_BARE": bare}
            processes[name] = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        for name, process in processes.items():
            ready = "readyz" if name == OURS else "healthz"
            wait_for(f"http://127.0.0.1:{ports[name]}/{ready}", process)
        clients = {name: http_client("127.0.0.1", ports[name], CHUNK_SIZE) for name in (PEER, BARE)}
        clients[OURS] = websocket_client(f"ws://127.0.0.1:{ports[OURS]}/", CHUNK_SIZE)
        yield clients, Lag(f"http://127.0.0.1:{ports[OURS]}/metrics")
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def _peer(port: int) -> list[str]:
    return ["-m", "uvicorn", "benchmarks.plain_app:app", "--port", str(port)]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when a server answers; raise when its process has ended."""
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise RuntimeError(f"the server behind {url} ended with {process.returncode}")


if __name__ == "__main__":
    main()
