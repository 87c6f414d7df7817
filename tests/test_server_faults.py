"""Jobs over the wire while their workers die: a real engine, stages without a model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_faults import Gate
from tests.waiting import until_elsewhere
from tests.wire import connected, http
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig, circuit
from wsproc.server import Server

OWN = "tests.engine.own_stages"


@pytest.fixture(autouse=True)
def _quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart at once: the pause between two starts is for people's machines."""
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(circuit, "LONGEST_PAUSE_S", 0.01)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate at which a generation waits before its fourth word."""
    return Gate(tmp_path / "gate")


@pytest.fixture
def start(tmp_path: Path) -> Gate:
    """A gate at which a worker waits before it serves."""
    return Gate(tmp_path / "start")


@pytest.fixture
async def server(gate: Gate, start: Gate):
    """A server with a sentiment and a generation of the test's own, in one worker."""
    options = {"generation": {"gate": gate.path, "start": start.path}}
    own = {"sentiment": f"{OWN}:cheerful", "generation": f"{OWN}:draw"}
    engine = EngineConfig(models={}, own_stages=own, threads=1, niceness=0, options=options)
    times = {"probe_s": 0.1, "probe_timeout_s": 0.3, "drain_s": 0}
    config = ServerConfig(port=0, engine=engine, max_tokens=10**6, **times)
    async with Server(config) as server:
        yield server


def kill(server: Server) -> None:
    """Kill the worker the hard way."""
    os.kill(server.engine.pids["device"], signal.SIGKILL)


def is_down(server: Server) -> Callable[[], bool]:
    """Return whether the server has seen that its worker is gone."""
    return lambda: server.engine.down != ()


async def told(server: Server, path: str = "/readyz") -> tuple[int, list[str]]:
    """Return what a balancer, or a supervisor, is told: the status and the reasons."""
    status, _, body = await http(server, path)
    return status, json.loads(body)["reasons"]


def check_generation(frames: list[dict[str, Any]], words: int) -> None:
    """Check a completed generation: the tokens joined are the text, `seq` has no hole, one done."""
    *_, done = frames
    text = "".join(frame["text"] for frame in frames if frame["type"] == "token")
    assert (done["type"], done["status"]) == ("done", "completed")
    assert done["result"]["text"] == text
    assert len(text.split()) == words
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame["type"] for frame in frames].count("done") == 1


@pytest.mark.parametrize("seed", [{}, {"seed": 3}], ids=["random seed", "seed"])
async def test_a_generation_goes_on_behind_its_tokens(server: Server, gate: Gate, seed: dict):
    """Its worker is killed behind the third token: the client sees a pause, and nothing else."""
    gate.shut()
    async with connected(server) as wire:
        await wire.send(type="generate", id="g", prompt="x", max_tokens=12, **seed)
        async with gate.reached():
            while sum(len(f["text"].split()) for f in wire.of("g") if f["type"] == "token") < 3:
                await wire.next("token")
            kill(server)
        await wire.next("done")
        check_generation(wire.of("g"), 12)


async def test_many_jobs_of_a_killed_worker(server: Server, gate: Gate):
    """Row E1: thirty generations and thirty texts of three clients: each is done, once and right.

    Row E1.
    """
    gate.shut()
    async with connected(server) as one, connected(server) as two, connected(server) as three:
        wires = (one, two, three)
        text = "It was a lovely day by the sea. " * 20
        for n in range(10):
            for wire in wires:
                await wire.send(type="generate", id=f"g{n}", prompt="x", max_tokens=5 + n)
                await wire.send(type="process", id=f"p{n}", text=text, include_summary=False)
        async with gate.reached():
            kill(server)
        for wire in wires:
            for _ in range(20):
                await wire.next("done")
            for n in range(10):
                check_generation(wire.of(f"g{n}"), 5 + n)
                *_, done = wire.of(f"p{n}")
                assert done["result"]["failed_stages"] == []
                assert done["result"]["sentiment"]["positive_chunks"] == 4


async def test_a_text_that_crashes_the_worker_fails_alone(server: Server):
    """Row E4: its stage with engine_error; the job ends, the neighbours' jobs are right."""
    async with connected(server) as wire, connected(server) as other:
        poison, fine = "abort, abort, abort", "It was a lovely day by the sea."
        for n in range(8):
            await other.send(type="process", id=f"n{n}", text=fine, include_summary=False)
        await wire.send(type="process", id="p", text=poison, include_summary=False)
        error = (await wire.next("status", status="sentiment_error"))["error"]
        assert error["code"] == "engine_error"
        done = await wire.next("done", id="p")
        assert (done["status"], done["result"]["failed_stages"]) == ("completed", ["sentiment"])
        for _ in range(8):
            done = await other.next("done")
            assert done["result"]["failed_stages"] == []
        await wire.send(type="process", id="q", text=fine, include_summary=False)
        assert (await wire.next("done"))["result"]["failed_stages"] == []


