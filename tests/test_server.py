"""The real server over real sockets, with an engine that the test plays."""

import asyncio
import json
import logging
import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import orjson
import pytest
import yaml
from structlog.contextvars import get_contextvars
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.fakes import FakeCall, FakeEngine, fake_server, plausible, serving
from tests.wire import Wire, connected, http
from wsproc.engine import EndReason, EngineError, WorkerLost
from wsproc.events import (
    Connected,
    Disconnected,
    Event,
    FrameRefused,
    HandshakeRefused,
    JobAccepted,
    JobEnded,
    JobRejected,
    label,
)
from wsproc.frames.client import Submit
from wsproc.schema import json_schema
from wsproc.server import Server
from wsproc.session import Session
from wsproc.tasks import JobContext, TaskResult

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
TEXT = "I love this. Ada is great! " * 5 + "I hate that. " * 5


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that answers at once."""
    async with serving(FakeEngine(answers=plausible)) as one:
        yield one


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture):
    """Nothing may be logged as an error: no exception escapes a handler."""
    yield
    for when in ("setup", "call"):
        records = [one for one in caplog.get_records(when) if one.levelno >= logging.ERROR]
        assert records == []


# --- whole jobs -----------------------------------------------------------------------------------


async def test_a_process_job_from_submit_to_done(server: Server, quiet: None):
    """Every frame is valid and numbered, progress never falls, and the result holds it all."""
    async with connected(server) as wire:
        await wire.send(
            type="process", id="a", text=TEXT, chunk_size=50, include_entities=True, meta=[1]
        )
        done = await wire.next("done")
    accepted, *statuses, last = wire.of("a")
    assert (accepted["type"], accepted["position"], accepted["meta"]) == ("accepted", 0, [1])
    assert last is done
    assert (done["status"], done["meta"]) == ("completed", [1])
    assert {frame["type"] for frame in statuses} == {"status"}
    progress = [frame["progress"] for frame in statuses if "progress" in frame]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    complete = next(f for f in statuses if f["status"] == "sentiment_complete")
    result = done["result"]["sentiment"]
    assert {name: complete[name] for name in result} == result
    assert done["usage"] == {"characters": len(TEXT), "chunks": 4}
    assert done["timing_ms"].keys() == {"queued", "run"}


async def test_tokens_joined_are_the_text(server: Server, quiet: None):
    """Invariant 7: for a job of `generate`."""
    async with connected(server) as wire:
        await wire.send(type="generate", id="g", prompt="Once upon")
        done = await wire.next("done")
    tokens = [frame["text"] for frame in wire.of("g") if frame["type"] == "token"]
    assert len(tokens) > 1
    assert "".join(tokens) == done["result"]["text"]


async def test_a_batch_is_answered_once(server: Server, quiet: None):
    """No progress, one `done`."""
    async with connected(server) as wire:
        await wire.send(type="batch", id="b", texts=[TEXT, TEXT])
        done = await wire.next("done")
    assert [frame["type"] for frame in wire.of("b")] == ["accepted", "done"]
    assert done["result"]["total_texts"] == 2


async def test_what_a_person_types_into_wscat_works(server: Server, quiet: None):
    """No subprotocol, no id, white space in the JSON; binary frames hold JSON too."""
    async with connected(server) as wire:
        await wire.socket.send('  { "type" : "process",\n "text" : "Just a short text." }  ')
        done = await wire.next("done")
        assert done["id"] == "job-1"
        await wire.socket.send(b'{"type":"ping","n":1}')
        assert await wire.receive() == {"type": "pong", "n": 1}


async def test_answers_come_in_the_order_of_the_submits(quiet: None):
    """Invariant 1: each submit has exactly one `accepted` or `rejected`, however they are mixed."""
    async with (
        serving(FakeEngine(), max_jobs_per_connection=3) as server,
        connected(server) as wire,
    ):
        for job, text in [
            ("a", TEXT),
            ("b", "short"),
            ("a", f"{TEXT} and longer"),
            ("c", TEXT),
            ("d", TEXT),
            ("e", TEXT),
            ("f", "x" * 6000),
        ]:
            await wire.send(type="process", id=job, text=text)
        await wire.send(type="ping")
        await wire.next("pong")
        answers = [
            (frame["id"], frame.get("error", {}).get("code", "accepted"))
            for frame in wire.frames
            if frame["type"] in ("accepted", "rejected")
        ]
    assert answers == [
        ("a", "accepted"),
        ("b", "invalid_field"),
        ("a", "id_conflict"),
        ("c", "accepted"),
        ("d", "accepted"),
        ("e", "too_many_jobs"),
        ("f", "input_too_large"),
    ]


# --- cancel ---------------------------------------------------------------------------------------


async def _first_token(call: FakeCall, wire: Wire) -> None:
    call.delta(text="one ")
    await wire.next("token", id="a")


async def _last_token(call: FakeCall, wire: Wire) -> None:
    call.delta(text="one ")
    call.delta(text="two")
    await wire.next("token", id="a", text="two")


async def _queued(call: FakeCall, wire: Wire) -> None:
    await wire.next("status", id="a")


@pytest.mark.parametrize("reach", [_queued, _first_token, _last_token])
async def test_a_cancel_at_every_point_of_a_generation(reach, quiet: None):
    """One reply, then one `done` with what was finished; the neighbour has its whole result.

    Invariant 4.
    """
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x")
        call = await engine.calls.get()
        await wire.send(type="generate", id="b", prompt="y")
        neighbour = await engine.calls.get()
        await reach(call, wire)
        await wire.send(type="cancel", id="a")
        reply = await wire.next("reply")
        assert (reply["id"], reply["outcome"]) == ("a", "cancelling")
        done = await wire.next("done")
        assert (done["id"], done["status"], done["reason"]) == ("a", "cancelled", "client")
        tokens = [frame["text"] for frame in wire.of("a") if frame["type"] == "token"]
        assert done["partial_result"]["text"].startswith("".join(tokens))
        assert done["timing_ms"]["stop"] >= 0
        assert call.cancelled.is_set()
        assert server.admission.live == 1
        plausible(neighbour)
        other = await wire.next("done")
        assert (other["id"], other["status"]) == ("b", "completed")
        assert server.admission.live == 0


async def test_a_cancel_right_behind_the_submit(quiet: None):
    """In one packet: the id is registered before the next frame is read.

    Row C2, invariants 1 and 4.
    """
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        for number in range(20):
            job = f"j{number}"
            await wire.send(type="process", id=job, text=TEXT)
            await wire.send(type="cancel", id=job)
        ends = [await wire.next("done") for _ in range(20)]
        assert {done["id"] for done in ends} == {f"j{number}" for number in range(20)}
        assert {done["status"] for done in ends} == {"cancelled"}
        outcomes = [frame["outcome"] for frame in wire.frames if frame["type"] == "reply"]
        assert outcomes == ["cancelling"] * 20
        assert server.admission.live == 0


async def test_late_double_and_unknown_cancels_are_no_errors(quiet: None):
    """Row C3, invariant 4: each has its reply; none has a second `done`."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x")
        call = await engine.calls.get()
        for job in ("a", "a", "zz"):
            await wire.send(type="cancel", id=job)
        replies = [await wire.next("reply") for _ in range(3)]
        assert [reply["outcome"] for reply in replies] == ["cancelling", "cancelling", "unknown"]
        await call.cancelled.wait()
        call.end(EndReason.CANCELLED)
        await wire.next("done", id="a")
        await wire.send(type="cancel", id="a")
        late = await wire.receive()
        assert (late["outcome"], late["status"]) == ("done", "cancelled")
        await wire.send(type="ping")
        assert (await wire.receive())["type"] == "pong"


