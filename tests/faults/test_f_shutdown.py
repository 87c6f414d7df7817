"""Rows F of the fault matrix: signals, at rest and under load; every job is counted."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.raw import raw
from tests.soak.process import served
from tests.soak.shutdown import rolling, under_load
from tests.wire import Wire

PROMPT = {"type": "generate", "prompt": "x"}
SLOW = {"generation": {"step_s": 0.05}}


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_at_rest(sign: signal.Signals):
    """Row F1: those who are connected are told and closed with 1012; the process ends with 0."""
    async with served() as server, connect(server.url) as socket:
        wire = Wire(socket)
        server.signal(sign)
        assert (await wire.next("goaway"))["code"] == 1012
        assert await wire.closed() == 1012
        assert await server.ended() == 0


async def test_a_signal_in_the_middle_of_jobs():
    """Row F1: what ends within `drain_s` is delivered whole, the rest is told `shutdown`."""
    async with (
        served(settings={"drain_s": 2}, options=SLOW) as server,
        connect(server.url) as socket,
    ):
        wire = Wire(socket)
        await wire.send(**PROMPT, id="short", max_tokens=3)
        await wire.send(**PROMPT, id="long", max_tokens=1000)
        await wire.next("token", id="long")
        server.signal(signal.SIGTERM)
        short = await wire.next("done", id="short")
        assert (short["status"], short["usage"]["completion_tokens"]) == ("completed", 3)
        long = await wire.next("done", id="long")
        assert (long["status"], long["reason"]) == ("cancelled", "shutdown")
        assert long["partial_result"]["text"]
        assert await wire.closed() == 1012
        assert await server.ended() == 0


async def test_a_signal_while_nobody_reads():
    """Row F1: stalled readers hold no shutdown up longer than its settings say."""
    times = {"drain_s": 0.5, "grace_s": 0.5, "send_timeout_s": 600}
    async with served(settings=times | {"outbox_bytes": 10_000}) as server:
        stalled = [await raw(server.port, window=4096) for _ in range(5)]
        for one in stalled:
            one.send(**PROMPT, max_tokens=1_000_000)
            one.send(type="generate", prompt="x", max_tokens=1024)
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0
        for one in stalled:
            one.leave()


async def test_a_second_signal_is_now():
    """Row F1: whatever the settings would still wait for, and each job has its end."""
    times = {"drain_s": 600, "grace_s": 600}
    async with (
        served(settings=times, options=SLOW) as server,
        connect(server.url) as socket,
    ):
        wire = Wire(socket)
        await wire.send(**PROMPT, id="a", max_tokens=1024)
        await wire.next("token")
        server.signal(signal.SIGTERM)
        await wire.next("goaway")
        server.signal(signal.SIGTERM)
        done = await wire.next("done")
        assert (done["status"], done["reason"]) == ("cancelled", "shutdown")
        assert await wire.closed() == 1012
        assert await server.ended() == 0


async def test_a_signal_under_load_in_small():
    """Row F2: what was accepted was answered, to the job; the soak sends five times as much."""
    row = await under_load(rate=100, seconds=1.0)
    assert row.faults == []
    assert row.told["accepted"] > 0


async def test_a_rolling_restart_in_small():
    """Row F3: two restarts under the Python client, which loses no job; the soak's are five."""
    row = await rolling(restarts=2, jobs=20)
    assert row.faults == []


async def test_nobody_reads_the_log(tmp_path: Path):
    """A closed stderr (EPIPE) or a full disk under the log ends no server."""
    command = [sys.executable, "-m", "wsproc", "serve", "--port", "0", "--log-format", "json"]
    command += ["--log-level", "info"]
    for stage in ("summary", "entities", "generation", "sentiment"):
        command += [f"--{stage}", "none"]
    command += ["--stage", "generation=tests.engine.own_stages:draw"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = ""
        async with asyncio.timeout(60):
            while not url:
                line = (await process.stdout.readline()).decode()
                url = next((word for word in line.split() if word.startswith("ws://")), "")
        process.stderr._transport.close()  # type: ignore[attr-defined]
        for _ in range(3):
            async with connect(url) as socket:
                wire = Wire(socket)
                await wire.send(**PROMPT, id="a", max_tokens=3)
                assert (await wire.next("done"))["status"] == "completed"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
