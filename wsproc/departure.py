"""How a server goes away: everybody is told, jobs may end, the rest is stopped, all is bounded.

1. `goaway` to every client. No session takes another job; jobs of clients that are not there are
   stopped, since nobody could come back for them.
2. Jobs have `drain_s` to end. A connection closes as soon as its jobs have, with their ends sent.
3. What still runs is stopped with the reason `shutdown`, and has `grace_s` to be told and closed.
4. What is then still open reads nothing, and is cut.

A hurry skips whatever is waited for.
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

    @property
    def hurried(self) -> bool:
        """Whether nothing is to be waited for."""
        return self._hurried.is_set()

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._hurried.set()

    async def run(self, closed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Leave in order; `closed` waits until every socket is closed."""
        for host in self._lobby.sessions:
            host.drain(GOODBYE, grace_ms=int(self._drain_s * 1000))
        parting = [asyncio.create_task(one.part(GOODBYE)) for one in self._connections]
        await self.within(self._drain_s, self.finished())
        for host in self._lobby.sessions:
            host.leave(StopReason.SHUTDOWN)
        if not await self.within(self._grace_s, closed()):
            logger.warning("%d connections did not close in time", len(self._connections))
        for one in parting:
            one.cancel()
        for connection in list(self._connections):
            connection.abort()

    async def ended(self) -> None:
        """Wait for the jobs' tasks, whose calls were ended with the engine."""
        await self.within(self._grace_s, self.finished())

    async def within(self, seconds: float, what: Coroutine[Any, Any, None]) -> bool:
        """Wait for something for so long, or until there is a hurry; tell whether it happened."""
        task = asyncio.create_task(what)
        hurry = asyncio.create_task(self._hurried.wait())
        await asyncio.wait((task, hurry), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        happened = task.done()
        for one in (task, hurry):
            one.cancel()
        return happened

    async def finished(self) -> None:
        """Wait until every job of every session has ended."""
        await asyncio.gather(*(host.finished() for host in self._lobby.sessions))
