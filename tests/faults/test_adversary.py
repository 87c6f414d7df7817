"""One hostile client with a session over many connections, and an engine without mercy: what holds
for every client holds for this one too. The seeds are fixed; what a seed does is not quite, since
the kernel has its say in when a frame arrives.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.fakes import FakeCall, FakeEngine, serving
from tests.waiting import PATIENCE_S, until
from tests.wire import PROMPT, Wire, connected
from wsproc.engine import EndReason, EngineError
from wsproc.server import Server

OPERATIONS = 150
SMALL = {
    "outbox_bytes": 4_000,
    "max_jobs_per_connection": 12,
    "message_burst": 10_000,
    "messages_per_s": 100_000,
    "drain_s": 0,
}
"""So that every bound is met in a few hundred frames."""

TIGHT = 1 << 16
"""Bytes of a replay log that holds the ends of a few jobs, of this engine's."""


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
        elif chance < 0.9:
            call.delta(text="x" * self._dice.choice([1, 30, 3000]))
        elif chance < 0.98:
            call.finish("the end")
        else:
            call.fail(EngineError("broken"))
            call.end()


class Adversary:
    """What one client does to its session, and what it was told of its jobs on all connections."""

    def __init__(self, server: Server, dice: random.Random, stack: AsyncExitStack) -> None:
        self._server = server
        self._dice = dice
        self._stack = stack
        self._session = ""
        self._pings = 0
        self._names = 0
        self._noted = 0
        self.wire: Wire
        self.seen: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.gaps: set[str] = set()
        self.cancelled: set[str] = set()
        self.known: set[str] = set()
        self.ends: dict[str, dict[str, Any]] = {}

    async def connect(self) -> None:
        """Open a connection; take up the session where there is one, from where this client is."""
        self.wire = await self._stack.enter_async_context(connected(self._server))
        self._noted = 0
        if not self._session:
            self._session = self.wire.welcome["session"]
            return
        await self.resume()

    # --- what it does ---------------------------------------------------------------------------

    async def act(self) -> None:
        """Do one thing; the connection may be gone under it."""
        kinds: list[Callable[[], Awaitable[None]]] = [
            *[self.submit] * 6, *[self.cancel] * 3, *[self.read] * 4,
            self.cancel_all, self.resume, self.ask, self.lose, self.take_over,
        ]  # fmt: skip
        try:
            await self._dice.choice(kinds)()
        except ConnectionClosed:
            await self.connect()

    async def submit(self) -> None:
        """A new job, or one that is known already."""
        if self._dice.random() < 0.8:
            self._names += 1
        kept = self._dice.choice(["keep", "cancel"])
        await self.wire.send(**PROMPT, id=f"j{self._names}", on_disconnect=kept)

    async def cancel(self) -> None:
        """A job, twice, whatever has become of it."""
        name = f"j{self._dice.randint(0, self._names + 1)}"
        self.cancelled.add(name)
        for _ in range(2):
            await self.wire.send(type="cancel", id=name)

    async def cancel_all(self) -> None:
        """All of them."""
        self.cancelled |= {f"j{number}" for number in range(self._names + 1)}
        await self.wire.send(type="cancel", id="*")

    async def resume(self) -> None:
        """Ask for what was missed, also on the connection that has the session already."""
        reply = await self.wire.resume(self._session, {**self.seen})
        assert reply["outcome"] == "ok"
        self.known = set(reply["jobs"])
        self._note_all()
        for job, told in reply["jobs"].items():
            if not told["recovered"]:
                self.gaps.add(job)

    async def ask(self) -> None:
        """Ask many things and read nothing of it."""
        for _ in range(5):
            await self.wire.send(type="jobs")

    async def read(self) -> None:
        """Read as far as an answer; what waits behind it stays there."""
        self._pings += 1
        await self.wire.send(type="ping", n=self._pings)
        frame: dict[str, Any] = {}
        while frame.get("n") != self._pings:
            frame = await self.hear()

    async def lose(self) -> None:
        """Lose the connection, with what was on its way."""
        self.wire.lose()
        await self.connect()

    async def take_over(self) -> None:
        """Come back while the old connection stands; it is told so."""
        older = self.wire
        await self.connect()
        assert await older.closed() in (4409, 4508)

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
            self.gaps.discard(job)
        if again and seq <= self.seen.get(job, 0):
            return
        self.seen[job] = seq
        if frame["type"] == "token":
            self.texts[job] = self.texts.get(job, "") + frame["text"]
        elif frame.get("status") == "snapshot":
            self.texts[job] = frame["partial_result"].get("text", "")
            self.gaps.discard(job)
        elif frame["type"] == "done":
            assert job not in self.ends, f"{job} ended twice"
            self.ends[job] = frame

    async def settle(self) -> None:
        """Come back for good and read until nothing lives any more."""
        self.wire.lose()
        await self.connect()
        live = {"x"}
        while live:
            await self.wire.send(type="jobs")
            frame = await self.hear()
            while frame.get("op") != "jobs":
                frame = await self.hear()
            live = {one["id"] for one in frame["jobs"] if one["state"] != "done"}
        self.wire.lose()
        await self.connect()
        await self.read()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await self.hear()


@pytest.mark.parametrize("replay_bytes", [8 << 20, TIGHT])
@pytest.mark.parametrize("seed", range(5))
async def test_whatever_a_client_does_each_job_has_its_one_end_and_all_of_its_text(
    seed: int, replay_bytes: int
) -> None:
    """Invariants 2, 3, 4, 5 and 7; `Wire` asserts those of each connection.

    Where the log is too small, an end that was sent over a connection whose loss nobody had noticed
    may be gone; then the session does not name that job any more.
    """
    dice = random.Random(seed)
    engine = FakeEngine(slow_to_stop=True)
    async with (
        serving(engine, **SMALL, replay_bytes=replay_bytes) as server,
        AsyncExitStack() as stack,
        asyncio.timeout(PATIENCE_S),
    ):
        playing = asyncio.create_task(Player(engine, dice).play())
        adversary = Adversary(server, dice, stack)
        await adversary.connect()
        for _ in range(OPERATIONS):
            await adversary.act()
        await adversary.settle()
        await until(lambda: server.admission.live == 0)
        without = adversary.texts.keys() - adversary.ends.keys()
        assert not without & adversary.known
        assert not without or replay_bytes == TIGHT
        for job in adversary.ends.keys() - adversary.gaps - adversary.cancelled:
            done = adversary.ends[job]
            if done["status"] == "completed":
                assert adversary.texts[job] == done["result"]["text"]
        (host,) = server.lobby.sessions
        assert host.session.outbox.size == 0
        playing.cancel()