async def test_a_job_that_comes_while_a_worker_is_restarted(server: Server, start: Gate):
    """It is taken and waits; a balancer is told to prefer another server until the worker serves.

    A cancel of it, or its deadline, ends it also then.

    Row E9.
    """
    assert await told(server) == (200, [])
    start.shut()
    kill(server)
    await until_elsewhere(is_down(server))
    words = "being started: device; jobs are taken and wait"
    async with connected(server) as wire:
        async with start.reached():
            assert await told(server) == (503, [words])
            assert await told(server, "/healthz") == (200, [])
            for job in ("waits", "leaves"):
                await wire.send(type="generate", id=job, prompt="x", max_tokens=4)
            await wire.send(type="generate", id="expires", prompt="x", timeout_ms=1)
            await wire.next("accepted", id="expires")
            await wire.send(type="cancel", id="leaves")
            await wire.until(lambda frame: frame.get("id") == "leaves" and frame["type"] == "done")
            done = await _done(wire, "leaves"), await _done(wire, "expires")
            assert [one["status"] for one in done] == ["cancelled", "failed"]
            assert done[1]["error"]["code"] == "deadline_exceeded"
        await _done(wire, "waits")
        check_generation(wire.of("waits"), 4)
    assert await told(server) == (200, [])


async def test_a_worker_that_dies_five_times_in_a_minute(server: Server, start: Gate, gate: Gate):
    """What waits fails, new jobs are rejected and a balancer is told why, until it serves again.

    Row E2.
    """
    words = "the device worker died too often and is being started again"
    async with connected(server) as wire:
        for _ in range(circuit.DEATHS - 1):
            kill(server)
            await until_elsewhere(is_down(server))
            await until_elsewhere(lambda: server.engine.down == ())
        gate.shut()
        await wire.send(type="generate", id="g", prompt="x", max_tokens=5)
        async with gate.reached():
            start.shut()
            kill(server)
        done = await _done(wire, "g")
        assert (done["status"], done["error"]["code"]) == ("failed", "model_unavailable")
        async with start.reached():
            await wire.send(type="generate", id="h", prompt="x")
            rejected = await wire.next("rejected", id="h")
            assert rejected["error"]["code"] == "model_unavailable"
            assert rejected["error"]["message"] == words
            assert rejected["error"]["retryable"]
            assert await told(server) == (503, [words])
            assert await told(server, "/healthz") == (503, [words])
        await until_elsewhere(lambda: server.engine.down == ())
        assert await told(server, "/healthz") == (200, [])
        assert await told(server) == (200, [])
        await wire.send(type="generate", id="h", prompt="x", max_tokens=4)
        await _done(wire, "h")
        assert wire.of("h")[-1]["status"] == "completed"


async def test_a_worker_that_is_stopped_is_told_before_it_is_killed(server: Server):
    """It takes the probe and finishes nothing: neither healthy nor ready, and well again after.

    Row E3.
    """
    assert await told(server, "/healthz") == (200, [])
    pid = server.engine.pids["device"]
    os.kill(pid, signal.SIGSTOP)
    await until_elsewhere(lambda: not server.health().well)
    status, reasons = await told(server, "/healthz")
    assert status == 503
    assert "the device worker was tried" in reasons[0]
    assert (await told(server))[0] == 503
    os.kill(pid, signal.SIGCONT)
    await until_elsewhere(lambda: server.health().well)
    assert await told(server, "/healthz") == await told(server) == (200, [])
    assert server.engine.workers["device"].deaths == 0


async def test_health_does_not_flap_under_a_long_job(server: Server, gate: Gate):
    """What comes of its steps proves the worker, or else a probe that gets in between two."""
    loop = asyncio.get_running_loop()
    async with connected(server) as wire:
        await wire.send(type="generate", id="g", prompt="x", max_tokens=10**6)
        await wire.next("token")
        ending = loop.time() + 3 * (server.config.probe_s + server.config.probe_timeout_s)
        while loop.time() < ending:
            await wire.next("token")
            assert server.health().well


async def test_the_server_closes_while_a_worker_is_restarted(server: Server, start: Gate):
    """Its jobs end, its clients are told, and no process stays."""
    start.shut()
    kill(server)
    await until_elsewhere(is_down(server))
    async with connected(server) as wire:
        await wire.send(type="generate", id="g", prompt="x")
        await wire.next("accepted")
        async with start.reached():
            pass
        closing = asyncio.create_task(server.close())
        done = await _done(wire, "g")
        assert (done["status"], done["reason"]) == ("cancelled", "shutdown")
        assert await wire.closed() == 1012
        await closing
    assert server.engine.pids == {}


async def _done(wire: Any, job: str) -> dict[str, Any]:
    """Return the end of a job, which may have come already."""
    for frame in wire.of(job):
        if frame["type"] == "done":
            return frame
    return await wire.next("done", id=job)
