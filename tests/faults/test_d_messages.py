"""Rows D of the fault matrix: messages that are too big, too deep, or no messages."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from tests.faults.conftest import House
from tests.raw import BINARY, PING, TEXT, Raw, packed, raw
from tests.session.test_session import make
from tests.soak.fuzz import Fuzz
from tests.wire import connected
from wsproc.protocol import BadFrame, decode

MIB = 1 << 20


def declared(one: Raw) -> None:
    """Say that 64 MiB come, and send none of them."""
    one.write(packed(b"", declared=64 * MIB))


def fragments(one: Raw) -> None:
    """Send 64 MiB in parts that are each small enough."""
    part = b"x" * 60_000
    one.write(packed(part, final=False))
    for _ in range(1100):
        one.write(packed(part, opcode=0, final=False))


def real(one: Raw) -> None:
    """Send 4 MiB in one frame: what one has to send to see that the rest need not be sent."""
    one.write(packed(b"x" * 4 * MIB))


def tiny_fragments(one: Raw) -> None:
    """Send one byte at a time, 20,000 times."""
    one.write(packed(b"x", final=False) + packed(b"x", opcode=0, final=False) * 20_000)


def bomb(one: Raw) -> None:
    """Send a compressed frame, though compression was not agreed on."""
    squeezer = zlib.compressobj(wbits=-15)
    squeezed = squeezer.compress(b"x" * 10 * MIB) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    one.write(packed(squeezed[:-4], reserved=4))


@pytest.mark.parametrize(
    ("send", "code"),
    [
        pytest.param(declared, 1009, id="D1 declared"),
        pytest.param(fragments, 1009, id="D1 fragments"),
        pytest.param(real, 1009, id="D1 real"),
        pytest.param(bomb, 1002, id="D2 bomb"),
        pytest.param(tiny_fragments, 1009, id="D3 fragments of a byte"),
        pytest.param(lambda one: one.write(packed(b"\xff\xfe")), 1007, id="D6 no UTF-8"),
        pytest.param(lambda one: one.write(packed(b"{}", masked=False)), 1002, id="D6 no mask"),
        pytest.param(lambda one: one.write(packed(b"{}", opcode=3)), 1002, id="D6 opcode 3"),
        pytest.param(lambda one: one.write(packed(b"{}", opcode=0xB)), 1002, id="D6 opcode 11"),
        pytest.param(lambda one: one.write(packed(b"{}", opcode=0)), 1002, id="D6 continuation"),
        pytest.param(lambda one: one.write(packed(b"{}", reserved=1)), 1002, id="D6 reserved"),
        pytest.param(
            lambda one: one.write(packed(b"x" * 126, opcode=PING)), 1002, id="D6 long ping"
        ),
        pytest.param(
            lambda one: one.write(packed(b"", opcode=PING, final=False)), 1002, id="D6 half a ping"
        ),
    ],
)
async def test_what_is_no_websocket_message(house: House, send, code: int):
    """Rows D1, D2, D3 and D6: closed with the protocol's own code; the neighbour feels nothing."""
    async with house() as server, connected(server) as wire:
        one = await raw(server.port)
        await one.receive()
        send(one)
        assert await one.closed() == code
        one.leave()
        await wire.send(type="generate", id="n", prompt="x")
        assert (await wire.next("done"))["status"] == "completed"


async def test_compression_is_not_agreed_on(house: House):
    """Row D2: whoever offers it is answered without, so that no frame grows when it is read."""
    async with house() as server, connect(server.url, compression="deflate") as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        assert socket.protocol.extensions == []


CODES = ("bad_json", "bad_frame", "unknown_type", "invalid_field")

TRAPS = {
    "1,000 deep": b"[" * 1000 + b"]" * 1000,
    "100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 30,000 deep": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "deep in a field": b'{"type":"ping","n":' + b"[" * 600 + b"]" * 600 + b"}",
    "deep in meta": b'{"type":"generate","prompt":"x","meta":' + b"[" * 600 + b"]" * 600 + b"}",
    "NaN": b'{"type":"ping","n":NaN}',
    "Infinity": b'{"type":"ping","n":-Infinity}',
    "too large a number": b'{"type":"ping","n":1e400}',
    "an integer of 25 digits": b'{"type":"ping","n":1234567890123456789012345}',
    "an integer as an id": b'{"type":"cancel","id":12345678901234567890}',
    "a byte order mark": b'\xef\xbb\xbf{"type":"ping"}',
    "half of a surrogate pair": b'{"type":"ping","n":"\\ud800"}',
    "raw control characters": b'{"type":"cancel","id":"a\x00\x1b"}',
    "a null character": b'{"type":"cancel","id":"\\u0000"}',
    "two objects": b'{"type":"ping"}{"type":"ping"}',
    "no type": b"{}",
    "a type of null": b'{"type":null}',
    "an array": b'[{"type":"ping"}]',
    "a word": b"true",
    "nothing": b"",
}


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
async def test_json_that_is_a_trap(house: House, opcode: int):
    """Row D4: each is answered in one bounded frame that says what is wrong, and never echoed; the
    connection lives.
    """
    async with house() as server:
        one = await raw(server.port)
        await one.receive()
        for name, trap in TRAPS.items():
            one.write(packed(trap, opcode))
            answer = await one.receive()
            assert answer["type"] in ("error", "rejected"), name
            assert answer["error"]["code"] in CODES, name
            assert len(json.dumps(answer)) < 1000, name
            one.send(type="ping", n=1)
            assert await one.receive() == {"type": "pong", "n": 1}, name
        one.leave()


