"""What one client may ask of the real server, and what others feel of one that asks for more."""

import asyncio
import json
import logging
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.fakes import FakeEngine, plausible, serving
from tests.waiting import until
from tests.wire import Wire, connected, http
from wsproc.guarded import CONTROL_FRAMES_BURST
from wsproc.server import Server

PING = '{"type":"ping"}'


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture):
    """Nothing may be logged as an error: no exception escapes a handler."""
    yield
    assert [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR] == []


async def answers_a_ping(wire: Wire) -> bool:
    """Whether a connection is served."""
    await wire.send(type="ping", n=7)
    return await wire.receive() == {"type": "pong", "n": 7}


async def left(server: Server, count: int) -> None:
    """Wait until no more than so many sockets are left."""
    await until(lambda: len(server.gate) <= count)


# --- messages -------------------------------------------------------------------------------------


async def test_each_message_too_many_is_answered_with_the_time_to_come_again():
    """One answer to each; who waits as long as told is served."""
    async with (
        serving(FakeEngine(), messages_per_s=20, message_burst=5) as server,
        connected(server) as wire,
    ):
        for _ in range(30):
            await wire.socket.send(PING)
        answers = [await wire.receive() for _ in range(30)]
        assert [one["type"] for one in answers[:6]] == ["pong"] * 5 + ["error"]
        refused = [one for one in answers if one["type"] == "error"]
        assert len(refused) > 15
        assert {one["error"]["code"] for one in refused} == {"rate_limited"}
        assert all(one["re"] == {"type": "ping"} for one in refused)
        assert 0 < refused[-1]["error"]["retry_after_ms"] <= 50
        await asyncio.sleep(refused[-1]["error"]["retry_after_ms"] / 1000)
        assert await answers_a_ping(wire)


async def test_a_message_counts_with_what_it_asks_for():
    """Else a hundred bytes, sent again and again, would take all the time that there is."""
    async with (
        serving(engine := FakeEngine(), messages_per_s=50, message_burst=100) as server,
        connected(server) as wire,
    ):
        await wire.send(type="generate", id="a", prompt="x")
        await (await engine.calls.get()).say(*["x" * 10_000] * 20)
        resume = json.dumps({"type": "resume", "session": wire.welcome["session"], "after": {}})
        for _ in range(20):
            await wire.socket.send(resume)
        answers = [await wire.next("reply", op="resume")]
        while len(answers) < 20:
            frame = json.loads(await wire.socket.recv())
            answers += [frame] if frame["type"] in ("reply", "error") else []
        refused = [one for one in answers if one["type"] == "error"]
        assert len(refused) > 10
        assert {one["error"]["code"] for one in refused} == {"rate_limited"}
        assert all(one["re"] == {"type": "resume"} for one in refused)
        assert max(one["error"]["retry_after_ms"] for one in refused) <= 1020


async def test_the_usual_rate_is_none_that_short_jobs_reach():
    """A client with many of them in flight, that cancels them besides, is never told to wait."""
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        for turn in range(5):
            names = [f"{turn}-{number}" for number in range(200)]
            for name in names:
                await wire.send(type="generate", id=name, prompt="x")
                await wire.send(type="cancel", id=name)
            for _ in names:  # in whatever order they end
                await wire.next("done")
        assert [f for f in wire.frames if f["type"] in ("error", "rejected")] == []


async def test_a_submit_too_many_is_not_taken_and_its_answer_names_it():
    """In the order of the submits, and alone; the submit may be sent again under the same id."""
    engine = FakeEngine(answers=plausible)
    async with (
        serving(engine, messages_per_s=10, message_burst=2) as server,
        connected(server) as wire,
    ):
        for name in "abc":
            await wire.send(type="generate", id=name, prompt="x")
        error = await wire.next("error")
        assert error["re"] == {"type": "generate", "id": "c"}
        answers = [one for one in wire.frames if one["type"] in ("accepted", "rejected", "error")]
        assert [one.get("id", "c") for one in answers] == ["a", "b", "c"]
        while error is not None:
            await asyncio.sleep(error["error"]["retry_after_ms"] / 1000)
            await wire.send(type="generate", id="c", prompt="x")
            answer = await wire.until(lambda f: f["type"] == "error" or f.get("id") == "c")
            error = answer if answer["type"] == "error" else None
        assert answer["type"] == "accepted"
        await wire.next("done", id="c")


