"""Rows G of the fault matrix, and the soak's rows in small: the same functions, fewer of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from tests.fakes import FakeEngine, plausible
from tests.faults.conftest import House
from tests.raw import Raw, raw
from tests.soak import cancels, connections, load, messages, peers, workers
from tests.soak.__main__ import bounded, report
from tests.soak.process import served
from tests.soak.row import Row
from tests.waiting import until
from tests.wire import connected


@pytest.mark.parametrize("hours", [1, -1])
async def test_the_clock_of_the_wall_jumps(
    house: House, monkeypatch: pytest.MonkeyPatch, hours: int
):
    """Row G2: nothing times out and nothing is kept for ever: times run on a steady clock."""
    engine = FakeEngine()
    async with house(engine, resume_s=30, heartbeat_s=0.05) as server:
        async with connected(server, subprotocols=["wsproc.v1"]) as wire:
            await wire.send(type="generate", id="a", prompt="x", timeout_ms=60_000)
            await wire.send(type="process", id="b", text="", open=True, include_summary=False)
            call = await engine.calls.get()
            now = time.time
            monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
            for _ in range(3):
                await wire.next("heartbeat")
            assert server.admission.live == 2
            plausible(call)
            assert (await wire.next("done", id="a"))["status"] == "completed"
            await wire.send(type="append", id="b", text="A text that is fine.", final=True)
            plausible(await engine.calls.get())
            done = await wire.next("done", id="b")
            assert done["status"] == "completed"
            assert 0 <= done["timing_ms"]["run"] < 60_000
            await wire.socket.close()
        await until(lambda: server.admission.live == 0)


async def test_no_file_is_left_to_open():
    """Row G3: with fewer files than clients those who are in are served, nothing crashes, and when
    some leave the next come in.
    """
    async with served(files=64) as server:
        inside: list[Raw] = []
        waiting: list[asyncio.Task[Raw]] = []
        for _ in range(80):
            coming = asyncio.create_task(raw(server.port))
            await asyncio.wait([coming], timeout=0 if waiting else 2)
            if coming.done():
                inside.append(await coming)
            else:
                waiting.append(coming)
        assert len(inside) > 20
        assert waiting
        for one in inside:
            assert (await one.receive())["type"] == "welcome"
            one.send(type="generate", prompt="x", max_tokens=2)
            while (await one.receive())["type"] != "done":
                pass
            one.leave()
        for coming in waiting:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                (await coming).leave()
        await server.settle("socket.accept() out of system resource")


SMALL: dict[str, Callable[[], Coroutine[Any, Any, Row]]] = {
    "A1": lambda: connections.idle(200, limit_kib=100),
    "A3": lambda: connections.churn(2, 100),
    "B1": lambda: peers.slow_readers(5, 2, 1.0, timed_s=0.3),
    "B2": lambda: peers.stopped("streaming", 1.0),
    "B3": lambda: peers.half_open("streaming", 1.0),
    "C1": lambda: cancels.storm(100, 2),
    "C5": lambda: cancels.races(100),
    "I5": lambda: cancels.replies(3),
    "D1": lambda: messages.big(2),
    "D5": lambda: messages.tiny_objects(1, 50),
    "D7": lambda: messages.fuzzed(2000),
    "E2": lambda: workers.killed(2),
    "G1": lambda: load.lag(5, 4, 0.5),
    "G4": lambda: load.overload(5, 2, weight=1),
    "G5": lambda: load.fairness(100, 5, 5),
    "G6": lambda: load.mixed(6, 3),
}


@pytest.mark.parametrize("name", SMALL)
async def test_the_soaks_rows_in_small(name: str, monkeypatch: pytest.MonkeyPatch):
    """Rows A1, A3, B1, B2, B3, C1, C5, D1, D5, D7, E2, G1, G4, G5, G6 and invariant 5: they end,
    nothing is left of them, no error is logged and nobody gets what is wrong. How long they take
    is the soak's: it says nothing of a machine on which tests run beside each other.
    """
    monkeypatch.setattr("benchmarks.overload.WARM_S", 0.3)
    row = await SMALL[name]()
    if "skipped" in row.told:
        pytest.skip(row.told["skipped"])
    assert row.name == name
    assert row.faults == []


async def test_a_row_that_breaks_is_a_failure_in_the_report():
    """And does not keep the others from being run."""

    async def broken() -> Row:
        raise RuntimeError("no such\nthing")

    async def endless() -> Row:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    rows = [await bounded(broken, "A1", 10), await bounded(endless, "A3", 0.01)]
    assert [row.passed for row in rows] == [False, False]
    rows.append(Row("B1", "this | that", "none", {"x": 1.23456, "y": [1, 2]}))
    page = report(rows, "python -m tests.soak", "Run somewhere.")
    assert "Run somewhere. The command was `python -m tests.soak`" in page
    assert "Of 3 runs 1 passed, 0 were skipped, 2 failed." in page
    assert "| B1 | this / that | x 1.23, y 1 2 | none | pass | 0 |" in page
    assert "FAIL: RuntimeError: no such thing" in page
    assert "FAIL: it took too long" in page
