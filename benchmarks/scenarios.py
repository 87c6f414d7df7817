"""Two further questions: a short job beside long ones, and what a job costs that was left."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.load import RAMP_S, Session, Tally, WebSocketSession
from benchmarks.peers.counting import Counts
from benchmarks.servers import Server
from benchmarks.workload import SHORT, marked

_PAUSE_S = 0.02
_QUIET_S = 0.3

STALL_S = 60.0
"""A server whose clients are not done so long after their time has stalled."""


@asynccontextmanager
async def full_load(server: Server, clients: int, texts: Sequence[str]) -> AsyncIterator[Tally]:
    """Keep so many clients busy; wait for their last jobs in the end."""
    sessions = await asyncio.gather(*(server.open() for _ in range(clients)))
    tally = Tally()
    over = asyncio.Event()

    async def client(session: Session, number: int) -> None:
        while not over.is_set():
            await tally.run(session, texts[number % len(texts)])
            number += 1

    tasks = [asyncio.create_task(client(one, n)) for n, one in enumerate(sessions)]
    try:
        await asyncio.sleep(RAMP_S)
        yield tally
        over.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in sessions:
            session.close()


@dataclass
class Short:
    """First results of a short job in ms, alone and beside long ones; and the server's step."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    step_ms: float = 0.0

    @property
    def steps(self) -> float:
        """How many steps more the short job takes beside the long ones, by the medians."""
        more = statistics.median(self.beside) - statistics.median(self.alone)
        return more / self.step_ms if self.step_ms else float("nan")


async def short_beside_long(server: Server, clients: int, seconds: float, long: str) -> Short:
    """Run a job of one chunk again and again, alone and beside so many long ones."""
    short = Short(alone=await _shorts(server, seconds / 2))
    async with full_load(server, clients, [long]):
        before = server.counted()
        short.beside = await _shorts(server, seconds)
        short.step_ms = step_ms(server.counted() - before)
    return short


async def _shorts(server: Server, seconds: float) -> list[float]:
    session = await server.open()
    tally = Tally()
    await tally.run(session, SHORT)  # the first on a connection is not counted
    tally = Tally()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await tally.run(session, SHORT)
        await asyncio.sleep(_PAUSE_S)
    session.close()
    return [1000 * first for first in tally.firsts]


def step_ms(counts: Counts) -> float:
    """Return the mean time of a step; 0 where the server tells nothing."""
    return counts.busy_ns / counts.steps / 1e6 if counts.steps else 0.0


@dataclass
class Stops:
    """What happened behind cancels at full load, in ms.

    `device` is how long the device went on working for the job: as the engine says for wsproc, and
    by the model's own count for the peers. `seen` is when the client heard of the end. `chunks`
    were computed for nobody, a job. `stalled` is whether the server answered its other clients no
    more, or hung up on one.
    """

    device: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    chunks: list[float] = field(default_factory=list)
    step_ms: float = 0.0
    stalled: bool = False


async def stops(server: Server, clients: int, seconds: float, texts: Sequence[str]) -> Stops:
    """Leave one job after the other at a random moment of its life while other clients keep on."""
    found = Stops()
    try:
        async with asyncio.timeout(seconds + STALL_S):
            await _stops(server, clients, seconds, texts, found)
    except (TimeoutError, ConnectionError):
        found.stalled = True
    return found


async def _stops(
    server: Server, clients: int, seconds: float, texts: Sequence[str], found: Stops
) -> None:
    moments = random.Random(0)
    async with full_load(server, clients, texts) as tally:
        while len(tally.jobs) < clients:  # noqa: ASYNC110 - jobs end by the dozen
            await asyncio.sleep(_PAUSE_S)
        before = server.counted()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            life_s = statistics.median(tally.wholes)
            moment_s = moments.uniform(0, life_s)
            if server.ours:
                await _cancel(server, texts[-1], moment_s, found)
            else:
                await _leave(server, marked(texts[-1]), moment_s, life_s, found)
        found.step_ms = step_ms(server.counted() - before)


async def _cancel(server: Server, text: str, moment_s: float, found: Stops) -> None:
    """Cancel a job of wsproc's."""
    session = await server.open()
    assert isinstance(session, WebSocketSession)
    job = asyncio.create_task(session.finished(text, _ignored))
    await asyncio.sleep(moment_s)
    asked = time.monotonic()
    session.cancel()
    done = await job
    if done["status"] == "cancelled":
        found.seen.append(1000 * (time.monotonic() - asked))
        found.device.append(done["timing_ms"]["stop"])
    session.close()


async def _leave(server: Server, text: str, moment_s: float, life_s: float, found: Stops) -> None:
    """Close a peer's connections, which is how a job of theirs is cancelled."""
    session = await server.open()
    job = asyncio.create_task(session.job(text, _ignored))
    await asyncio.sleep(moment_s)
    in_time = not job.done()
    session.close()
    left_ns = time.monotonic_ns()
    before = server.counted()
    after = await _quiet(server, life_s + _QUIET_S)
    if in_time:
        found.device.append(max(0.0, (after.marked_ns - left_ns) / 1e6))
        found.chunks.append(after.marked - before.marked)
    with suppress(ConnectionError):
        await job


async def _quiet(server: Server, seconds: float) -> Counts:
    """Return the counts when no marked chunk was computed for so long."""
    now = server.counted()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(_PAUSE_S)
        last, now = now, server.counted()
        if now.marked != last.marked:
            until = time.monotonic() + seconds
    return now


def _ignored() -> None:
    pass
