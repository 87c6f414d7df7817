"""A server by script: each connection is played by the next function, in the test's own words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from wsproc.client import ConnectionState

PATIENCE_S = 20

WELCOME = {
    "type": "welcome",
    "protocol": "wsproc.v1",
    "server": "0",
    "session": "s1",
    "epoch": "e1",
    "tasks": ["process", "batch", "generate", "shout"],
    "limits": {
        "max_frame_bytes": 100_000,
        "max_text_chars": 1000,
        "max_texts": 1,
        "max_jobs": 9,
        "max_tokens": 9,
    },
    "resume_s": 30,
    "heartbeat_s": 15,
}


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    @property
    def authorization(self) -> str | None:
        """The Authorization header that the client came with."""
        assert self.socket.request is not None
        return self.socket.request.headers.get("Authorization")

    async def send(self, kind: str, **fields: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def receive(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Take the client's next frame, which must be this one."""
        async with asyncio.timeout(PATIENCE_S):
            frame = json.loads(await self.socket.recv())
        assert frame.items() >= {"type": kind, **fields}.items(), frame
        return frame

    async def welcome(self, session: str = "s1", **fields: Any) -> None:
        """Greet."""
        await self.send(**{"kind": "welcome", **WELCOME, "session": session, **fields})

    async def resumed(
        self, outcome: str = "ok", session: str = "s1", **jobs: dict[str, Any]
    ) -> dict[str, Any]:
        """Greet, take `resume` and answer it; return it. `jobs` are by id, `-` written as `_`."""
        await self.welcome("s2", epoch="e2")
        frame = await self.receive("resume", session=session)
        known = {job.replace("_", "-"): value for job, value in jobs.items()}
        await self.send("reply", op="resume", outcome=outcome, jobs=known)
        return frame

    async def accept(self, job: str = "py-1", **fields: Any) -> None:
        """Accept a job."""
        given = {"id": job, "seq": 1, "position": 0, "eta_ms": None, **fields}
        await self.send("accepted", **given)

    async def token(self, seq: int, text: str, job: str = "py-1", **fields: Any) -> None:
        """Send a token."""
        await self.send("token", id=job, seq=seq, text=text, **fields)

    async def complete(self, seq: int, text: str = "", job: str = "py-1", **fields: Any) -> None:
        """Complete a job."""
        await self.send("done", **{**completed(seq, text, job), **fields})

    async def stop(self, seq: int, reason: str, job: str = "py-1", **fields: Any) -> None:
        """End a job as cancelled."""
        common = {"id": job, "seq": seq, "usage": {}, "timing_ms": {"queued": 0, "run": 1}}
        await self.send("done", status="cancelled", reason=reason, **common, **fields)

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        await self.socket.close(code, reason)

    def vanish(self) -> None:
        """End the connection without a word."""
        self.socket.transport.abort()

    async def closed(self) -> int:
        """Wait for the end of the connection, and return its code."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            assert self.socket.close_code is not None
            return self.socket.close_code


class Watch:
    """An `on_state` that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.states: list[ConnectionState] = []
        self._changed = asyncio.Event()

    def __call__(self, state: ConnectionState) -> None:
        """Note a state."""
        self.states.append(state)
        self._changed.set()

    @property
    def phases(self) -> list[str]:
        """The phases so far."""
        return [state.phase for state in self.states]

    async def until(self, *phases: str) -> None:
        """Wait until these phases were seen, in this order."""
        async with asyncio.timeout(PATIENCE_S):
            while not _in_order(phases, self.phases):
                self._changed.clear()
                await self._changed.wait()


def _in_order(wanted: tuple[str, ...], seen: list[str]) -> bool:
    rest = iter(seen)
    return all(phase in rest for phase in wanted)


def completed(seq: int, text: str = "", job: str = "py-1") -> dict[str, Any]:
    """A `done` of a generation, without its type."""
    return {
        "status": "completed",
        "id": job,
        "seq": seq,
        "message": "",
        "total_processing_time": 0.1,
        "timestamp": "",
        "usage": {},
        "timing_ms": {"queued": 0, "run": 1},
        "result": {"text": text},
    }


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[str]:
    """Play one script for each connection, in order; yield the address.

    A script that fails, or was not played, fails the test. A connection stays open behind its
    script; one for which there is no script left is closed with 1013.
    """
    left, playing, faults = list(scripts), set(), []

    async def handle(socket: ServerConnection) -> None:
        if not left:
            await socket.close(1013, "there is no script for this connection")
            return
        script = left.pop(0)
        playing.add(script)
        try:
            await script(Peer(socket))
            playing.discard(script)
        except Exception as fault:
            faults.append(fault)
            raise
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, subprotocols=["wsproc.v1"]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"
    if faults:
        raise faults[0]
    assert not left, f"{len(left)} scripts were not played"
    assert not playing, "a script did not come to its end"
