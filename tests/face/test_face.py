"""The HTTP face on real sockets, beside the WebSocket side of the same server."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import orjson
import pytest

from tests.fakes import FakeEngine, fake_server, plausible, serving
from tests.raw import reset_on_close
from tests.waiting import PATIENCE_S, until
from tests.wire import connected, http
from wsproc.engine import EndReason, EngineError
from wsproc.extras import MissingExtra
from wsproc.server import Server

TEXT = "I love this. Ada is great! " * 5 + "I hate that. " * 5
END = b"\r\n0\r\n\r\n"
"""The end of a whole body in chunks."""
PATHS = ("/process-stream", "/process-batch", "/generate-stream")


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture):
    """Nothing may be logged as an error, here or in uvicorn: no exception escapes a request."""
    yield
    for when in ("setup", "call"):
        records = [one for one in caplog.get_records(when) if one.levelno >= logging.ERROR]
        assert records == []


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield an HTTP client of a server's face."""
    assert server.http_url is not None
    async with httpx2.AsyncClient(base_url=server.http_url, timeout=PATIENCE_S) as one:
        yield one


class Raw:
    """A client that does what it likes with its socket."""

    def __init__(self, server: Server, *, receive_buffer: int | None = None) -> None:
        assert server.http_url is not None
        self.port = int(server.http_url.rstrip("/").rpartition(":")[2])
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)

    async def send(self, data: bytes) -> None:
        """Connect where that was not done, and send."""
        loop = asyncio.get_running_loop()
        if self.socket.getsockname()[1] == 0:
            await loop.sock_connect(self.socket, ("127.0.0.1", self.port))
        await loop.sock_sendall(self.socket, data)

    async def post(self, path: str, body: object, cut_after: int | None = None) -> None:
        """Send a whole request, or one whose body ends too early."""
        content = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        await self.send(
            f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:cut_after]
        )

    async def receive(self) -> bytes:
        """Return what is there; nothing at the end."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            return await loop.sock_recv(self.socket, 65536)

    async def receive_all(self) -> bytes:
        """Return all up to the end."""
        whole = b""
        while part := await self.receive():
            whole += part
        return whole

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    async def receive_until(self, end: bytes) -> bytes:
        """Return what comes up to some bytes."""
        whole = b""
        while not whole.endswith(end):
            part = await self.receive()
            assert part, whole
            whole += part
        return whole

    def reset(self) -> None:
        """Go away without a goodbye."""
        reset_on_close(self.socket)
        self.socket.close()


# --- whole jobs -----------------------------------------------------------------------------------


async def test_http_and_websocket_share_one_server():
    """One admission, one engine, one set of figures."""
    engine = FakeEngine()
    async with (
        serving(engine, http_port=0) as server,
        connected(server) as wire,
        client(server) as ask,
    ):
        await wire.send(type="generate", id="a", prompt="x")
        over_websocket = await engine.calls.get()
        answer = asyncio.create_task(ask.post("/generate-stream", json={"prompt": "y"}))
        over_http = await engine.calls.get()
        assert server.admission.live == 2
        plausible(over_http)
        assert (await answer).text == " word0 word1 word2 word3 word4"
        plausible(over_websocket)
        assert (await wire.next("done"))["status"] == "completed"
        await until(lambda: server.admission.live == 0)
        figures = (await http(server, "/metrics"))[2].decode()
    assert 'wsproc_jobs_total{outcome="completed",task="generate"} 2.0' in figures
    assert 'wsproc_http_answers_total{path="/generate-stream",status="200"} 1.0' in figures


async def test_lines_come_while_the_job_runs():
    """A line is at the client before the next one exists."""
    engine = FakeEngine()
    async with serving(engine, http_port=0) as server, client(server) as ask:
        body = {"text": TEXT, "include_summary": False, "chunk_size": 50}
        async with ask.stream("POST", "/process-stream", json=body) as answer:
            lines = answer.aiter_lines()
            call = await engine.calls.get()
            for number in range(len(call.items)):
                call.result(number, sentiment="POSITIVE", confidence=0.9)
                while (line := orjson.loads(await anext(lines)))["status"] != "sentiment_progress":
                    pass
                assert line["current_item"] == number + 1
            call.end()
            assert [orjson.loads(line)["status"] async for line in lines] == [
                "sentiment_complete",
                "completed",
            ]


async def test_a_connection_serves_one_request_after_another():
    """Keep-alive: the same socket, until the client closes it."""
    async with serving(FakeEngine(answers=plausible), http_port=0) as server:
        with Raw(server) as raw:
            for _ in range(3):
                await raw.post("/process-batch", {"text": TEXT})
                assert b'"status":"completed"' in await raw.receive_until(END)


# --- clients that go away -------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_goes_away_cancels_its_job(path: str, how: str, caplog):
    """At once, while nothing is being sent: the device is free, the slot is back, and its
    neighbours, on HTTP and on WebSocket, feel nothing.
    """
    engine = FakeEngine()
    async with (
        serving(engine, http_port=0) as server,
        connected(server) as wire,
        client(server) as ask,
    ):
        await wire.send(type="generate", id="a", prompt="x")
        neighbours = [await engine.calls.get()]
        other = asyncio.create_task(ask.post("/generate-stream", json={"prompt": "y"}))
        neighbours.append(await engine.calls.get())
        raw = Raw(server)
        await raw.post(
            path, {"text": TEXT, **({"include_summary": False} if "process" in path else {})}
        )
        call = await engine.calls.get()
        assert server.admission.live == 3
        raw.socket.close() if how == "close" else raw.reset()
        await call.cancelled.wait()
        await until(lambda: server.admission.live == 2)
        status = "200" if path == "/process-stream" else "499"
        figure = f'wsproc_http_answers_total{{path="{path}",status="{status}"}} 1.0'
        assert figure in (await http(server, "/metrics"))[2].decode()
        assert "cut off" not in caplog.text
        assert not any(one.cancelled.is_set() for one in neighbours)
        for one in neighbours:
            plausible(one)
        assert (await other).text == " word0 word1 word2 word3 word4"
        assert (await wire.next("done"))["status"] == "completed"
        await until(lambda: server.admission.live == 0)


async def test_a_client_that_goes_away_in_the_middle_cancels_its_job():
    """While tokens flow."""
    engine = FakeEngine()
    async with serving(engine, http_port=0) as server:
        raw = Raw(server)
        await raw.post("/generate-stream", {"prompt": "x"})
        call = await engine.calls.get()
        call.delta(text="one")
        while b"one" not in await raw.receive():
            pass
        raw.reset()
        while not call.cancelled.is_set():
            call.delta(text="more")
            await asyncio.sleep(0.001)
        await until(lambda: server.admission.live == 0)


async def test_a_hundred_clients_that_go_away_leave_nothing():
    """However early: before, while and after their job begins."""
    engine = FakeEngine()
    async with serving(engine, http_port=0) as server:
        for number in range(100):
            raw = Raw(server)
            await raw.post(PATHS[number % 3], {"text": TEXT})
            for _ in range(number % 7):
                await asyncio.sleep(0)
            raw.reset()
        async with client(server) as ask:
            assert (await ask.get("/healthz")).status_code == 200
        await until(lambda: server.admission.live == 0)
        while not engine.calls.empty():
            assert engine.calls.get_nowait().cancelled.is_set()


async def test_a_client_that_reads_nothing_is_cut_off():
    """After `send_timeout_s`; its job is cancelled, and another client's is not."""
    engine = FakeEngine()
    async with serving(engine, http_port=0, send_timeout_s=0.2) as server, client(server) as ask:
        raw = Raw(server, receive_buffer=4096)
        await raw.post("/generate-stream", {"prompt": "x"})
        call = await engine.calls.get()
        other = asyncio.create_task(ask.post("/generate-stream", json={"prompt": "y"}))
        neighbour = await engine.calls.get()
        while not call.cancelled.is_set():
            call.delta(text="x" * 10_000)
            await asyncio.sleep(0)
        await until(lambda: server.admission.live == 1)
        plausible(neighbour)
        assert (await other).status_code == 200
        with raw:
            assert not (await raw.receive_all()).endswith(END)


