"""Rows G1, G4, G5 and G6: more load than there is capacity, and load for a long time."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import time
import urllib.request
from collections import Counter
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.overload import Client, closed_loop, empty, open_loop
from tests.raw import raw
from tests.soak.fuzz import Fuzz
from tests.soak.process import TEXT, Process, served
from tests.soak.row import Row, quantile
from tests.wire import Wire

MIB = 1 << 20
SENTENCES = 64
"""Tokens of a few sentences; the engine's turns between owners are as long."""

DIED = "the device worker died"
JOB = json.dumps({"type": "batch", "include_summary": False, "text": TEXT})[1:].encode()
TIMED = json.dumps({"type": "batch", "include_summary": False, "text": TEXT, "timeout_ms": 5000})[
    1:
].encode()


async def lag(clients: int, in_flight: int, seconds: float) -> Row:
    """Row G1: so many connections with so many short jobs in flight; the loop is sampled.

    First with a device of 1,000 items a second, some times what the embedded classifier does on
    two cores. Then with one that is quicker than the server: all jobs in flight stand in the loop,
    which is as late as they take together, and only told.
    """
    row = Row(
        "G1",
        f"{clients} connections with {in_flight} jobs in flight for {seconds:.0f} s, on a device of"
        " 1,000 items/s; then on one that is quicker than the server",
        "on the first: loop lag p99 < 20 ms, max < 100 ms",
    )
    rate, late = await _sampled({"rows": 16, "step_s": 0.016}, clients, in_flight, seconds)
    most, behind = await _sampled({"rows": 64, "step_s": 0.01}, clients, in_flight, seconds)
    row.told = {
        "jobs/s": rate,
        "lag p99 ms": late["p99"],
        "lag max ms": late["max"],
        "then jobs/s": most,
        "then lag p99 ms": behind["p99"],
    }
    row.in_time(late["p99"] < 20, f"lag p99 {late['p99']:.0f} ms")
    row.in_time(late["max"] < 100, f"lag max {late['max']:.0f} ms")
    return row


async def _sampled(
    device: dict[str, float], clients: int, in_flight: int, seconds: float
) -> tuple[float, dict[str, float]]:
    """Keep so many jobs in flight on a device; return the jobs a second and the lag in ms."""
    async with served(options={"sentiment": device}) as server:
        wires = [await Client.connected(server.port) for _ in range(clients)]
        ended = itertools.count()
        for wire in wires:
            wire.on_end = lambda answer, took: next(ended)
        await server.state()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for wire in wires:
                while wire.live < in_flight:
                    wire.send(JOB)
            await asyncio.sleep(0.002)
        seen = (await server.state())["lag"]
        rate = next(ended) / seconds
        await empty(wires)
        for wire in wires:
            wire.transport.abort()
        await server.settle()
    return rate, {name: 1000 * value for name, value in seen.items()}


async def overload(times: float, seconds: float, weight: int, max_queue_s: float = 2.0) -> Row:
    """Row G4: an open loop at so many times what the device can do, of jobs of so many tokens: as
    many as a turn has, or so few that one owner's bunch of jobs fits into it.
    """
    row = Row(
        "G4",
        f"{times:.0f} times the capacity for {seconds:.0f} s, open loop, jobs of {weight} tokens",
        f"goodput >= 80 % of capacity; refused within 50 ms (p99); served jobs waited <="
        f" {max_queue_s * 1.5:.0f} s (p99)",
    )
    device = {"sentiment": {"rows": 4, "step_s": 0.04, "weight": weight}}
    async with served(options=device, settings={"max_queue_s": max_queue_s}) as server:
        clients = [await Client.connected(server.port) for _ in range(16)]
        before = await closed_loop(clients, [JOB], seconds / 2)
        await empty(clients)
        over = await open_loop(clients, [TIMED], seconds, times * before.rate)
        await empty(clients)
        after = await closed_loop(clients, [JOB], seconds / 2)
        await empty(clients)
        for client in clients:
            client.transport.abort()
        await server.settle()
    capacity = (before.rate + after.rate) / 2
    refused, waited = quantile(over.refusals, 0.99), quantile(over.queued, 0.99)
    row.told = {
        "capacity jobs/s": capacity,
        "sent jobs/s": over.sent / seconds,
        "goodput / capacity": over.rate / capacity,
        "refused p99 ms": 1000 * refused,
        "waited p99 s": waited,
        **over.codes,
    }
    row.in_time(over.rate >= 0.8 * capacity, f"goodput {over.rate / capacity:.2f} of capacity")
    row.in_time(refused < 0.05, f"refused after {1000 * refused:.0f} ms")
    row.in_time(waited <= max_queue_s * 1.5, f"waited {waited:.1f} s")
    return row


