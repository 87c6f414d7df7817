"""The load: sessions that run one job after the other over connections of their own.

It shares the machine with the servers, so it stays lean: bare protocols, and answers are searched
for the few bytes that matter instead of being parsed.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from benchmarks.workload import CHUNK_SIZE, chunks_of

RAMP_S = 0.5
"""All clients begin at once; what comes in this time is not counted."""

HOST = "127.0.0.1"
_HEAD = (
    f"POST /process HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    "Content-Length: %d\r\n\r\n"
)
_UPGRADE = (
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: d3Nwcm9jLWJlbmNobWFyaw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT, _PING, _PONG = 0x1, 0x9, 0xA

_LANES = 25

OnResult = Callable[[], None]


class Session:
    """One client: `job` runs a text to its end and calls back at each chunk's result."""

    @abstractmethod
    async def job(self, text: str, on_result: OnResult) -> None:
        """Run one job; raises `ConnectionError` when it is not answered to its end."""

    @abstractmethod
    def close(self) -> None:
        """Leave at once."""


Open = Callable[[], Awaitable[Session]]


class _Wire(asyncio.Protocol):
    """A connection that hands what it receives to `feed`; `over` is the answer that is awaited."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.on_result: OnResult = _nothing
        self.over: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(error or ConnectionError("closed by the server"))
            self.over.exception()  # a closed session's answer is nobody's concern

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.feed()

    @abstractmethod
    def feed(self) -> None:
        """Take what is complete out of the buffer."""

    async def ask(self, request: bytes, on_result: OnResult) -> bytes:
        """Send a request and return the last part of its answer."""
        self.on_result = on_result
        self.over = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.over

    def finish(self, last: bytes) -> None:
        if not self.over.done():
            self.over.set_result(last)


class WebSocketWire(_Wire):
    """A WebSocket that hands the messages it receives to `on_message`."""

    _open = False

    @classmethod
    async def connected(cls, port: int) -> Self:
        """Connect and shake hands."""
        wire: Self = await _connected(cls, port)
        if not (head := await wire.ask(_UPGRADE.encode(), _nothing)).startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.decode())
        return wire

    def feed(self) -> None:
        """Take what is complete out of the buffer, the answer to the handshake first."""
        if not self._open:
            return self._shake_hands()
        for opcode, payload in frames(self.buffer):
            if opcode == _PING:
                self.transport.write(frame(_PONG, payload))
            else:
                self.on_message(payload)
        return None

    @abstractmethod
    def on_message(self, payload: bytes) -> None:
        """Take a message of the server's."""

    def _shake_hands(self) -> None:
        head, end, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        if end:
            self._open = head.startswith(b"HTTP/1.1 101")
            self.buffer[:] = rest
            self.finish(head)


class _OneJob(WebSocketWire):
    def on_message(self, payload: bytes) -> None:
        if b'"sentiment_progress"' in payload[:96]:
            self.on_result()
        elif b'"done"' in payload[:32] or b'"rejected"' in payload[:32]:
            self.finish(payload)


class WebSocketSession(Session):
    """A client of wsproc."""

    def __init__(self, wire: _OneJob) -> None:
        self._wire = wire
        self._jobs = 0

    @classmethod
    async def open(cls, port: int) -> WebSocketSession:
        """Connect."""
        return cls(await _OneJob.connected(port))

    async def job(self, text: str, on_result: OnResult) -> None:
        """Run one job."""
        if (done := await self.finished(text, on_result)).get("status") != "completed":
            raise ConnectionError(f"a job failed: {done}")

    async def finished(self, text: str, on_result: OnResult) -> dict[str, Any]:
        """Run one job and return its `done`, whatever became of it."""
        self._jobs += 1
        job = {"type": "process", "id": self._id, "text": text, "chunk_size": CHUNK_SIZE}
        body = json.dumps({**job, "include_summary": False}).encode()
        done: dict[str, Any] = json.loads(await self._wire.ask(frame(_TEXT, body), on_result))
        return done

    def cancel(self) -> None:
        """Cancel the job that runs."""
        self._wire.transport.write(frame(_TEXT, b'{"type":"cancel","id":"%s"}' % self._id.encode()))

    @property
    def _id(self) -> str:
        return f"a{self._jobs}"

    def close(self) -> None:
        """Leave."""
        self._wire.transport.abort()


class _Lines(_Wire):
    """A streamed answer: chunked HTTP with a JSON object a line."""

    _completed = False

    def feed(self) -> None:
        _check_status(self.buffer)
        if not self._completed:
            size = self.buffer.rfind(b"\n") + 1
            for _ in range(self.buffer.count(b'"sentiment_progress"', 0, size)):
                self.on_result()
            self._completed = b'"completed"' in self.buffer
            if not self._completed:
                del self.buffer[:size]
        if self._completed and self.buffer.endswith(b"\r\n0\r\n\r\n"):
            self.buffer.clear()
            self._completed = False
            self.finish(b"")


