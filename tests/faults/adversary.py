"""A hostile client with one session over many connections, and an engine without mercy.

Both follow dice, so a seed is a schedule. What the client was told of its jobs is kept over all of
its connections; `tests/wire.py` checks each connection by itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.fakes import FakeCall, FakeEngine
from tests.raw import reset_on_close
from tests.waiting import until
from tests.wire import PROMPT, Wire, connected
from wsproc.engine import EndReason, EngineError
from wsproc.server import Server

GROWING: dict[str, Any] = {
    "type": "process",
    "text": "It was good. It was bad.",
    "chunk_size": 50,
    "include_summary": False,
}


class Player:
    """Plays the engine: calls go on, end, fail and are slow to stop as the dice fall."""

    def __init__(self, engine: FakeEngine, dice: random.Random) -> None:
        self._engine = engine
        self._dice = dice
        self._open: list[FakeCall] = []

    async def play(self) -> None:
        """Play until cancelled."""
        while True:
            while not self._engine.calls.empty():
                self._open.append(self._engine.calls.get_nowait())
            for call in self._dice.sample(self._open, min(3, len(self._open))):
                self._move(call)
            self._open = [call for call in self._open if call.stream.end is None]
            await asyncio.sleep(0)

    def _move(self, call: FakeCall) -> None:
        chance = self._dice.random()
        if call.cancelled.is_set() and chance < 0.3:
            call.end(EndReason.CANCELLED)
        elif call.stage == "sentiment":
            for item in range(len(call.items)):
                call.result(item, sentiment="NEUTRAL", confidence=0.5)
            call.end()
        elif chance < 0.9:
            call.delta(text="x" * self._dice.choice([1, 30, 3000]))
        elif chance < 0.98:
            call.finish("the end")
        else:
            call.fail(EngineError("broken"))
            call.end()


class Adversary:
    """What one client does to its session, and what it was told of its jobs on all connections.

    `seen` is the last number of each job, `texts` what its tokens make, `ends` its `done`. The text
    of jobs in `cut` need not be whole: they were cancelled, or frames of theirs are gone. Of those
    in `repeated` it had the end, has given up what it knew, and may be told of another one.
    """

    wire: Wire

    def __init__(self, server: Server, dice: random.Random, stack: AsyncExitStack) -> None:
        self.seen: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.cut: set[str] = set()
        self.repeated: set[str] = set()
        self.ends: dict[str, dict[str, Any]] = {}
        self._server = server
        self._dice = dice
        self._stack = stack
        self._session = ""
        self._pings = 0
        self._names = 0
        self._noted = 0

    @property
    def unread(self) -> bool:
        """Whether the server has something to send to this client."""
        return any(host.session.outbox.size for host in self._server.lobby.sessions)

    async def connect(self) -> None:
        """Open a connection; take up the session where there is one, from where this client is."""
        self.wire = await self._stack.enter_async_context(connected(self._server))
        self._noted = 0
        if self._session:
            await self.resume()
        else:
            self._session = self.wire.welcome["session"]

    # --- what it does ---------------------------------------------------------------------------

    async def act(self) -> None:
        """Do one thing; the connection may be gone under it."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            *[self.submit] * 6, *[self.cancel] * 3, *[self.read] * 4, *[self.feed] * 3,
            self.cancel_all, self.resume, self.ask, self.repeat, self.lose, self.reset, self.leave,
            self.take_over, self.come_and_go, self.stray, self.stall,
        ]  # fmt: skip
        try:
            await self._dice.choice(kinds)()
        except ConnectionClosed:
            await self.connect()

    async def submit(self) -> None:
        """Send a new job, or one whose name is taken, with the same body or another."""
        if self._dice.random() < 0.8:
            self._names += 1
        mode = self._dice.choice([{}, {}, {"open": True}, {"live": True}])
        kept = self._dice.choice(["keep", "cancel"])
        body = GROWING | mode if mode else PROMPT
        await self._submit(f"j{self._names}", **body, on_disconnect=kept)

    async def repeat(self) -> None:
        """Send a job once more that most likely is over."""
        name = self._any()
        for kept in ("keep", "cancel"):
            await self._submit(name, **PROMPT, on_disconnect=kept)

    async def _submit(self, name: str, **body: Any) -> None:
        """Submit a job. Under the name of one that is over it may be another one, or the same."""
        if self.ends.pop(name, None) is not None:
            self.seen.pop(name)
            self.texts.pop(name, None)
            self.repeated.add(name)
        await self.wire.send(**body, id=name)

    async def feed(self) -> None:
        """Go on with a job's input, whether or not it takes any."""
        name, text = self._any(), "And so on. " * self._dice.randint(0, 20)
        if self._dice.random() < 0.5:
            await self.wire.send(type="append", id=name, text=text, final=self._dice.random() < 0.5)
        else:
            await self.wire.send(type="revise", id=name, text=text)

    async def cancel(self) -> None:
        """Cancel a job twice, whatever has become of it."""
        name = self._any()
        self.cut.add(name)
        for _ in range(2):
            await self.wire.send(type="cancel", id=name)

    async def cancel_all(self) -> None:
        """Cancel what there is."""
        self.cut |= {f"j{number}" for number in range(self._names + 1)}
        await self.wire.send(type="cancel", id="*")

    async def resume(self) -> None:
        """Ask for what was missed, also on the connection that has the session already."""
        reply = await self.wire.resume(self._session, {**self.seen})
        assert reply["outcome"] == "ok"
        self._note_all()
        self.cut |= {job for job, told in reply["jobs"].items() if not told["recovered"]}

    async def ask(self) -> None:
        """Ask many things and read nothing of it."""
        for _ in range(5):
            await self.wire.send(type="jobs")
        await self.wire.send(type="jobs", id=self._any())

    async def read(self) -> None:
        """Read as far as an answer; what waits behind it stays there."""
        self._pings += 1
        await self.wire.send(type="ping", n=self._pings)
        frame: dict[str, Any] = {}
        while frame.get("n") != self._pings:
            frame = await self.hear()

    async def lose(self) -> None:
        """Lose the connection, with what was on its way and what came and was not read."""
        self.wire.lose()
        await self.connect()

    async def reset(self) -> None:
        """Lose it by a reset."""
        reset_on_close(self.wire.socket.transport.get_extra_info("socket"))
        await self.lose()

    async def leave(self) -> None:
        """Close the connection in good order, and come back all the same."""
        await self.wire.socket.close(self._dice.choice([1000, 1001]))
        await self.connect()

    async def take_over(self) -> None:
        """Come back while the old connection stands; it is told so."""
        older = self.wire
        await self.connect()
        assert await older.closed() in (4409, 4508)

    async def come_and_go(self) -> None:
        """Take the session over and over, reading no more than the answer."""
        for _ in range(3):
            self.wire.lose()
            await self.connect()

    async def stray(self) -> None:
        """Ask for a session that is not there, then for the right one."""
        self.wire.lose()
        self.wire = await self._stack.enter_async_context(connected(self._server))
        self._noted = 0
        reply = await self.wire.resume("epoch.nowhere", {**self.seen})
        assert reply["outcome"] == "unknown_session"
        await self.resume()

    async def stall(self) -> None:
        """Read nothing for a while."""
        self.wire.socket.transport.pause_reading()
        for _ in range(self._dice.randint(1, 6)):
            await self._dice.choice([self.submit, self.cancel, self.ask, self.feed])()
        await until(lambda: self.unread or self._server.admission.live == 0)
        self.wire.socket.transport.resume_reading()

    def _any(self) -> str:
        return f"j{self._dice.randint(max(0, self._names - 15), self._names + 1)}"

    # --- what it is told ------------------------------------------------------------------------

    async def hear(self) -> dict[str, Any]:
        """Take a frame and note what it says of a job."""
        frame = await self.wire.receive()
        self._note_all()
        return frame

    def _note_all(self) -> None:
        """Note what came on this connection since the last time."""
        for frame in self.wire.frames[self._noted :]:
            if "seq" in frame:
                self._note(frame["id"], frame)
        self._noted = len(self.wire.frames)

    def _note(self, job: str, frame: dict[str, Any]) -> None:
        again, seq = frame.get("replay", False), frame["seq"]
        if frame["type"] == "accepted" and not again:  # of this name the first, or the next
            self.texts[job], self.seen[job] = "", 0
            self.ends.pop(job, None)
            self.repeated.discard(job)
        if again and seq <= self.seen.get(job, 0):
            return
        self.seen[job] = seq
        if frame["type"] == "token":
            self.texts[job] = self.texts.get(job, "") + frame["text"]
        elif frame.get("status") == "snapshot":
            self.texts[job] = frame["partial_result"].get("text", "")
        elif frame["type"] == "done":
            assert job not in self.ends, f"{job} ended twice"
            self.ends[job] = frame

    async def settle(self) -> None:
        """Come back for good, end what waits for input, and read until nothing lives any more."""
        self.wire.lose()
        await self.connect()
        live = {"x"}
        while live:
            await self.wire.send(type="jobs")
            frame = await self.hear()
            while frame.get("op") != "jobs":
                frame = await self.hear()
            live = {one["id"] for one in frame["jobs"] if one["state"] != "done"}
            for one in frame["jobs"]:
                if one.get("final") is False:
                    await self.wire.send(type="append", id=one["id"], text=" The end.", final=True)
        self.wire.lose()
        await self.connect()
        while self.unread:
            await self.read()
        await self.read()