async def fairness(greedy: int, modest: int, rounds: int) -> Row:
    """Row G5: one connection with many jobs, and some with one each, again and again."""
    row = Row(
        "G5",
        f"one connection with {greedy:,} jobs waiting, {modest} with one each, {rounds} rounds",
        "p99 of the modest < 3 times what it is without the greedy one",
    )
    device = {"sentiment": {"rows": 16, "step_s": 0.02, "weight": SENTENCES}}
    settings = {"max_jobs_per_connection": greedy + 1, "max_queue_s": 0}
    async with served(options=device, settings=settings) as server:
        alone = await _one_each(server, modest, rounds)
        hog = await Client.connected(server.port)
        ended = itertools.count()
        hog.on_end = lambda answer, took: next(ended)
        keeping = asyncio.create_task(_keep(hog, greedy))
        await server.until(lambda now: now["live"] >= greedy // 2)
        beside = await _one_each(server, modest, rounds)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        hog.transport.abort()
        # A lost client's jobs wait for its return; here they may as well run.
        await server.settle()
    before, during = quantile(alone, 0.99), quantile(beside, 0.99)
    row.told = {
        "alone p99 ms": 1000 * before,
        "beside p99 ms": 1000 * during,
        "ratio": during / before,
        "of the greedy one ended": next(ended),
    }
    row.in_time(during < 3 * before, f"{during / before:.1f} times")
    return row


async def _keep(hog: Client, jobs: int) -> None:
    while True:
        while hog.live < jobs:
            hog.send(JOB)
        await asyncio.sleep(0.005)


async def _one_each(server: Process, clients: int, rounds: int) -> list[float]:
    """Let each of so many connections run one job at a time; return how long each took."""
    wires = [await Client.connected(server.port) for _ in range(clients)]
    times: list[float] = []
    for wire in wires:
        wire.on_end = lambda answer, took: times.append(took)
    for number in range(rounds):
        for wire in wires:
            wire.send(JOB)
        async with asyncio.timeout(60):
            while len(times) < clients * (number + 1):  # noqa: ASYNC110 - 100 times in a run
                await asyncio.sleep(0.001)
    for wire in wires:
        wire.transport.abort()
    return times


async def mixed(seconds: float, every_s: float) -> Row:
    """Row G6: steady clients, and every so often a storm of cancels, lost connections, a fuzzer and
    a killed worker, all at once.
    """
    row = Row(
        "G6",
        f"{seconds:.0f} s of steady clients; every {every_s:.0f} s cancels, resets, fuzz, kill -9",
        "no job of a steady client fails; accepted = ended; memory + < 1 MiB/min after a third",
    )
    settings = {"resume_s": 1, "result_ttl_s": 2, "input_timeout_s": 1}
    options = {"generation": {"rows": 32, "step_s": 0.005}, "sentiment": {"step_s": 0.002}}
    memory: list[tuple[float, float]] = []
    async with served(settings=settings, options=options) as server:
        began = time.monotonic()
        until = began + seconds
        steady = [asyncio.create_task(_steady(server, until, n)) for n in range(6)]
        rounds = 0
        while time.monotonic() < until - every_s / 2:
            await _trouble(server, rounds)
            rounds += 1
            pause = began + rounds * every_s - time.monotonic()
            for _ in range(int(max(0.0, min(pause, until - time.monotonic())))):
                await asyncio.sleep(1)
                memory.append((time.monotonic() - began, (await server.state())["memory"] / MIB))
        done = await asyncio.gather(*steady, return_exceptions=True)
        state = await server.settle(DIED)
        accepted, ended = await asyncio.to_thread(_counters, server.port)
    failed = [repr(one) for one in done if isinstance(one, BaseException)]
    slope = _slope([(at, mib) for at, mib in memory if at > seconds / 3])
    row.told = {
        "steady jobs": sum(one for one in done if isinstance(one, int)),
        "rounds of trouble": rounds,
        "deaths": state["deaths"],
        "accepted": accepted,
        "ended": ended,
        "MiB/min": slope,
        "MiB": memory[-1][1] if memory else 0.0,
    }
    row.check(failed == [], f"a steady client: {failed[:1]}")
    row.check(accepted == ended, f"{accepted} accepted, {ended} ended")
    row.check(slope < 1 or seconds < 60, f"{slope:.1f} MiB/min")
    return row


async def _steady(server: Process, until: float, seed: int) -> int:
    """Run jobs one after the other, each checked; return how many."""
    async with connect(server.url) as socket:
        wire = Wire(socket)
        for number in itertools.count():
            if time.monotonic() > until:
                return number
            await wire.send(type="generate", id=f"s{number}", prompt="x", max_tokens=40, seed=seed)
            done = await wire.next("done")
            text = "".join(f["text"] for f in wire.of(f"s{number}") if f["type"] == "token")
            if done["status"] != "completed" or text != done["result"]["text"]:
                raise AssertionError(f"{done}")
            wire.frames.clear()
    raise AssertionError("unreachable")


async def _trouble(server: Process, number: int) -> None:
    state = await server.state()
    await asyncio.gather(
        _storm(server), _resets(server), Fuzz(number).run(server.port, 200), return_exceptions=False
    )
    if not state["down"]:
        with suppress(ProcessLookupError):
            os.kill(state["workers"]["device"], signal.SIGKILL)


async def _storm(server: Process) -> None:
    async with connect(server.url, max_queue=None) as socket:
        with suppress(ConnectionClosed):
            for number in range(100):
                await socket.send(
                    json.dumps({"type": "generate", "prompt": "x", "id": f"{number}"})
                )
            await socket.send('{"type":"cancel","id":"*"}')
            await socket.close()


async def _resets(server: Process) -> None:
    for _ in range(10):
        one = await raw(server.port)
        for _ in range(5):
            one.send(type="generate", prompt="x", max_tokens=100)
        await one.receive()
        one.reset()


def _counters(port: int) -> tuple[int, int]:
    """Return how many jobs were accepted and how many ended, by the server's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    sums: Counter[str] = Counter()
    for name, value in re.findall(r"^(wsproc_jobs(?:_accepted)?_total)\{.*\} (\S+)$", page, re.M):
        sums[name] += int(float(value))
    return sums["wsproc_jobs_accepted_total"], sums["wsproc_jobs_total"]


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of a line through the points, by least squares, for a minute."""
    if len(points) < 2:
        return 0.0
    at = sum(x for x, _ in points) / len(points)
    mib = sum(y for _, y in points) / len(points)
    spread = sum((x - at) ** 2 for x, _ in points)
    return 60 * sum((x - at) * (y - mib) for x, y in points) / spread