async def test_done_follows_when_the_engine_has_really_left(quiet: None):
    """The reply comes at once; `done` waits for the device, and says how long it took."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="process", id="a", text=TEXT)
        calls = [await engine.calls.get() for _ in range(2)]
        await wire.send(type="cancel", id="a")
        await wire.next("reply")
        for call in calls:
            await call.cancelled.wait()
            await wire.send(type="jobs", id="a")
            (job,) = (await wire.receive())["jobs"]
            assert job["state"] == "cancelling"
            call.end(EndReason.CANCELLED)
        done = await wire.receive()
        assert (done["type"], done["status"]) == ("done", "cancelled")
        assert done["timing_ms"]["stop"] > 0


async def test_where_completion_wins_the_client_sees_completed(quiet: None):
    """Row C5: never both: the result was there before the task felt the cancel."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x")
        call = await engine.calls.get()
        plausible(call)
        await wire.send(type="cancel", id="a")
        done = await wire.next("done")
        assert done["status"] in ("completed", "cancelled")
        await wire.send(type="ping")
        await wire.next("pong")
        assert sum(frame["type"] == "done" for frame in wire.frames) == 1


async def test_a_star_cancels_every_job_of_the_session_and_no_others(quiet: None):
    """Row C3, invariant 4: one reply names them all; another client's job goes on."""
    engine = FakeEngine()
    async with (
        serving(engine) as server,
        connected(server) as wire,
        connected(server) as other,
    ):
        await other.send(type="generate", id="a", prompt="x")
        kept = await engine.calls.get()
        for job in "abc":
            await wire.send(type="generate", id=job, prompt="x")
        await wire.send(type="cancel", id="*")
        reply = await wire.next("reply")
        assert (reply["id"], reply["outcome"], reply["ids"]) == ("*", "cancelling", ["a", "b", "c"])
        assert {(await wire.next("done"))["id"] for _ in range(3)} == {"a", "b", "c"}
        await wire.send(type="cancel", id="*")
        assert (await wire.receive())["outcome"] == "done"
        plausible(kept)
        assert (await other.next("done"))["status"] == "completed"