async def test_who_heeds_no_refusal_is_cut_and_the_others_are_served():
    """With 4429, after so many answers; a neighbour's jobs go on meanwhile."""
    engine = FakeEngine(answers=plausible)
    async with (
        serving(engine, messages_per_s=20, message_burst=10) as server,
        connected(server) as other,
        connected(server) as flood,
    ):
        sending = asyncio.create_task(_send_on(flood))
        for number in range(3):
            await other.send(type="generate", id=f"g{number}", prompt="x")
            await other.next("done", id=f"g{number}")
        assert await flood.closed() == 4429
        await sending
        assert len(flood.frames) < 2000
        assert await answers_a_ping(other)


async def _send_on(wire: Wire) -> None:
    try:
        while True:
            await wire.socket.send(PING)
            await asyncio.sleep(0)  # a send that fits into the buffer does not
    except ConnectionClosed:
        return


@pytest.mark.parametrize("verb", ["ping", "pong"])
async def test_a_flood_of_websocket_pings_or_pongs_is_cut(verb: str):
    """Row B7: the library would take each of them, read or not; a neighbour feels nothing."""
    async with (
        serving(FakeEngine()) as server,
        connected(server) as other,
        connected(server) as flood,
    ):
        try:
            for _ in range(20 * int(CONTROL_FRAMES_BURST)):
                await getattr(flood.socket, verb)()
        except ConnectionClosed:
            pass
        assert await flood.closed() == 4429
        assert await answers_a_ping(other)


async def test_keepalive_is_no_flood():
    """A client may ping now and then, for as long as it likes."""
    async with serving(FakeEngine()) as server, connected(server) as wire:
        for _ in range(20):
            await (await wire.socket.ping())
        assert await answers_a_ping(wire)


# --- connections ----------------------------------------------------------------------------------


@pytest.fixture
def _far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let loopback count as one address of the network."""
    monkeypatch.setattr("wsproc.gate.origin_of", lambda host: "192.0.2.1")


@pytest.mark.usefixtures("_far_away")
async def test_connections_of_one_address_are_limited():
    """The one too many is told in a close that browsers can read; there is room when one leaves."""
    async with (
        serving(FakeEngine(), max_connections_per_address=2) as server,
        connected(server) as first,
    ):
        async with connected(server), connect(server.url) as socket:
            assert await Wire(socket).closed() == 1013
            assert socket.close_reason == "too many connections from your address"
            assert await answers_a_ping(first)
        await left(server, 1)
        async with connected(server) as again:
            assert await answers_a_ping(again)


async def test_loopback_has_no_limit_by_address():
    """A load test on one machine, or a proxy beside the server, is one address."""
    async with (
        serving(FakeEngine(), max_connections_per_address=1) as server,
        connected(server) as one,
        connected(server) as two,
    ):
        assert await answers_a_ping(one)
        assert await answers_a_ping(two)


async def test_probes_are_answered_when_the_house_is_full():
    """A balancer that asks for health is no client too many."""
    async with serving(FakeEngine(), max_connections=1) as server, connected(server) as wire:
        assert (await http(server, "/healthz"))[0] == 200
        assert await answers_a_ping(wire)


async def test_a_flood_of_connections_is_cut_before_its_handshakes(
    monkeypatch: pytest.MonkeyPatch,
):
    """Sockets that say nothing count too; only so many are listened to, and none is forgotten."""
    monkeypatch.setattr("wsproc.gate.TELLING", 1)
    async with serving(FakeEngine(), max_connections=1) as server:
        async with connected(server) as wire:
            silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
            with suppress(ConnectionResetError):
                assert await silent[1][0].read() == b""
            assert await answers_a_ping(wire)
            for _, writer in silent:
                writer.close()
        await left(server, 0)
        assert repr(server.gate) == "<Gate 0 sockets of 1, 0 addresses>"


async def test_a_connection_holds_no_headers():
    """They are three KiB of each of ten thousand that idle, and may hold a token."""
    async with serving(FakeEngine()) as server, connected(server):
        (connection,) = server._connections
        for side in (connection._socket.request, connection._socket.response):
            assert list(side.headers.raw_items()) == []


async def test_large_messages_use_the_rate_up_sooner():
    """The time of reading grows with the bytes."""
    big = json.dumps({"type": "ping", "n": 1}) + " " * 200_000
    async with serving(FakeEngine(), message_burst=240) as server, connected(server) as wire:
        for _ in range(4):
            await wire.socket.send(big)
        kinds = [(await wire.receive())["type"] for _ in range(4)]
        assert kinds == ["pong", "pong", "error", "error"]
