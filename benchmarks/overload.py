"""What is left of a server's capacity at ten times the load: `python -m benchmarks.overload`.

One server with the sentiment stage. In turns its capacity, by clients that always have enough jobs
waiting, and an open loop, which sends jobs by the clock whether or not they are answered. Goodput
is what was completed within its timeout, over the mean of the capacities before and after, since
machines change while they are measured. The load generator is on the same machine and takes its
share of it; the report says how much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.load import WebSocketWire, frame
from benchmarks.servers import Server, free_port
from benchmarks.stats import quantile, ratios, spread
from benchmarks.workload import sample_texts

WARM_S = 3.0
"""What is not counted at the beginning of each part."""

IN_FLIGHT = 8
TICK_S = 0.002


@dataclass
class Part:
    """What one part of the run saw; times in seconds, of what ended within the window."""

    begins: float
    ends: float
    own_cpu: float = 0.0
    sent: int = 0
    completed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    refusals: list[float] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Jobs completed a second."""
        return self.completed / (self.ends - self.begins)

    def note(self, answer: bytes, seconds: float) -> None:
        """Count an answer that came so long after its job."""
        if not self.begins <= time.perf_counter() < self.ends:
            return
        frame_ = json.loads(answer)
        if frame_.get("status") == "completed":
            self.completed += 1
            self.queued.append(frame_["timing_ms"]["queued"] / 1000)
        elif "error" in frame_:
            self.codes[frame_["error"]["code"]] += 1
            if frame_["type"] != "done":
                self.refusals.append(seconds)


class Client(WebSocketWire):
    """A connection that sends jobs without waiting, and tells of each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.on_end: Callable[[bytes, float], None] = lambda answer, seconds: None
        self._sent: dict[bytes, float] = {}
        self._made = 0

    def send(self, job: bytes) -> None:
        """Send a job, given as JSON without its first brace."""
        self._made += 1
        name = b"%d" % self._made
        self._sent[name] = time.perf_counter()
        self.live += 1
        self.transport.write(frame(0x1, b'{"id":"' + name + b'",' + job))

    def on_message(self, payload: bytes) -> None:
        """Take a server's frame; `accepted` is of no interest."""
        if payload.startswith((b'{"type":"done"', b'{"type":"rejected"', b'{"type":"error"')):
            name = payload.partition(b'"id":"')[2].partition(b'"')[0]
            self.live -= 1
            self.on_end(payload, time.perf_counter() - self._sent.pop(name))


async def closed_loop(clients: Sequence[Client], jobs: Sequence[bytes], seconds: float) -> Part:
    """Keep so many jobs in flight that the server is never idle."""
    part = _part(seconds)
    while (now := time.perf_counter()) < part.ends:
        for number, client in enumerate(clients):
            client.on_end = part.note
            while client.live < IN_FLIGHT:
                client.send(jobs[number % len(jobs)])
                part.sent += now >= part.begins
        await asyncio.sleep(TICK_S)
    return part


async def open_loop(
    clients: Sequence[Client], jobs: Sequence[bytes], seconds: float, rate: float
) -> Part:
    """Send so many jobs a second, whatever becomes of them."""
    part = _part(seconds)
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < part.ends:
        while sent < (now - began) * rate:
            client = clients[sent % len(clients)]
            client.on_end = part.note
            client.send(jobs[sent % len(jobs)])
            sent += 1
            part.sent += now >= part.begins
        await asyncio.sleep(TICK_S)
    return part


def _part(seconds: float) -> Part:
    begins = time.perf_counter() + WARM_S
    return Part(begins, begins + seconds)


async def empty(clients: Sequence[Client]) -> None:
    """Let the server forget what waits, so that the next part begins like the first."""
    for client in clients:
        client.on_end = lambda answer, seconds: None
        client.transport.write(frame(0x1, b'{"type":"cancel","id":"*"}'))
    while any(client.live for client in clients):  # noqa: ASYNC110 - a few times in a run
        await asyncio.sleep(TICK_S)


async def run(options: argparse.Namespace, port: int) -> str:
    """Measure in turns and return the report."""
    plain, timed = _jobs({}), _jobs({"timeout_ms": options.timeout_ms})
    clients = [await Client.connected(port) for _ in range(options.clients)]
    capacities = [await closed_loop(clients, plain, options.seconds)]
    overloads = []
    for _ in range(options.rounds):
        await empty(clients)
        cpu = time.process_time()
        rate = options.times * capacities[-1].rate
        overloads.append(await open_loop(clients, timed, options.seconds, rate))
        overloads[-1].own_cpu = (time.process_time() - cpu) / (options.seconds + WARM_S)
        await empty(clients)
        capacities.append(await closed_loop(clients, plain, options.seconds))
    for client in clients:
        client.transport.abort()
    return report(capacities, overloads)


def _jobs(more: dict[str, int]) -> list[bytes]:
    fields = {"type": "batch", "include_summary": False, **more}
    texts = sample_texts(least=4000, most=5000)
    return [json.dumps({**fields, "text": text})[1:].encode() for text in texts]


def report(capacities: Sequence[Part], overloads: Sequence[Part]) -> str:
    """Return the figures as a Markdown table: medians, with the least and the most round."""
    means = [(one.rate + other.rate) / 2 for one, other in pairwise(capacities)]
    goodput = ratios([one.rate for one in overloads], means)
    codes = sum((one.codes for one in overloads), Counter())
    refusals = [seconds for one in overloads for seconds in one.refusals]
    queued = [seconds for one in overloads for seconds in one.queued]
    sent = [one.sent / (one.ends - one.begins) for one in overloads]
    rows = [
        ("capacity, jobs/s", spread([one.rate for one in capacities], 1)),
        ("sent, jobs/s", spread(sent, 0)),
        ("completed, jobs/s", spread([one.rate for one in overloads], 1)),
        ("goodput over capacity", spread(goodput, 2)),
        ("completed, and not", ", ".join(_counted(overloads, codes))),
        ("refused after, ms (median, 99 %)", _ms(refusals)),
        ("waited for the first work, ms (median, 99 %)", _ms(queued)),
        ("the load generator's share of a core", spread([one.own_cpu for one in overloads], 2)),
    ]
    return "\n".join(["| | |", "|-|-|", *(f"| {name} | {value} |" for name, value in rows)])


def _counted(overloads: Sequence[Part], codes: Counter[str]) -> Iterator[str]:
    yield f"completed {sum(one.completed for one in overloads)}"
    yield from (f"`{code}` {count}" for code, count in codes.most_common())


def _ms(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    return ", ".join(f"{1000 * quantile(seconds, share):.1f}" for share in (0.5, 0.99))


def main() -> None:
    """Start a server, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded", help="the sentiment model")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each part of a round")
    parser.add_argument("--times", type=float, default=10.0, help="the load over the capacity")
    parser.add_argument("--timeout-ms", type=int, default=5000)
    parser.add_argument("--max-queue-s", type=float, default=60.0)
    options = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "wsproc", "serve", "--port", str(port)]
    command += ["--sentiment", options.model, "--max-queue-s", str(options.max_queue_s)]
    for stage in ("summary", "entities", "generation"):
        command += [f"--{stage}", "none"]
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        server = Server("wsproc", command, {}, port, Path(folder, "log"), Path(folder))
        try:
            server.start()
            with suppress(KeyboardInterrupt):
                print(asyncio.run(run(options, port)))
        finally:
            server.end()


if __name__ == "__main__":
    main()