async def test_a_cancel_is_read_while_another_job_floods(quiet: None):
    """Also while the flooding job is the cancelled one's neighbour on the same connection.

    Invariant 5.
    """
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="flood", prompt="x")
        flooding = asyncio.create_task(_flood(await engine.calls.get(), "token " * 50))
        await wire.send(type="generate", id="a", prompt="x")
        call = await engine.calls.get()
        call.delta(text="one")
        await wire.next("token", id="a")
        await wire.send(type="cancel", id="a")
        await wire.next("reply", id="a", outcome="cancelling")
        await wire.next("done", id="a")
        await wire.send(type="cancel", id="flood")
        await wire.next("done", id="flood")
        await flooding


async def _flood(call: FakeCall, text: str) -> None:
    while call.stream.end is None:
        call.delta(text=text)
        await asyncio.sleep(0)


async def test_a_deadline_fails_the_job_and_leaves_the_engine(quiet: None):
    """Invariant 2: `timeout_ms` counts from the acceptance, whatever the engine does."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x", timeout_ms=20)
        call = await engine.calls.get()
        done = await wire.next("done")
        assert (done["status"], done["error"]["code"]) == ("failed", "deadline_exceeded")
        assert call.cancelled.is_set()
        assert server.admission.live == 0


# --- disconnect -----------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
async def test_a_disconnect_cancels_every_job(clean: bool, quiet: None):
    """By a closing handshake at once, without one after `resume_s`: the engine is left."""
    engine = FakeEngine()
    async with serving(engine, resume_s=30 if clean else 0.1) as server:
        async with connect(server.url) as socket_:
            for job in "ab":
                frame = {"type": "generate", "id": job, "prompt": "x"}
                await socket_.send(json.dumps(frame))
            calls = [await engine.calls.get() for _ in range(2)]
            if clean:
                await socket_.close()
            else:
                socket_.transport.abort()
        for call in calls:
            await call.cancelled.wait()
        async with connected(server) as wire:
            await wire.send(type="ping")
            await wire.next("pong")
        assert server.admission.live == 0


async def test_a_disconnect_leaves_the_engine_while_frames_wait(quiet: None):
    """Jobs that are held back by a full outbox end too."""
    engine = FakeEngine()
    async with serving(engine, outbox_bytes=1000, resume_s=0) as server:
        async with connect(server.url, max_queue=1) as socket_:
            await socket_.send('{"type":"generate","prompt":"x"}')
            call = await engine.calls.get()
            for _ in range(200):
                call.delta(text="x" * 60_000)
            await socket_.recv()
            socket_.transport.abort()
        await call.cancelled.wait()


async def test_a_reader_that_stalls_is_cut_and_the_others_are_not(caplog):
    """Row B1: after `send_timeout_s` its jobs wait for `resume_s`; a neighbour feels nothing."""
    engine = FakeEngine()
    async with (
        serving(engine, send_timeout_s=0.3, resume_s=0.1) as server,
        connected(server) as other,
    ):
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        async with connect(server.url, sock=slow, max_queue=1, close_timeout=0.1) as stalled:
            await stalled.send('{"type":"generate","prompt":"x"}')
            call = await engine.calls.get()
            for _ in range(200):
                call.delta(text="x" * 10_000)
            await other.send(type="generate", id="a", prompt="x")
            plausible(await engine.calls.get())
            assert (await other.next("done"))["status"] == "completed"
            await call.cancelled.wait()
        assert "a client read nothing for too long and was cut off" in caplog.text
        assert server.admission.live == 0


# --- bad frames -----------------------------------------------------------------------------------

BAD = [
    "",
    "{",
    "[]",
    "null",
    '"ping"',
    '{"type":null}',
    '{"type":"nothing"}',
    '{"type":"ping","n":NaN}',
    '{"type":"ping","n":1e400}',
    '{"type":"ping","x":1}',
    '{"type":"cancel"}',
    "[" * 3000,
    '{"type":"ping","n":"\\ud800"}',
    '{"type":"auth","token":"t"}',
    b"\xff\xfe",
]


async def test_bad_frames_are_answered_and_the_connection_lives(server: Server, quiet: None):
    """Row D4, invariant 10: each with one `error`; a good frame between them is answered as ever.

    Row D4, invariant 10.
    """
    async with connected(server) as wire:
        for bad in BAD:
            await wire.socket.send(bad)
            assert (await wire.receive())["type"] == "error"
            await wire.send(type="ping", n=7)
            assert await wire.receive() == {"type": "pong", "n": 7}


async def test_ten_bad_frames_in_a_row_close_with_4400(server: Server, quiet: None):
    """All ten are answered; what comes behind them is not. Others stay connected."""
    async with connected(server) as other, connected(server) as wire:
        for _ in range(30):
            await wire.socket.send("{")
        assert await wire.closed() == 4400
        assert [frame["type"] for frame in wire.frames] == ["welcome", *["error"] * 10]
        await other.send(type="ping")
        assert (await other.receive())["type"] == "pong"


async def test_a_client_that_asks_and_never_reads_is_cut(quiet: None):
    """Row B5: what waits for it is bounded, however much it asks for; a neighbour feels nothing."""
    engine = FakeEngine()
    async with (
        serving(engine, outbox_bytes=10_000, send_timeout_s=0.3, resume_s=0.1) as server,
        connected(server) as other,
    ):
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        async with connect(server.url, sock=slow, max_queue=1, close_timeout=0.1) as stalled:
            await stalled.send('{"type":"generate","prompt":"x"}')
            call = await engine.calls.get()
            flooding = asyncio.create_task(_ask_on(stalled))
            await call.cancelled.wait()
            await flooding
        await other.send(type="ping")
        await other.next("pong")
        assert server.admission.live == 0


async def _ask_on(connection: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await connection.send('{"type":"jobs"}')
            await asyncio.sleep(0)  # a send that fits into the buffer does not


@pytest.mark.parametrize("seed", range(3))
async def test_fuzzed_messages_end_nothing_but_their_own_connection(
    server: Server, seed: int, quiet: None
):
    """Mutated frames, binary and text: the server and the other socket are there as before.

    Row D7, invariant 10.
    """
    chance = random.Random(seed)
    seeds = [
        b'{"type":"process","id":"a","text":"a text that is long enough","chunk_size":50}',
        b'{"type":"generate","prompt":"x","stop":["."],"top_p":0.5,"meta":{"a":[null]}}',
        b'{"type":"cancel","id":"*"}',
        b'{"type":"resume","session":"s","after":{"a":1}}',
        b'{"type":"ping","n":1}',
    ]
    async with connected(server) as other:
        for _ in range(6):
            async with connect(server.url) as fuzzed:
                with suppress(ConnectionClosed):
                    for _ in range(50):
                        await fuzzed.send(_mutated(chance, chance.choice(seeds)), text=False)
        await other.send(type="process", id="a", text=TEXT)
        assert (await other.next("done"))["status"] == "completed"


def _mutated(chance: random.Random, message: bytes) -> bytes:
    """Return a message with up to four bytes changed, doubled or removed."""
    mutable = bytearray(message)
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(mutable))
        mutable[at : at + chance.randrange(3)] = bytes(
            chance.choice(b'{}[]",:0x\\\xff') for _ in range(chance.randrange(3))
        )
    return bytes(mutable)


async def test_invalid_utf8_in_a_text_frame_closes_with_1007(server: Server, quiet: None):
    """Row D6: that is the WebSocket's own rule; the server lives."""
    async with connected(server) as wire:
        await wire.socket.send(b"\xff", text=True)
        assert await wire.closed() == 1007
    assert (await http(server, "/healthz"))[0] == 200


