"""A strict client for tests: every frame it gets is checked against the schema and the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import jsonschema
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.waiting import PATIENCE_S, until
from wsproc.schema import json_schema
from wsproc.server import Server

SCHEMA = json_schema()
SERVER_FRAME = jsonschema.Draft202012Validator(
    {**SCHEMA, "anyOf": [{"$ref": "#/$defs/ServerFrame"}]}
)

PROMPT: dict[str, Any] = {"type": "generate", "prompt": "Once upon a time", "max_tokens": 9}


class Wire:
    """One connection. Receiving asserts what holds for every server: valid frames, numbers without
    a hole, silence of a job behind its `done`, and no result of it behind `reply{cancelling}`.

    `welcome` is set by `connected`.
    """

    welcome: dict[str, Any]

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self._seq: dict[str, int] = {}
        self._gaps: set[str] = set()
        self._elsewhere: set[str] = set()  # told by a resume alone: it may have ended long ago
        self._cancelling: set[str] = set()

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """Return the next frame, checked."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self.socket.recv()
        assert isinstance(message, str), "server frames are text"
        frame = orjson.loads(message)
        SERVER_FRAME.validate(frame)
        self._check(frame)
        self.frames.append(frame)
        return frame

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Receive up to the first frame that is wanted, and return that."""
        while not wanted(frame := await self.receive()):
            pass
        return frame

    async def next(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Receive up to the first frame of a type that has these fields."""
        wanted = {"type": kind, **fields}
        return await self.until(lambda frame: wanted.items() <= frame.items())

    async def resume(self, session: str, after: dict[str, int] | None = None) -> dict[str, Any]:
        """Take up a session and return the reply; what follows is checked from `after` on, or from
        where this connection is.
        """
        await self.send(type="resume", session=session, after=after or {})
        reply = await self.next("reply", op="resume")
        for job, told in reply["jobs"].items() if "jobs" in reply else ():
            if job not in self._seq:
                self._elsewhere.add(job)
            told_of = min((after or {}).get(job, 0), told["last_seq"])
            self._seq[job] = max(self._seq.get(job, 0), told_of)
            if not told["recovered"]:
                self._gaps.add(job)
        return reply

    async def closed(self) -> int:
        """Receive to the end; return the close code."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.socket.close_code is not None
        return self.socket.close_code

    def lose(self) -> None:
        """Lose the connection without a closing handshake."""
        self.socket.transport.abort()

    def of(self, job: str) -> list[dict[str, Any]]:
        """Return the frames of one job so far, from `accepted` on."""
        return [frame for frame in self.frames if frame.get("id") == job and "seq" in frame]

    def _check(self, frame: dict[str, Any]) -> None:
        job = frame.get("id")
        if frame["type"] == "reply" and frame["outcome"] == "cancelling":
            self._cancelling |= {job, *frame.get("ids", [])}
        if "seq" not in frame:
            return
        kind, again = frame["type"], frame.get("replay", False)
        if kind == "done" and again and job not in self._seq:
            return  # asked for once more, by submitting the same job again
        if kind == "accepted" and not again:
            assert job in self._elsewhere or job not in self._seq, f"{job} was accepted twice"
            self._seq[job] = 0
            self._cancelling.discard(job)
        assert job in self._seq, f"{kind} of {job} without accepted, or behind its done"
        if again and frame["seq"] <= self._seq[job]:
            return
        assert frame["seq"] == self._seq[job] + 1 or job in self._gaps
        self._gaps.discard(job)
        self._elsewhere.discard(job)
        assert kind in ("accepted", "done") or job not in self._cancelling
        self._seq[job] = frame["seq"]
        if kind == "done":
            del self._seq[job]


async def left(server: Server) -> None:
    """Wait until the server has noticed that a session has no connection."""
    await until(lambda: server.lobby.sessions.detached > 0)


@asynccontextmanager
async def connected(server: Server, **options: Any) -> AsyncIterator[Wire]:
    """Connect to a server and take its welcome."""
    async with connect(server.url, **options) as socket:
        wire = Wire(socket)
        wire.welcome = await wire.receive()
        assert wire.welcome["type"] == "welcome"
        yield wire


async def http(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Make a plain HTTP request; return status, headers (lower case) and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = {"Host": f"127.0.0.1:{server.port}", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = top.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in rest)
    return int(first.split()[1]), {name.lower(): value for name, value in fields.items()}, body