# --- what goes wrong ------------------------------------------------------------------------------


async def test_a_text_that_fails_in_the_middle_does_not_look_whole():
    """The connection is cut before the end of the body."""
    engine = FakeEngine()
    async with serving(engine, http_port=0) as server, client(server) as ask:
        asked = asyncio.create_task(ask.post("/generate-stream", json={"prompt": "x"}))
        call = await engine.calls.get()
        call.delta(text="one")
        call.fail(EngineError("the stage raised"))
        call.end(EndReason.COMPLETED)
        with pytest.raises(httpx2.TransportError):
            await asked
        await until(lambda: server.admission.live == 0)
        assert (await ask.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "sent", [b"", b"POST /process-stream HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes):
    """After `open_timeout_s` the connection is gone, whether it is the first request or a later."""
    async with serving(FakeEngine(), http_port=0, open_timeout_s=0.1) as server:
        with Raw(server) as first, Raw(server) as second:
            await first.send(sent)
            await second.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in await second.receive_until(b"}\n")
            await second.send(sent or b"G")
            for raw in (first, second):
                with suppress(ConnectionResetError):
                    assert await raw.receive() == b""


async def test_a_body_that_does_not_come_is_not_waited_for():
    """408, and nothing was admitted."""
    async with serving(FakeEngine(), http_port=0, open_timeout_s=0.1) as server:
        with Raw(server) as raw:
            await raw.post("/process-stream", {"text": TEXT}, cut_after=20)
            assert b"408 " in await raw.receive()


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01", b"nonsense\r\n\r\n", b"\0" * 70_000])
async def test_what_is_no_http_harms_nobody(junk: bytes):
    """The server and its other clients live on."""
    async with serving(FakeEngine(), http_port=0, open_timeout_s=0.1) as server:
        with Raw(server) as raw, suppress(ConnectionResetError):
            await raw.send(junk)
            await raw.receive_all()
        async with client(server) as ask:
            assert (await ask.get("/healthz")).status_code == 200


async def test_connections_are_counted_with_those_of_the_other_side():
    """One too many is told so and closed, whichever side the others are on; then there is room."""
    async with serving(FakeEngine(), http_port=0, max_connections=2) as server:
        async with connected(server):
            with Raw(server) as first, Raw(server) as second:
                await first.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"200 OK" in await first.receive_until(b"}\n")
                await second.post("/process-batch", {"text": TEXT})
                refused = (await second.receive_all()).lower()
        assert b" 503 " in refused
        assert b"retry-after: 1" in refused
        assert b"too many connections" in refused
        await until(lambda: len(server.gate) == 0)
        async with client(server) as ask:
            assert (await ask.get("/healthz")).status_code == 200


async def test_who_asks_too_often_is_told_to_wait():
    """429 with the time until it would be heard; on another connection it is another client."""
    limits = {"messages_per_s": 0.01, "message_burst": 2}
    async with serving(FakeEngine(answers=plausible), http_port=0, **limits) as server:
        async with client(server) as ask:
            answers = [await ask.post("/process-batch", json={"text": TEXT}) for _ in range(3)]
            assert [one.status_code for one in answers] == [200, 200, 429]
            assert answers[2].json()["error"]["code"] == "rate_limited"
            assert int(answers[2].headers["retry-after"]) > 50
        async with client(server) as other:
            assert (await other.post("/process-batch", json={"text": TEXT})).status_code == 200


# --- start and end --------------------------------------------------------------------------------


async def test_jobs_may_end_while_the_server_goes_away():
    """They have `drain_s`; no other is taken, and no connection."""
    engine = FakeEngine()
    server = fake_server(engine, http_port=0)
    await server.start()
    async with client(server) as ask:
        answer = asyncio.create_task(ask.post("/generate-stream", json={"prompt": "x"}))
        call = await engine.calls.get()
        call.delta(text="one")
        closing = asyncio.create_task(server.close())
        await until(lambda: not reachable(server))
        plausible(call)
        assert (await answer).text == "one word0 word1 word2 word3 word4"
        await closing
    assert server.admission.live == 0


def reachable(server: Server) -> bool:
    """Whether the face takes connections."""
    with socket.socket() as one:
        port = int(str(server.http_url).rstrip("/").rpartition(":")[2])
        return one.connect_ex(("127.0.0.1", port)) == 0


async def test_what_has_not_ended_is_stopped_and_told():
    """A stream ends with an error line that says `draining`, where an answer had not begun it is
    503.
    """
    engine = FakeEngine()
    server = fake_server(engine, http_port=0, drain_s=0)
    await server.start()
    async with client(server) as ask:
        async with ask.stream("POST", "/process-stream", json={"text": TEXT}) as answer:
            whole = asyncio.create_task(ask.post("/process-batch", json={"text": TEXT}))
            for _ in range(4):
                await engine.calls.get()
            closing = asyncio.create_task(server.close())
            last = [orjson.loads(line) async for line in answer.aiter_lines()][-1]
        assert (last["status"], last["error"]["code"]) == ("error", "draining")
        assert last["error"]["retryable"] is True
        refused = await whole
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        await closing
        with pytest.raises(httpx2.ConnectError):
            await ask.get("/healthz")
    assert server.admission.live == 0


async def never_read(server: Server, engine: FakeEngine) -> Raw:
    """Return a client with a long answer that it does not read."""
    raw = Raw(server, receive_buffer=4096)
    await raw.post("/generate-stream", {"prompt": "x"})
    call = await engine.calls.get()
    for _ in range(1000):
        call.delta(text="x" * 10_000)
    await raw.receive()
    return raw


async def test_the_end_waits_for_no_client_for_ever():
    """One that reads nothing, and whose device does not stop, is cut after `grace_s`."""
    engine = FakeEngine(slow_to_stop=True)
    server = fake_server(engine, http_port=0, drain_s=0.1, grace_s=0.1)
    await server.start()
    with await never_read(server, engine):
        async with asyncio.timeout(PATIENCE_S):
            await server.close()
    assert server.admission.live == 0


async def test_a_hurry_waits_for_nothing():
    """Whatever the settings say."""
    engine = FakeEngine(slow_to_stop=True)
    server = fake_server(engine, http_port=0, drain_s=1000, grace_s=1000)
    await server.start()
    with await never_read(server, engine):
        closing = asyncio.create_task(server.close())
        await until(lambda: not reachable(server))
        server.hurry()
        async with asyncio.timeout(PATIENCE_S):
            await closing
    assert server.admission.live == 0


async def test_signals_are_the_servers_own():
    """Uvicorn installs no handlers in the process."""
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with serving(FakeEngine(), http_port=0):
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_taken_port_is_told_and_leaves_nothing_running():
    """The WebSocket's port is free again too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = fake_server(FakeEngine(), http_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.start()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_face_may_listen_elsewhere():
    """`http_host` beside `host`, by name too."""
    async with serving(FakeEngine(), http_port=0, http_host="localhost") as server:
        assert server.http_url.startswith("http://localhost:")
        async with client(server) as ask:
            assert (await ask.get("/healthz")).status_code == 200


@pytest.mark.parametrize("library", ["fastapi", "uvicorn", "fastapi_offline"])
def test_without_the_extra_one_sentence_says_how_to_get_it(library: str, monkeypatch):
    """Before anything is loaded, and only where the face is asked for."""
    for name in [one for one in sys.modules if one.partition(".")[0] in (library, "wsproc.face")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [one for one in sys.modules if one.startswith("wsproc.face")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    fake_server(FakeEngine())
    with pytest.raises(MissingExtra, match=r"needs .*pip install 'wsproc\[http\]'"):
        fake_server(FakeEngine(), http_port=0)