@pytest.mark.parametrize(("over", "code"), [(0, 1000), (1, 1009)])
async def test_a_message_has_its_most_bytes(over: int, code: int, quiet: None):
    """Invariant 10: at the limit it is read, one byte over it the connection closes."""
    async with serving(FakeEngine(), max_frame_bytes=1000) as server, connected(server) as wire:
        frame = '{"type":"ping"}'
        await wire.socket.send(frame + " " * (1000 + over - len(frame)))
        if not over:
            assert (await wire.receive())["type"] == "pong"
            await wire.socket.close()
        assert await wire.closed() == code


async def test_a_writer_that_fails_closes_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A defect of ours is told by 4500, and never by silence; the log has it once."""
    async with connected(server) as wire:

        def broken(session: Session) -> bytes:
            raise RuntimeError("a defect")

        monkeypatch.setattr(Session, "next_message", broken)
        await wire.send(type="ping")
        assert await wire.closed() == 4500
    assert caplog.text.count("RuntimeError: a defect") == 1


# --- tasks of one's own ---------------------------------------------------------------------------


class Own(Submit):
    """The request of a task that does what it is told."""

    type: Literal["own"] = "own"
    what: str


class OddError(EngineError):
    """An error with a code that the protocol does not know."""

    code = "odd"


async def own(request: Own, job: JobContext):
    """Say a status, then do what the request asks for."""
    yield job.status("working", what=request.what)
    match request.what:
        case "good":
            yield TaskResult({"x": 1}, "well done")
        case "no_json":
            yield TaskResult({"x": object()})
        case "no_json_status":
            yield job.status("working", x=object())
        case "negative_usage":
            job.count(things=-1)
            yield TaskResult({})
        case "no_json_partial":
            job.partial["x"] = object()
            raise WorkerLost("gone")
        case "nonsense":
            yield 5
        case "odd_error":
            raise OddError("strange")
        case "group":
            raise ExceptionGroup("several", [WorkerLost("gone")])
        case "raises":
            raise KeyError("somebody's text")


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("no_json", "internal", None),
        ("no_json_status", "internal", None),
        ("negative_usage", "internal", None),
        ("no_json_partial", "internal", None),
        ("nonsense", "internal", None),
        ("raises", "internal", None),
        ("nothing", "internal", "the task ended without a result"),
        ("odd_error", "engine_error", "strange"),
        ("group", "lost", "gone"),
    ],
)
async def test_whatever_a_task_of_ones_own_does_its_job_ends(what: str, code: str, words):
    """Invariant 2: with one `done`; details of a defect stay in the log, and the connection lives.

    Invariant 2.
    """
    server = fake_server(FakeEngine())
    server.registry.add(Own, own)
    async with server, connected(server) as wire:
        await wire.send(type="own", id="a", what=what)
        done = await wire.next("done")
        assert (done["status"], done["error"]["code"]) == ("failed", code)
        internal = "the task raised an error; the server's log has it"
        assert done["error"]["message"] == words or internal
        assert "somebody" not in json.dumps(done)
        await wire.send(type="own", id="b", what="good")
        done = await wire.next("done")
        assert (done["result"], done["message"]) == ({"x": 1}, "well done")
        assert server.admission.live == 0


# --- handshake ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        (["wsproc.v1"], "wsproc.v1"),
        (["other", "wsproc.v1"], "wsproc.v1"),
    ],
)
async def test_subprotocols(server: Server, offered, chosen, quiet: None):
    """None offered means v1 too, so that a plain `wscat -c` works."""
    async with connected(server, subprotocols=offered) as wire:
        assert wire.socket.subprotocol == chosen


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"subprotocols": ["wsproc.v2"]}, 4406),
        ({"origin": "http://evil.example"}, 4403),
        ({"origin": "null"}, 4403),
        ({"origin": "http://[::1"}, 4403),
    ],
)
async def test_refusals_that_a_browser_can_read(server: Server, options: dict, code: int, quiet):
    """The handshake succeeds and the close says why; no welcome comes before."""
    async with connect(server.url, user_agent_header="Mozilla/5.0", **options) as socket_:
        wire = Wire(socket_)
        assert await wire.closed() == code
        assert wire.frames == []


async def test_origins_that_may_connect(quiet: None):
    """The server's own, and those of the list."""
    async with serving(FakeEngine(), origins=("https://app.example",)) as server:
        for origin in (f"http://127.0.0.1:{server.port}", "https://app.example"):
            async with connected(server, origin=origin):
                pass