class StreamSession(Session):
    """A client of an endpoint that streams a text's results."""

    def __init__(self, wire: _Lines) -> None:
        self._wire = wire

    @classmethod
    async def open(cls, port: int) -> StreamSession:
        """Connect."""
        return cls(await _connected(_Lines, port))

    async def job(self, text: str, on_result: OnResult) -> None:
        """Run one job."""
        await self._wire.ask(post({"text": text, "chunk_size": CHUNK_SIZE}), on_result)

    def close(self) -> None:
        """Leave."""
        self._wire.transport.abort()


class _Answer(_Wire):
    """A whole answer with its length in its head."""

    def feed(self) -> None:
        _check_status(self.buffer)
        head, end, body = bytes(self.buffer).partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            self.buffer.clear()
            self.on_result()
            self.finish(b"")


class ChunkSession(Session):
    """A client that sends all chunks of its text at once, each on a connection that it keeps."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wires: list[_Answer] = []

    @classmethod
    async def open(cls, port: int) -> ChunkSession:
        """Connect as often as most texts need; more connections follow when they are needed."""
        session = cls(port)
        await session._enough(_LANES)
        return session

    async def job(self, text: str, on_result: OnResult) -> None:
        """Run one job."""
        chunks = chunks_of(text)
        await self._enough(len(chunks))
        pairs = zip(self._wires, chunks, strict=False)
        await asyncio.gather(*(wire.ask(post({"text": one}), on_result) for wire, one in pairs))

    async def _enough(self, wanted: int) -> None:
        missing = range(wanted - len(self._wires))
        self._wires += await asyncio.gather(*(_connected(_Answer, self._port) for _ in missing))

    def close(self) -> None:
        """Leave."""
        for wire in self._wires:
            wire.transport.abort()


def _check_status(answer: bytearray) -> None:
    if answer.startswith(b"HTTP/1.1 ") and answer[9:12] != b"200":
        raise ConnectionError(bytes(answer).decode())


async def _connected(kind: Any, port: int) -> Any:
    _, wire = await asyncio.get_running_loop().create_connection(kind, HOST, port)
    return wire


def post(body: dict[str, Any]) -> bytes:
    """Return a request."""
    content = json.dumps(body).encode()
    return (_HEAD % len(content)).encode() + content


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame, masked with zeros, which changes nothing."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + size.to_bytes(8)
    return head + bytes(4) + payload


def frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take a server's complete frames out of the buffer: opcode and payload."""
    at = 0
    while len(buffer) - at >= 2:
        size, head = buffer[at + 1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if len(buffer) - at < head:
                break
            size = int.from_bytes(buffer[at + 2 : at + head])
        if len(buffer) - at < head + size:
            break
        yield buffer[at] & 0xF, bytes(buffer[at + head : at + head + size])
        at += head + size
    del buffer[:at]


def _nothing() -> None:
    pass


@dataclass
class Tally:
    """What the clients of one round saw, times in seconds.

    `chunks` are the results that came within the window from `begins` to `ends`; each of `jobs` is
    when it began, how long its first result took, and how long all of it took.
    """

    begins: float = 0.0
    ends: float = float("inf")
    chunks: int = 0
    jobs: list[tuple[float, float, float]] = field(default_factory=list)
    own_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Chunks a second over all clients."""
        return self.chunks / (self.ends - self.begins)

    @property
    def firsts(self) -> list[float]:
        """How long the first results took."""
        return [first for _, first, _ in self._steady()]

    @property
    def wholes(self) -> list[float]:
        """How long the jobs took."""
        return [whole for _, _, whole in self._steady()]

    def _steady(self) -> list[tuple[float, float, float]]:
        """Return the jobs that began within the window; all of them if they are that long."""
        return [job for job in self.jobs if job[0] >= self.begins] or self.jobs

    async def run(self, session: Session, text: str) -> None:
        """Run one job and note what it took."""
        began = time.monotonic()
        first = 0.0

        def on_result() -> None:
            nonlocal first
            now = time.monotonic()
            first = first or now - began
            self.chunks += self.begins <= now < self.ends

        await session.job(text, on_result)
        self.jobs.append((began, first, time.monotonic() - began))


async def measure(
    open_session: Open,
    clients: int,
    seconds: float,
    texts: Sequence[str],
    on_window: Callable[[], None] | None = None,
) -> Tally:
    """Run so many clients at once, each sending the next text when the last is done.

    Jobs that began in time are finished, but only results within the window count as its rate;
    `on_window` is called when it begins.
    """
    sessions = await asyncio.gather(*(open_session() for _ in range(clients)))
    begins = time.monotonic() + RAMP_S
    tally = Tally(begins, begins + seconds)
    cpu = time.process_time()
    if on_window is not None:
        asyncio.get_running_loop().call_later(RAMP_S, on_window)
    await asyncio.gather(*(_client(one, n, texts, tally) for n, one in enumerate(sessions)))
    tally.own_cpu = (time.process_time() - cpu) / (time.monotonic() - begins + RAMP_S)
    for session in sessions:
        session.close()
    return tally


async def _client(session: Session, number: int, texts: Sequence[str], tally: Tally) -> None:
    for at in count(number):
        if time.monotonic() >= tally.ends:
            return
        await tally.run(session, texts[at % len(texts)])
