"""A line that breaks at any moment, with a real server: nothing is lost, doubled or run twice."""

from __future__ import annotations

import asyncio
import random

import pytest

import wsproc
from tests.client.line import Line, line_to
from tests.client.test_restart import AT_ONCE, PACE_S, serving, told
from wsproc.client import Client


@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_breaks_is_not_seen_by_any_job(seed):
    """Generations, cancels, open jobs and a map, over a line that is cut again and again."""
    dice = random.Random(seed)
    calm = asyncio.Event()
    async with (
        serving() as server,
        line_to(server.port) as line,
        wsproc.connect(line.url, reconnect=AT_ONCE) as client,
    ):
        storm = asyncio.create_task(cut_again_and_again(line, dice, calm))
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(generate(client, f"prompt {n}", dice))
            for n in range(4):
                group.create_task(generate_and_cancel(client, f"stopped {n}", dice))
            for n in range(2):
                group.create_task(feed(client, f"piece of {n}. ", dice))
            group.create_task(run_through(client, [f"input {n}" for n in range(12)]))
        calm.set()
        await storm
        assert all(job.state == "done" for job in await client.jobs())
    assert line.connections > 1


async def cut_again_and_again(line: Line, dice: random.Random, calm: asyncio.Event) -> None:
    """Break the line off at random moments."""
    while not calm.is_set():
        await asyncio.sleep(dice.uniform(0, dice.choice([0.02, 0.05, 0.1])))
        line.cut()


async def generate(client: Client, prompt: str, dice: random.Random) -> None:
    """Run a generation: its tokens are its text, and it is run once."""
    await asyncio.sleep(dice.uniform(0, 0.2))
    job = await client.generate(prompt)
    await told(job)
    assert job.restarts == 0


async def generate_and_cancel(client: Client, prompt: str, dice: random.Random) -> None:
    """Stop a generation: it ends once, by the client or by itself, its frames without a hole."""
    await asyncio.sleep(dice.uniform(0, 0.2))
    job = await client.generate(prompt)
    await asyncio.sleep(dice.uniform(0, 0.1))
    await job.cancel()
    end = await job.wait()
    assert end.status == "completed" or end.reason == "client"
    numbers = [event.seq async for event in job]
    assert numbers == [*range(2, len(numbers) + 2)]


async def feed(client: Client, piece: str, dice: random.Random) -> None:
    """Feed an open job: each piece is taken once, in its place."""
    job = await client.process("", open=True, chunk_size=50, include_summary=False)
    for _ in range(6):
        await job.append(piece)
        await asyncio.sleep(dice.uniform(0, 0.05))
    await job.append(final=True)
    result = await job.result()
    assert "".join(chunk.text for chunk in result.chunks) == result.text == 6 * piece
    assert result["text_length"] == len(6 * piece)


async def run_through(client: Client, prompts: list[str]) -> None:
    """Map over inputs: each has its result, in its place."""
    results = [r async for r in client.map(prompts, task="generate", concurrency=4)]
    assert [result.prompt for result in results] == prompts


async def test_a_trimmed_log_is_bridged_by_a_snapshot():
    """A server that keeps less than was missed still lets `tokens` give the whole text."""
    snapshots: list[str] = []

    def tap(message: str) -> None:
        if '"snapshot"' in message:
            snapshots.append(message)

    async with (
        serving(replay_bytes=1 << 16) as server,
        line_to(server.port) as line,
        wsproc.connect(line.url, reconnect=AT_ONCE, tap=tap) as client,
    ):
        jobs = [await client.generate(f"wide prompt {n}") for n in range(4)]
        reading = [asyncio.create_task(told(job)) for job in jobs]
        await anext(client.generate("a first word").tokens())
        line.port, there = 1, line.port
        line.cut()
        await asyncio.sleep(6 * PACE_S)
        line.port = there
        await asyncio.gather(*reading)
        assert [job.restarts for job in jobs] == [0] * 4
    assert snapshots


async def test_kept_jobs_run_on_and_are_found_by_another_client():
    """A program submits, goes away in good order, and another one takes the results."""
    async with serving() as server:
        async with wsproc.connect(server.url) as client:
            await client.generate("kept", id="kept", on_disconnect="keep", seed=1)
            await client.generate("dropped", id="dropped", seed=1)
            session = client.session
        async with wsproc.connect(server.url, session=session) as other:
            kept = other.adopted["kept"]
            assert (await kept.result()).text == await told(kept)
            assert (await other.adopted["dropped"].wait()).status == "cancelled"
        with pytest.raises(wsproc.SessionLost) as caught:
            await wsproc.connect(server.url, session=session[:-3] + "xyz").open()
        assert caught.value.outcome == "unknown_session"
    async with serving(server.port) as again:
        with pytest.raises(wsproc.SessionLost) as caught:
            await wsproc.connect(again.url, session=session).open()
    assert caught.value.outcome == "epoch_changed"


async def test_who_was_away_for_too_long_finds_his_jobs_run_again():
    """The server stopped them meanwhile; the client runs them once more, under their names."""
    async with (
        serving(resume_s=0.05) as server,
        line_to(server.port) as line,
        wsproc.connect(line.url, reconnect=AT_ONCE) as client,
    ):
        job = await client.generate("away", id="away")
        reading = asyncio.create_task(told(job))
        await asyncio.sleep(0.03)
        line.port, there = 1, line.port
        line.cut()
        await asyncio.sleep(0.3)
        line.port = there
        await reading
        assert job.restarts == 1
        assert job.done.id == "away"


async def test_a_session_that_another_client_takes_is_left_to_it():
    """4409 ends the older client, whose jobs go on for the newer one."""
    async with serving() as server, wsproc.connect(server.url, reconnect=AT_ONCE) as older:
        job = await older.generate("mine", id="mine")
        async with wsproc.connect(server.url, session=older.session) as newer:
            with pytest.raises(wsproc.JobLost) as caught:
                await job.result()
            assert caught.value.close_code == 4409
            assert await told(newer.adopted["mine"])