async def test_one_connection_too_many_is_told_to_come_again(quiet: None):
    """Row A2: 1013, and the others are not touched."""
    async with serving(FakeEngine(), max_connections=1) as server, connected(server) as wire:
        async with connect(server.url) as socket_:
            assert await Wire(socket_).closed() == 1013
        await wire.send(type="ping")
        assert (await wire.receive())["type"] == "pong"


async def test_heartbeats_only_for_those_who_negotiated_them(quiet: None):
    """No noise in wscat."""
    async with (
        serving(FakeEngine(), heartbeat_s=0.01) as server,
        connected(server) as plain,
        connected(server, subprotocols=["wsproc.v1"]) as negotiated,
    ):
        for _ in range(3):
            await negotiated.next("heartbeat")
        await plain.send(type="ping")
        assert (await plain.receive())["type"] == "pong"


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/wsproc.js", "text/javascript; charset=utf-8"),
        ("/wsproc.d.ts", "application/typescript; charset=utf-8"),
        ("/console/main.js", "text/javascript; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/schema.json", "application/schema+json"),
        ("/asyncapi.yaml", "application/yaml; charset=utf-8"),
        ("/healthz?verbose=1", "application/json"),
    ],
)
async def test_what_a_get_is_answered_with(server: Server, path: str, kind: str, quiet: None):
    """On the WebSocket's port, with the headers that keep a browser safe."""
    status, headers, body = await http(server, path)
    assert (status, headers["content-type"]) == (200, kind)
    assert int(headers["content-length"]) == len(body) > 0
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/wsproc.js", "/wsproc.d.ts"])
async def test_any_page_may_import_the_client(server: Server, path: str, quiet: None):
    """Whether it may connect is another question; what else there is stays the server's own."""
    assert (await http(server, path))[1]["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await http(server, "/"))[1]


async def test_the_schema_is_that_of_this_servers_tasks(quiet: None):
    """A task of one's own is in the schema and in the AsyncAPI document."""
    server = fake_server(FakeEngine())
    server.registry.add(Own, own)
    async with server:
        schema = orjson.loads((await http(server, "/schema.json"))[2])
        assert schema == orjson.loads(orjson.dumps(json_schema(server.registry.requests)))
        assert "Own" in schema["$defs"]
        document = yaml.safe_load((await http(server, "/asyncapi.yaml"))[2])
        assert "Own" in document["components"]["messages"]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/../etc/passwd", "GET", 404),
        ("/healthz", "POST", 405),
        ("/healthz", "HEAD", 200),
    ],
)
async def test_what_is_not_there(server: Server, path: str, method: str, status: int, quiet: None):
    """Other paths are 404, other methods 405."""
    assert (await http(server, path, method))[0] == status


