"""The writer of a socket, seen from the other end: fair, and patient with the slow alone."""

import asyncio
import json

import pytest

from tests.fakes import FakeEngine, serving
from tests.raw import first_frame, frames_of, raw_connection, send_raw
from tests.waiting import PATIENCE_S, until
from tests.wire import PROMPT, connected, left
from wsproc.server import Server


async def stalled(server: Server, engine: FakeEngine, words: int = 60):
    """Return a connection that reads nothing of a job that says much."""
    reader, writer = await raw_connection(server)
    welcome = await first_frame(reader)
    send_raw(writer, {**PROMPT, "id": "a"})
    call = await engine.calls.get()
    for _ in range(words):
        call.delta(text="x" * 10_000)
    return reader, writer, welcome


async def test_a_peer_that_wakes_up_at_the_last_moment_is_told_why():
    """It reads what was under way, a `goaway` with 4508, and the close."""
    engine = FakeEngine()
    async with serving(engine, send_timeout_s=0.2) as server:
        reader, writer, _ = await stalled(server, engine)
        await left(server)
        async with asyncio.timeout(PATIENCE_S):
            frames = await frames_of(reader)
        *_, (text, goaway), (close, reason) = frames
        assert (text, close) == (1, 8)
        told = json.loads(goaway)
        assert (told["type"], told["code"], told["reconnect"]) == ("goaway", 4508, True)
        assert int.from_bytes(reason[:2], "big") == 4508
        writer.transport.abort()


@pytest.mark.parametrize("words", [2, 4])
async def test_what_fits_into_buffers_is_watched_as_well(words: int):
    """No send hangs over the last tens of KiB, and still nobody takes them."""
    engine = FakeEngine()
    async with serving(engine, send_timeout_s=0.3, drain_s=0) as server:
        _, writer, _ = await stalled(server, engine, words)
        await left(server)
        assert server.lobby.sessions.detached == 1
        writer.transport.abort()


async def test_a_peer_that_reads_slowly_is_not_cut():
    """It takes many times as long as one that reads nothing is given."""
    engine = FakeEngine()
    async with serving(engine, send_timeout_s=0.4, outbox_bytes=50_000, drain_s=0) as server:
        reader, writer, _ = await stalled(server, engine)
        loop, taken = asyncio.get_running_loop(), 0
        began = loop.time()
        while loop.time() < began + 1.5:
            taken += len(await reader.read(4000))
            await asyncio.sleep(0.05)
        assert server.lobby.sessions.detached == 0
        assert taken > 0
        writer.transport.abort()


async def test_what_a_stalled_peer_holds_in_the_kernel_is_little():
    """So it is noticed soon, and a cancel has something left to purge."""
    engine = FakeEngine()
    async with serving(engine, send_timeout_s=30, outbox_bytes=50_000, drain_s=0) as server:
        _, writer, _ = await stalled(server, engine)
        (host,) = server.lobby.sessions
        await until(lambda: host.session.outbox.congested)
        assert host.session.log.last_seq("a") * 10_000 < 400_000
        writer.transport.abort()


@pytest.mark.parametrize("jobs", [1, 8])
async def test_an_answer_comes_between_two_frames_of_others(jobs: int):
    """However many jobs have however much to say, who asks is answered next."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server, max_queue=None) as wire:
        for job in range(jobs):
            await wire.send(**PROMPT, id=f"j{job}")
        calls = [await engine.calls.get() for _ in range(jobs)]
        for call in calls:
            for _ in range(60):
                call.delta(text="word ")
        await wire.next("token")
        await wire.send(type="ping", n=1)
        seen = len(wire.frames)
        await wire.next("pong")
        assert len(wire.frames) - seen < 60 * jobs