async def test_of_two_fields_of_one_name_one_counts(house: House):
    """Row D4: the last, as in every reader of JSON; nothing is torn between the two."""
    async with house() as server, connected(server) as wire:
        await wire.socket.send('{"type":"ping","n":1,"n":2}')
        assert await wire.receive() == {"type": "pong", "n": 2}


@pytest.mark.parametrize(("over", "answered"), [(0, True), (1, False)])
async def test_one_byte_over_the_limit(house: House, over: int, answered: bool):
    """Rows D1 and D5: a message of tiny objects that has just its most bytes is read and answered;
    one byte more closes with 1009.
    """
    async with house(max_frame_bytes=1 << 16) as server:
        one = await raw(server.port)
        await one.receive()
        body = b"[" + b"{}," * 21844
        body += b" " * ((1 << 16) - 3 - len(body)) + b"{}]"
        one.write(packed(body + b" " * over))
        if answered:
            assert (await one.receive())["error"]["code"] == "bad_frame"
        else:
            assert await one.closed() == 1009
        one.leave()


async def test_messages_of_tiny_objects_again_and_again(house: House):
    """Row D5: of messages that cost more than others to read few are read: whoever goes on is cut,
    and a neighbour's jobs are done meanwhile.
    """
    body = packed(b"[" + b"{}," * 87_000 + b"{}]")
    async with house() as server, connected(server) as wire:
        one = await raw(server.port)
        ending = asyncio.create_task(one.closed())
        for number in range(100):
            if not ending.done():
                one.write(body)
            await wire.send(type="generate", id=f"n{number}", prompt="x")
            assert (await wire.next("done"))["status"] == "completed"
        assert await ending in (4400, 4429, 1006)
        one.leave()


@pytest.mark.parametrize("seed", range(2))
async def test_messages_that_are_almost_right(house: House, seed: int):
    """Row D7: 1,500 of them in any order, with a fixed seed; the soak sends 100,000. Sockets end by
    none but the codes of the protocol, and the neighbour's work is right.
    """
    async with house(resume_s=0, messages_per_s=0) as server, connected(server) as wire:
        fuzz = Fuzz(seed)
        for _ in range(15):
            assert await fuzz.run(server.port, 100) in fuzz.allowed
        await wire.send(type="generate", id="n", prompt="x")
        assert (await wire.next("done"))["status"] == "completed"


async def test_more_messages_than_the_rate_allows(house: House):
    """Row D7: as fast as they can be written, until the server ends it: so many as may come at once
    are answered, then there is an answer to slow down, then an end with 4429; the other socket is
    served meanwhile.
    """
    rate = {"messages_per_s": 100, "message_burst": 200}
    async with house(**rate) as server, connected(server) as wire:
        flood = await raw(server.port)
        flooding = asyncio.create_task(_flood(flood))
        await wire.send(type="generate", id="n", prompt="x")
        await wire.next("done")
        assert (await flood.receive())["type"] == "welcome"
        assert {(await flood.receive())["type"] for _ in range(200)} == {"pong"}
        while (answer := await flood.receive())["type"] == "pong":
            pass  # what the rate gave back meanwhile
        assert answer["error"]["code"] == "rate_limited"
        assert await flood.closed() == 4429
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        flood.leave()


async def _flood(one: Raw) -> None:
    while True:
        one.send(type="ping")
        await one.writer.drain()
        await asyncio.sleep(0)


@given(st.integers(0, 2**32))
def test_a_session_survives_any_sequence(seed: int):
    """Row D7: bytes that are no JSON, JSON that is no frame, frames in an order that makes no
    sense: `receive` raises nothing, and what it queues is JSON.
    """
    session = make()
    session.greet()
    fuzz = Fuzz(seed)
    for number in range(30):
        message = fuzz.message()
        with suppress(BadFrame):
            decode(message, session.offer.tasks)
        session.receive(message, float(number))
    while (one := session.next_message()) is not None:
        assert isinstance(json.loads(one), dict)