async def test_a_foreign_host_is_misdirected(server: Server, quiet: None):
    """A page that points its own name at 127.0.0.1 gets nothing (DNS rebinding)."""
    assert (await http(server, "/", Host="evil.example"))[0] == 421
    assert (await http(server, "/healthz", Host="[::1"))[0] == 421
    assert (await http(server, "/", Host="evil.example", **HANDSHAKE))[0] == 421


@pytest.mark.parametrize("header", ["Host", "Origin"])
async def test_a_header_that_decides_comes_once(server: Server, header: str, quiet: None):
    """Two of them could be read in two ways, so that neither is."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(server.url, additional_headers=[(header, "a"), (header, "b")]):
            pytest.fail("connected")
    assert caught.value.response.status_code == 400


async def test_a_handshake_that_is_refused_over_http_is_told(quiet: None):
    """Whatever it was refused for; a plain GET that is refused is no handshake."""
    told: list[Event] = []
    async with fake_server(FakeEngine(), readers=[told.append]) as server:
        assert (await http(server, "/", Host="evil.example"))[0] == 421
        assert (await http(server, "/", Host="evil.example", **HANDSHAKE))[0] == 421
        twice = connect(server.url, additional_headers=[("Origin", "a"), ("Origin", "b")])
        with pytest.raises(InvalidStatus):
            await twice
    refused = [one for one in told if isinstance(one, HandshakeRefused)]
    assert [(one.peer.connection, one.code) for one in refused] == [(1, 421), (2, 400)]


async def test_a_header_that_is_a_list_may_come_in_pieces(server: Server, quiet: None):
    """As some proxies send it."""
    async with connected(server, additional_headers=[("Connection", "keep-alive")]):
        pass


async def test_readiness_follows_the_engine(server: Server, quiet: None, monkeypatch):
    """503 with the reason while a stage cannot be called; health asks for work alone."""
    monkeypatch.setattr(
        server.engine, "unavailable", lambda stage: f"the {stage} worker is being started"
    )
    status, _, body = await http(server, "/readyz")
    assert (status, json.loads(body)["ready"]) == (503, False)
    assert json.loads(body)["reasons"] == ["the sentiment worker is being started"]
    status, _, body = await http(server, "/healthz")
    assert (status, json.loads(body)["healthy"]) == (200, True)
    assert json.loads(body)["workers"]["fake"]["state"] == "serves"


async def test_the_metrics_count_what_happened(quiet: None):
    """Jobs by task and outcome, connections and handshakes."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x")
        plausible(await engine.calls.get())
        await wire.next("done")
        await wire.send(type="generate", id="b", prompt="x")
        await engine.calls.get()
        await wire.send(type="cancel", id="b")
        await wire.next("done")
        text = (await http(server, "/metrics"))[2].decode()
    assert 'wsproc_jobs_total{outcome="completed",task="generate"} 1.0' in text
    assert 'wsproc_jobs_total{outcome="cancelled_client",task="generate"} 1.0' in text
    assert "wsproc_connections 1.0" in text
    assert 'wsproc_handshakes_total{outcome="accepted"} 1.0' in text
    assert 'wsproc_job_stop_seconds_count{task="generate"} 1.0' in text


