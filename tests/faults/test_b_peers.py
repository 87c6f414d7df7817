"""Rows B of the fault matrix: peers that read slowly, not at all, or are gone without a word."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes import FakeCall, FakeEngine, plausible
from tests.faults.conftest import House
from tests.raw import raw
from tests.waiting import until
from tests.wire import connected

PROMPT = {"type": "generate", "prompt": "x"}


@pytest.mark.parametrize("on_disconnect", ["cancel", "keep"])
async def test_a_reset_in_the_middle_of_jobs(house: House, on_disconnect: str):
    """Row B4: by a RST while one job runs and others wait; all calls are left once nobody may come
    back for them, and jobs that are to be kept run on and end.
    """
    engine = FakeEngine()
    async with house(engine, resume_s=0.05, result_ttl_s=0.1) as server:
        lost = await raw(server.port)
        for number in range(10):
            lost.send(**PROMPT, id=f"j{number}", on_disconnect=on_disconnect)
        calls = [await engine.calls.get() for _ in range(10)]
        calls[0].delta(text="one")
        lost.reset()
        if on_disconnect == "cancel":
            for call in calls:
                await call.cancelled.wait()
        else:
            await until(lambda: server.lobby.sessions.detached == 1)
            for call in calls:
                plausible(call)
        await until(lambda: server.admission.live == 0)
        assert all(call.cancelled.is_set() == (on_disconnect == "cancel") for call in calls)
        await until(lambda: len(server.lobby.sessions) == 0)


async def test_a_reset_behind_the_submit_reaches_no_engine(house: House):
    """Row B4: what the kernel still had to read is run for nobody: its call is left at once."""
    engine = FakeEngine()
    async with house(engine, resume_s=0) as server:
        for _ in range(20):
            lost = await raw(server.port)
            lost.send(**PROMPT)
            await lost.writer.drain()
            lost.reset()
            await until(lambda: len(server.gate) == 0)
            await until(lambda: not engine.open_calls)


async def test_a_client_that_sends_a_thousand_jobs_and_never_reads(house: House):
    """Row B5: 256 are taken, the others are told too_many_jobs, each once and in order."""
    engine = FakeEngine()
    settings = {"messages_per_s": 0, "resume_s": 0.1}
    async with house(engine, **settings) as server, connected(server) as other:
        one = await raw(server.port, window=4096)
        for number in range(1000):
            one.send(**PROMPT, id=f"j{number}")
        await until(lambda: server.admission.live == 256)
        await other.send(**PROMPT, id="o")
        calls = [await engine.calls.get() for _ in range(257)]
        plausible(calls[-1])
        await other.next("done", id="o")
        assert (await one.receive())["type"] == "welcome"
        answers = [await one.receive() for _ in range(1000)]
        assert [answer["id"] for answer in answers] == [f"j{number}" for number in range(1000)]
        assert [answer["type"] for answer in answers] == ["accepted"] * 256 + ["rejected"] * 744
        assert {answer["error"]["code"] for answer in answers[256:]} == {"too_many_jobs"}
        one.leave()


async def test_a_reader_that_stops_for_good(house: House):
    """Row B1: it is cut `send_timeout_s` after its last byte; healthy clients are served on."""
    engine = FakeEngine()
    limits = {"outbox_bytes": 20_000, "messages_per_s": 0}
    settings = {"send_timeout_s": 0.3, "resume_s": 0.05, **limits}
    async with house(engine, **settings) as server, connected(server) as healthy:
        slow = [await raw(server.port, window=4096) for _ in range(10)]
        for one in slow:
            one.send(**PROMPT)
        feeding = [asyncio.create_task(_feed(await engine.calls.get())) for _ in slow]
        while len(server.gate) > 1:
            await healthy.send(type="ping")
            await healthy.next("pong")
        await asyncio.gather(*feeding)
        for one in slow:
            one.leave()


async def _feed(call: FakeCall) -> None:
    """Say more than all buffers on the way hold, until the call is left."""
    while not call.cancelled.is_set():
        if len(call.said) < 1000:
            call.delta(text="x" * 10_000)
        await asyncio.sleep(0.001)


async def test_a_hundred_messages_while_a_job_is_busy(house: House):
    """Row B6: each is read and answered at once: the reader never waits for work."""
    engine = FakeEngine()
    async with house(engine) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="busy")
        call = await engine.calls.get()
        for number in range(100):
            await wire.send(type="ping", n=number)
        for number in range(100):
            assert (await wire.next("pong"))["n"] == number
        await (await wire.socket.ping())
        call.result(text="", finish_reason="eos", prompt_tokens=1, completion_tokens=0)
        call.end()
        assert (await wire.next("done"))["status"] == "completed"
