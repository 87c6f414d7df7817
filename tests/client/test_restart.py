"""Servers that restart and lines that break, for real: no job that may be retried is lost.

The engine is played: it writes the words of a prompt one after the other, slowly enough to be
interrupted, and the same ones for the same prompt and seed.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest

import wsproc
from tests.client.scripted import Watch
from tests.fakes import FakeCall, FakeEngine, fake_server

AT_ONCE = wsproc.Reconnect(first_delay_s=0.005, max_delay_s=0.05, max_time_s=20)
WORDS = 12
PACE_S = 0.01


def slowly(call: FakeCall) -> None:
    """Write word after word, or judge chunk after chunk, a moment apart."""
    loop = asyncio.get_running_loop()
    steps = _words(call) if call.stage == "generation" else _chunks(call)

    def step() -> None:
        if call.stream.end is None and not call.cancelled.is_set():
            if next(steps, None) is None:
                call.end()
            else:
                loop.call_later(PACE_S, step)

    loop.call_soon(step)


def _words(call: FakeCall):
    prompt, seed = call.items[0]["prompt"], call.items[0]["seed"]
    dice = random.Random(f"{prompt} {seed}")
    width = 10_000 if "wide" in prompt else 1
    words = [f" {dice.randrange(1000):0{width}}" for _ in range(WORDS)]
    for word in words:
        call.delta(text=word)
        yield True
    call.result(text="".join(words), prompt_tokens=1, completion_tokens=WORDS)
    yield True


def _chunks(call: FakeCall):
    for index in range(len(call.items)):
        call.result(index, sentiment="NEUTRAL", confidence=0.5)
        yield True


@asynccontextmanager
async def serving(port: int = 0, **settings):
    """A server that works slowly; it is drained at the end."""
    settings = {"max_text_chars": 20_000, **settings}
    async with fake_server(FakeEngine(answers=slowly), port=port, **settings) as server:
        yield server


async def told(job) -> str:
    """Read a job by its tokens; they must be its text."""
    pieces = [piece async for piece in job.tokens()]
    assert "".join(pieces) == (await job.result())["text"]
    return "".join(pieces)


@pytest.mark.parametrize("drain_s", [0, 20])
async def test_five_restarts_lose_no_job(drain_s):
    """Row F3: jobs of each kind go on over five servers, which let them end or stop them at once.

    Row F3.
    """
    text = "It is so. " * 100
    states = Watch()
    async with serving(drain_s=drain_s) as server:
        port = server.port
        client = wsproc.connect(server.url, reconnect=AT_ONCE, on_state=states)
        await client.open()
        jobs = [await client.generate(f"prompt {n}") for n in range(20)]
        generated = [asyncio.create_task(told(job)) for job in jobs]
        processed = asyncio.create_task(
            client.process(text, chunk_size=50, include_summary=False).result()
        )
        batch = asyncio.create_task(client.batch(texts=[text] * 2, include_summary=False).result())
        await asyncio.sleep(3 * PACE_S)
    late = []
    for n in range(4):
        late.append(asyncio.create_task(client.generate(f"late {n}").result()))
        async with serving(port, drain_s=drain_s):
            await states.until(*["open", "reconnecting"] * (n + 1), "open")
            await asyncio.sleep(3 * PACE_S)
    async with serving(port):
        texts = await asyncio.gather(*generated)
        assert all(len(one.split()) == WORDS for one in texts)
        assert len(set(texts)) == 20
        result = await processed
        assert len(result.chunks) == result["chunks"] == 20
        assert len((await batch).results) == 2
        assert all(one.text for one in await asyncio.gather(*late))
        assert all(job.state == "done" for job in await client.jobs())
        await client.close()
    assert states.phases.count("reconnecting") >= 5
    assert any(job.restarts for job in jobs) == (drain_s == 0)


async def test_a_map_goes_on_over_restarts():
    """Every input has its result, in order, though the server went away in between."""
    prompts = [f"prompt {n}" for n in range(30)]

    async def restarting() -> None:
        port = first.port
        for n in range(4):
            async with serving(port, drain_s=0):
                await states.until(*["open", "reconnecting"] * (n + 1), "open")
                await asyncio.sleep(15 * PACE_S)
        async with serving(port):
            await asyncio.Event().wait()

    states = Watch()
    async with serving() as first:
        client = wsproc.connect(first.url, reconnect=AT_ONCE, on_state=states)
        await client.open()
    restarts = asyncio.create_task(restarting())
    results = [r async for r in client.map(prompts, task="generate", concurrency=8)]
    assert [result.prompt for result in results] == prompts
    assert all(len(result.text.split()) == WORDS for result in results)
    await client.close()
    restarts.cancel()
    await asyncio.wait([restarts])