async def test_what_happens_is_told_to_readers(quiet: None):
    """Each thing once, as a record: who came, what was taken and refused, how it ended."""
    told: list[Event] = []
    engine = FakeEngine(answers=plausible)
    async with fake_server(engine, readers=[told.append]) as server:
        async with connected(server) as wire:
            await wire.send(type="generate", id="a", prompt="Hello", meta={"traceparent": "00-x"})
            await wire.next("done")
            await wire.send(type="generate", id="b", prompt="x" * 5001)
            await wire.next("rejected")
            await wire.send(type="process")
            await wire.next("rejected")
            await wire.send(type="nothing")
            await wire.next("error")
        browser = {"origin": "https://bad.example", "user_agent_header": "Mozilla/5.0"}
        with pytest.raises(ConnectionClosed):
            async with connect(server.url, **browser) as socket_:
                await socket_.recv()
    peers = [one.peer for one in told if isinstance(one, Connected | HandshakeRefused)]
    assert [one.connection for one in peers] == [1, 2]
    assert all(one.address.startswith("127.0.0.1:") for one in peers)
    ended = next(one for one in told if isinstance(one, JobEnded))
    closed = next(one for one in told if isinstance(one, Disconnected))
    assert told == [
        Connected(peers[0]),
        JobAccepted("generate"),
        ended,
        JobRejected("input_too_large"),
        JobRejected("missing_field"),
        FrameRefused("unknown_type"),
        closed,
        HandshakeRefused(peers[1], 4403, "this origin may not connect; see --origin"),
    ]
    assert (ended.job, ended.task, ended.outcome, ended.reason) == (
        "a",
        "generate",
        "completed",
        None,
    )
    assert (ended.inputs, ended.characters, ended.traceparent) == (1, 5, "00-x")
    assert ended.usage["completion_tokens"] == 5
    assert (closed.peer, closed.code, closed.frames_in) == (peers[0], 1000, 4)


