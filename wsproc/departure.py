"""How a server goes away: everybody is told, jobs may end, the rest is stopped, all is bounded.

1. `goaway` to every client. No session takes another job; jobs of clients that are not there are
   stopped, since nobody could come back for them.
2. Jobs have `drain_s` to end. A connection closes as soon as its jobs have, with their ends sent.
3. What still runs is stopped with the reason `shutdown`, and has `grace_s` to be told and closed.
4. What is then still open reads nothing, and is cut.

A hurry skips to 3 and leaves half a second for it: no job ends without its `done`, as far as its
client reads at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Set
from typing import Any

from wsproc.connection import Connection
from wsproc.frames.errors import CloseCode
from wsproc.job import StopReason
from wsproc.lobby import Lobby
from wsproc.session import Close

logger = logging.getLogger("wsproc.server")

HURRY_S = 0.5
"""How long clients have to be told in a hurry."""

GOODBYE = Close(CloseCode.SERVICE_RESTART, "the server is shutting down")


class Departure:
    """The way out of one server, taken once by `run`."""

    def __init__(
        self, lobby: Lobby, connections: Set[Connection], *, drain_s: float, grace_s: float
    ) -> None:
        self._lobby = lobby
        self._connections = connections
        self._drain_s = drain_s
        self._grace_s = grace_s
        self._hurried = asyncio.Event()
        self._late = asyncio.Event()

    def hurry(self) -> None:
        """Stop every job now, and wait for nothing but that it is told, and that briefly."""
        if self._hurried.is_set():
            return
        self._hurried.set()
        asyncio.get_running_loop().call_later(HURRY_S, self._late.set)
        self._stop_jobs()

    async def run(self, closed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Leave in order; `closed` waits until every socket is closed."""
        for host in self._lobby.sessions:
            host.drain(GOODBYE, grace_ms=int(self._drain_s * 1000))
        parting = [asyncio.create_task(one.part(GOODBYE)) for one in self._connections]
        await self.within(self._drain_s, self.finished())
        self._stop_jobs()
        if not await self.told(self._grace_s, closed()):
            logger.warning("%d connections did not close in time", len(self._connections))
        for one in parting:
            one.cancel()
        for connection in list(self._connections):
            connection.abort()

    async def ended(self) -> None:
        """Wait for the jobs' tasks, whose calls were ended with the engine."""
        await self.told(self._grace_s, self.finished())

    async def within(self, seconds: float, what: Coroutine[Any, Any, None]) -> bool:
        """Wait for something for so long, or until there is a hurry; tell whether it happened."""
        return await _first(what, self._hurried, seconds)

    async def told(self, seconds: float, what: Coroutine[Any, Any, None]) -> bool:
        """Wait for clients to be told, for so long, in a hurry for less; tell whether they were."""
        return await _first(what, self._late, seconds)

    async def finished(self) -> None:
        """Wait until every job of every session has ended."""
        await asyncio.gather(*(host.finished() for host in self._lobby.sessions))

    def _stop_jobs(self) -> None:
        for host in self._lobby.sessions:
            host.leave(StopReason.SHUTDOWN)


async def _first(what: Coroutine[Any, Any, None], end: asyncio.Event, seconds: float) -> bool:
    """Wait for something, for so long or until another event; tell whether it happened."""
    task, ended = asyncio.create_task(what), asyncio.create_task(end.wait())
    await asyncio.wait((task, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    happened = task.done()
    for one in (task, ended):
        one.cancel()
    return happened
