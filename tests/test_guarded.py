"""Sockets that are let go of as soon as their peer is known to be gone."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from tests.fakes import FakeEngine, serving
from tests.raw import CLOSE, PING, packed, raw
from tests.wire import Wire, until
from wsproc.server import Server


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server ping soon, and wait for no answer for long, nor for a goodbye."""
    monkeypatch.setattr("wsproc.server.PING_S", 0.05)
    monkeypatch.setattr("wsproc.server.PONG_S", 0.05)
    monkeypatch.setattr("wsproc.guarded.PARTING_S", 0.05)


@pytest.mark.usefixtures("_impatient")
async def test_who_answers_no_ping_is_told_and_cut():
    """The close says why, in case somebody reads it after all; nobody waits for its answer."""
    async with serving(FakeEngine()) as server:
        one = await raw(server.port)
        assert (await one.receive())["type"] == "welcome"
        assert (await one.frame())[0] == PING
        assert await one.frame() == (CLOSE, (1011).to_bytes(2) + b"keepalive ping timeout")
        await until(lambda: len(server.gate) == 0)
        one.leave()


@pytest.mark.usefixtures("_impatient")
async def test_who_answers_pings_stays(monkeypatch: pytest.MonkeyPatch):
    """However often they come."""
    monkeypatch.setattr("wsproc.server.PONG_S", 20)
    async with serving(FakeEngine()) as server, connect(server.url) as socket:
        (connection,) = await _sockets(server)
        seen = set()
        while len(seen) < 5:
            seen.add(connection.latency)
            await asyncio.sleep(0.01)
        wire = Wire(socket)
        await wire.send(type="ping", n=1)
        await wire.next("pong", n=1)


async def _sockets(server: Server):
    await until(lambda: len(server._connections) == 1)
    return [connection._socket for connection in server._connections]


async def test_the_end_of_who_sent_too_many_fragments_is_seen():
    """Reading goes on: else the socket would stand open for as long as a close may take."""
    async with serving(FakeEngine()) as server:
        one = await raw(server.port)
        (flooded,) = await _sockets(server)
        flooded.close_timeout = 600
        one.write(packed(b"x", final=False) + packed(b"x", opcode=0, final=False) * 20_000)
        assert await one.closed() == 1009
        one.leave()
        await until(lambda: len(server.gate) == 0)
