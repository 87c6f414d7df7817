"""Rows A of the fault matrix: connections that are many, slow, or not wanted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect

from tests.faults.conftest import House
from tests.raw import Raw, plugged, upgrade
from tests.waiting import until
from tests.wire import Wire, connected
from wsproc.server import Server


async def test_as_many_as_may_come_and_some_more(house: House):
    """Row A2: who comes when the house is full is told 1013; those who are in feel nothing."""
    async with house(max_connections=20) as server:
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(server)) for _ in range(20)]
            for _ in range(5):
                async with connect(server.url) as late:
                    assert await Wire(late).closed() == 1013
            for wire in wires:
                await wire.send(type="ping", n=3)
                assert await wire.receive() == {"type": "pong", "n": 3}
        await until(lambda: len(server.gate) == 0)
        async with connected(server):
            pass


async def test_who_speaks_is_served_beside_two_hundred_half_request_lines(house: House):
    """Row A4: slowloris takes nothing of anybody but a socket each."""
    async with house(open_timeout_s=600) as server, connected(server) as wire:
        slow = await _half_requests(server, 200)
        assert len(server.gate) == 201
        for number in range(20):
            await wire.send(type="generate", id=f"g{number}", prompt="x")
            await wire.next("done")
        assert len(server.gate) == 201, "served while they are there"
        for one in slow:
            one.reset()


async def test_half_a_request_line_two_hundred_times(house: House):
    """Row A4: slowloris is cut after `open_timeout_s`, and not before."""
    async with house(open_timeout_s=1) as server, connected(server) as wire:
        loop = asyncio.get_running_loop()
        began = loop.time()
        slow = await _half_requests(server, 200)
        ends = await asyncio.gather(*(one.reader.read() for one in slow), return_exceptions=True)
        assert all(isinstance(end, ConnectionError) or end == b"" for end in ends)
        assert loop.time() - began >= 1
        assert len(server.gate) == 1
        await wire.send(type="generate", id="g", prompt="x")
        await wire.next("done")
        for one in slow:
            one.leave()


async def _half_requests(server: Server, count: int) -> list[Raw]:
    slow = [await plugged(server.port) for _ in range(count)]
    for one in slow:
        one.write(upgrade(server.port)[:20])
    return slow


@pytest.mark.parametrize("part", [0, 1, 20, 60])
async def test_a_handshake_that_is_broken_off(house: House, part: int):
    """Row A4: at any byte of it; nothing of the connection is left."""
    async with house() as server:
        for way in ("reset", "leave"):
            one = await plugged(server.port)
            one.write(upgrade(server.port)[:part])
            await until(lambda: len(server.gate) == 1)
            getattr(one, way)()
            await until(lambda: len(server.gate) == 0)


async def test_connections_that_come_and_go(house: House):
    """Row A3: hundreds of them, ended in every way, leave nothing; memory is the soak's."""
    async with house() as server:
        for number in range(100):
            one = await plugged(server.port)
            one.write(upgrade(server.port))
            if number % 2:
                await one.reader.readuntil(b"\r\n\r\n")
                one.send(type="generate", prompt="x")
            if number % 3:
                one.reset()
            else:
                one.leave()
        await until(lambda: len(server.gate) == 0)
        assert len(server.lobby.sessions) <= 100
