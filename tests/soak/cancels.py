"""Rows C1 and C5 and invariant 5: cancels in bursts, in races with results, and in a flood."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

from websockets.asyncio.client import connect

from tests.raw import Raw, raw
from tests.soak.process import Process, served
from tests.soak.row import Row, quantile
from tests.wire import Wire

PROMPT = {"type": "generate", "prompt": "x"}
OVER = ("cancelled", "completed", "failed")
STAGES = {"generation": {"rows": 16, "step_s": 0.001}}


async def storm(jobs: int, times: int) -> Row:
    """Row C1: so many jobs, all cancelled in one burst; a neighbour's job runs beside them."""
    row = Row(
        "C1",
        f"{jobs:,} jobs and {jobs:,} cancels in one burst, {times} times",
        "one reply and one end for each; the neighbour's results are right; nothing is left",
    )
    settings = {"max_jobs_per_connection": jobs + 1, "result_ttl_s": 1}
    ends: Counter[str] = Counter()
    async with served(settings=settings, options=STAGES) as server:
        for number in range(times):
            one = await raw(server.port)
            async with connect(server.url) as socket:
                neighbour = Wire(socket)
                await neighbour.send(**PROMPT, id="n", max_tokens=20, seed=1)
                frames = await _storm(one, jobs)
                done = await neighbour.next("done")
                whole = done["status"] == "completed"
                row.check(whole and len(done["result"]["text"].split()) == 20, f"n of {number}")
            one.leave()
            ends.update(kind for kinds in frames.values() for kind in kinds if kind in OVER)
            wrong = [job for job, kinds in frames.items() if not _is_whole(kinds)]
            row.check(len(frames) == jobs and not wrong, f"{wrong[:1]} in round {number}")
        await server.settle()
    row.told = dict(ends)
    return row


async def _storm(one: Raw, jobs: int) -> dict[str, list[str]]:
    """Submit and cancel; return the types of each job's frames, its end by its status."""
    for number in range(jobs):
        one.send(**PROMPT, id=f"j{number}", max_tokens=30)
    for number in range(jobs):
        one.send(type="cancel", id=f"j{number}")
    frames: dict[str, list[str]] = {f"j{number}": [] for number in range(jobs)}
    ended = replied = 0
    while min(ended, replied) < jobs:
        frame = await one.receive()
        if "id" in frame:
            frames[frame["id"]].append(frame["status" if frame["type"] == "done" else "type"])
            ended += frame["type"] == "done"
            replied += frame["type"] == "reply"
    one.send(type="ping")
    while (frame := await one.receive())["type"] != "pong":
        frames[frame["id"]].append("late")
    return frames


def _is_whole(kinds: list[str]) -> bool:
    """Whether a job was accepted, answered and ended once each, and nothing came behind its end."""
    once = kinds.count("accepted") == kinds.count("reply") == 1
    over = [kind for kind in kinds if kind in OVER]
    return once and len(over) == 1 and kinds[-1] in (*over, "reply") and "late" not in kinds


async def races(count: int, seed: int = 1) -> Row:
    """Row C5: a cancel at a random moment around the end of its job."""
    row = Row(
        "C5",
        f"{count:,} cancels at random moments of jobs",
        "exactly one end and one reply for each; both outcomes are seen often",
    )
    outcomes: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    slow = {"generation": {"rows": 16, "step_s": RACE_STEP_S}}
    async with served(settings={"result_ttl_s": 1}, options=slow) as server:
        each = count // LANES
        lanes = [_race(server, each, seed + lane, outcomes, ends) for lane in range(LANES)]
        await asyncio.gather(*lanes)
        await server.settle()
    row.told = {f"ended {k}": v for k, v in ends.items()} | {
        f"told {k}": v for k, v in outcomes.items()
    }
    jobs = count // LANES * LANES
    row.check(sum(ends.values()) == jobs, "not one end for each")
    row.check(sum(outcomes.values()) == jobs, "not one reply for each")
    row.in_time(min(ends["cancelled"], ends["completed"]) > jobs / 10, "hardly a race")
    return row


LANES = 8
"""Connections that race; more would be held up by their own clients."""


class _QuickWire(Wire):
    """Checks the order of frames but not their schema, which takes longer than the races here."""

    async def receive(self) -> dict[str, Any]:
        """Return the next frame."""
        frame: dict[str, Any] = json.loads(await self.socket.recv())
        self._check(frame)
        return frame


RACE_STEP_S = 0.004


async def _race(
    server: Process, count: int, seed: int, outcomes: Counter[str], ends: Counter[str]
) -> None:
    """Run jobs one after the other, each cancelled somewhere between its submit and its end.

    The wire asserts that nothing of a job comes behind its end.
    """
    dice = random.Random(seed)
    async with connect(server.url) as socket:
        wire = _QuickWire(socket)
        for number in range(count):
            job, tokens = f"j{number}", dice.randint(1, 8)
            await wire.send(**PROMPT, id=job, max_tokens=tokens)
            await asyncio.sleep(dice.random() * 1.5 * RACE_STEP_S * tokens)
            await wire.send(type="cancel", id=job)
            await wire.send(type="ping", n=number)
            done = reply = pong = False
            while not (done and reply and pong):
                frame = await wire.receive()
                if frame["type"] == "done":
                    assert not done, f"{job} ended twice"
                    done = True
                    ends[frame["status"]] += 1
                elif frame["type"] == "reply":
                    reply = True
                    outcomes[frame["outcome"]] += 1
                pong = pong or frame["type"] == "pong"


async def replies(count: int) -> Row:
    """Invariant 5: how soon a cancel is answered while another job of its connection floods."""
    row = Row(
        "I5",
        f"{count} cancels, one after the other, beside 15 generations of 200 tokens/s each",
        "reply p99 < 50 ms; no status or token of a job behind its reply",
    )
    times: list[float] = []
    settings = {"max_tokens": 10_000_000}
    options = {"generation": {"rows": 16, "step_s": 0.005}}
    async with served(settings=settings, options=options) as server:
        one = await raw(server.port)
        for number in range(15):
            one.send(**PROMPT, id=f"flood{number}", max_tokens=10_000_000)
        for number in range(count):
            job = f"j{number}"
            one.send(**PROMPT, id=job, max_tokens=10_000)
            await _next(one, "token", job)
            at = time.perf_counter()
            one.send(type="cancel", id=job)
            await _next(one, "reply", job)
            times.append(1000 * (time.perf_counter() - at))
            row.check(await _next(one, "done", job) == ["done"], f"{job} went on")
        one.send(type="cancel", id="*")
        ended = 0
        while ended < 15:
            ended += (await one.receive())["type"] == "done"
        one.leave()
        await server.settle()
    row.told = {"p50 ms": quantile(times, 0.5), "p99 ms": quantile(times, 0.99)}
    row.in_time(quantile(times, 0.99) < 50, f"p99 {quantile(times, 0.99):.0f} ms")
    return row


async def _next(one: Raw, kind: str, job: str) -> list[str]:
    """Read to a job's next frame of a type; return the types of its frames up to there."""
    kinds: list[str] = []
    while kinds[-1:] != [kind]:
        frame = await one.receive()
        if frame.get("id") == job:
            kinds.append(frame["type"])
    return kinds