async def test_job_ends_are_told_by_outcome(quiet: None):
    """A cancel with its reason, a deadline and an error with their codes."""
    told: list[JobEnded] = []

    def keep(event: Event) -> None:
        if isinstance(event, JobEnded):
            told.append(event)

    engine = FakeEngine()
    async with fake_server(engine, readers=[keep]) as server, connected(server) as wire:
        await wire.send(type="generate", id="late", prompt="x", timeout_ms=1)
        await wire.next("done")
        await wire.send(type="generate", id="broken", prompt="x")
        await engine.calls.get()
        call = await engine.calls.get()
        call.fail(EngineError("no"))
        call.end()
        await wire.next("done")
        await wire.send(type="generate", id="gone", prompt="x")
        await engine.calls.get()
    assert [(one.job, one.outcome, one.reason) for one in told] == [
        ("late", "deadline_exceeded", None),
        ("broken", "engine_error", None),
        ("gone", "cancelled", "disconnect"),
    ]


async def test_log_lines_of_a_job_have_its_ids(caplog: pytest.LogCaptureFixture):
    """Those of its task, of what it starts, and of its end: connection, session and job."""
    lines: list[dict[str, object]] = []

    class Ids(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append({"event": record.getMessage(), **get_contextvars()})

    async def talkative(request: Own, job: JobContext):
        logging.getLogger("somebody.else").warning("working")
        raise ValueError("no")
        yield

    server = fake_server(FakeEngine())
    server.registry.add(Own, talkative)
    handler = Ids()
    logging.getLogger().addHandler(handler)
    try:
        async with server, connected(server) as wire:
            welcome = wire.frames[0]
            await wire.send(type="own", id="a", what="x")
            await wire.next("done")
    finally:
        logging.getLogger().removeHandler(handler)
    ids = {"connection": 1, "session": label(welcome["session"]), "job": "a"}
    assert lines == [{"event": said} | ids for said in ("working", "a task raised", "job ended")]


# --- going away -----------------------------------------------------------------------------------


async def test_a_shutdown_is_announced_and_jobs_are_told(quiet: None):
    """Row F1, invariant 2: `goaway`, a `done` for every job, new ones rejected, then 1012."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine, drain_s=0.2) as server, connected(server) as wire:
        await wire.send(type="generate", id="a", prompt="x")
        call = await engine.calls.get()
        closing = asyncio.create_task(server.close())
        goaway = await wire.next("goaway")
        assert (goaway["code"], goaway["grace_ms"], goaway["reconnect"]) == (1012, 200, True)
        await wire.send(type="generate", id="b", prompt="x")
        rejected = await wire.next("rejected")
        assert (rejected["id"], rejected["error"]["code"]) == ("b", "draining")
        await call.cancelled.wait()
        call.end(EndReason.CANCELLED)
        done = await wire.next("done")
        assert (done["id"], done["status"], done["reason"]) == ("a", "cancelled", "shutdown")
        assert await wire.closed() == 1012
        await closing


async def test_an_engine_that_does_not_let_go_holds_no_shutdown_up():
    """After `drain_s` and `grace_s` connections are cut and the engine is closed."""
    engine = FakeEngine(slow_to_stop=True)
    settings = {"drain_s": 0.05, "grace_s": 0.05}
    async with serving(engine, **settings) as server, connect(server.url) as socket_:
        await socket_.send('{"type":"generate","prompt":"x"}')
        await engine.calls.get()
        async with asyncio.timeout(10):
            await server.close()


async def test_nobody_can_connect_to_a_server_that_is_gone(server: Server, quiet: None):
    """The port is free at once, and a second close is no error."""
    url = server.url
    await server.close()
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        async with connect(url):
            pytest.fail("connected")


async def test_a_port_that_is_taken_leaves_nothing_running(server: Server, quiet: None):
    """`OSError`, and the engine is closed."""

    class Watched(FakeEngine):
        closed = False

        async def close(self) -> None:
            self.closed = True

    engine = Watched()
    second = Server(
        type(server.config)(port=server.port),
        engine=engine,  # type: ignore[arg-type]
    )
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    assert engine.closed


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_closes_in_order(sign: signal.Signals, quiet: None):
    """Row F1: as by `close`: clients are told."""
    async with serving(FakeEngine()) as server, connected(server) as wire:
        running = asyncio.create_task(server.run_until_signal())
        await asyncio.sleep(0)
        os.kill(os.getpid(), sign)
        assert (await wire.next("goaway"))["code"] == 1012
        assert await wire.closed() == 1012
        await running


def test_a_server_says_what_it_is():
    """For people at a prompt."""
    assert repr(fake_server(FakeEngine())) == (
        "<Server 0 connections, <Admission 0 jobs of 4096, 0 waiting>>"
    )
