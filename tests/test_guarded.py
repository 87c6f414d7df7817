"""Sockets that are let go of as soon as their peer is known to be gone."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from tests.fakes import FakeEngine, serving
from tests.raw import CLOSE, PING, packed, raw
from tests.waiting import until
from tests.wire import Wire
from wsproc.guarded import NOT_READ
from wsproc.server import Server


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server ping soon, and wait for no answer for long, nor for a goodbye."""
    monkeypatch.setattr("wsproc.listening.PING_S", 0.05)
    monkeypatch.setattr("wsproc.listening.PONG_S", 0.05)
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
    monkeypatch.setattr("wsproc.listening.PONG_S", 20)
    async with serving(FakeEngine()) as server, connect(server.url) as socket:
        (connection,) = await _sockets(server)
        seen = set()
        while len(seen) < 5:
            seen.add(connection.latency)
            await asyncio.sleep(0.01)
        wire = Wire(socket)
        await wire.send(type="ping", n=1)
        await wire.next("pong", n=1)


BODY = b"POST /process-stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "allow"),
    [
        (BODY + b"Content-Length: 11\r\n\r\n" + b'{"text":""}', 405, "GET, HEAD"),
        (BODY + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", 405, "GET, HEAD"),
        (BODY + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405, "GET, HEAD"),
        (b"PRI * HTTP/2.0\r\n\r\n", 400, None),
        (b"hello\r\n", 400, None),
    ],
)
async def test_a_request_that_cannot_be_read_is_answered(
    request_: bytes, status: int, allow: str | None
):
    """One sentence says what this port takes; the connection ends behind it."""
    async with serving(FakeEngine()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request_)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert first.startswith(f"HTTP/1.1 {status} ")
        assert (headers.get("Allow"), headers["Connection"]) == (allow, "close")
        assert body.decode() == NOT_READ
        assert int(headers["Content-Length"]) == len(body)
        writer.close()
        await until(lambda: len(server.gate) == 0)


async def test_who_asked_nothing_is_answered_nothing():
    """One that hangs up in the middle of a request."""
    async with serving(FakeEngine()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(BODY)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


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
