"""The HTTP face: the same tasks for clients that do not speak WebSocket. Optional.

It needs FastAPI and uvicorn, `pip install 'wsproc[http]'`, and is imported only where it is asked
for. A request is a session with one job (`exchange.py`), in the same process and event loop, with
the same admission; its frames are written in one of three forms (`forms.py`).
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from wsproc.auth.grant import Authenticator
from wsproc.config import ServerConfig
from wsproc.face.app import make_app
from wsproc.face.clients import Clients
from wsproc.face.exchange import Desk
from wsproc.face.listener import Listener
from wsproc.gate import Gate
from wsproc.health import Judge

logger = logging.getLogger("wsproc.face")

Within = Callable[[float, Coroutine[Any, Any, None]], Awaitable[bool]]
"""Waits for something so many seconds at most, or less in a hurry; tells whether it happened."""


class Face:
    """The HTTP side of a server.

    `authenticator` judges the tokens of its requests, None where none is asked for; `count` numbers
    the requests; `tls` encrypts them; `bound` is called with each listening socket.
    """

    def __init__(
        self,
        desk: Desk,
        config: ServerConfig,
        *,
        authenticator: Authenticator | None,
        gate: Gate,
        tls: ssl.SSLContext | None,
        health: Judge,
        ready: Judge,
        count: Iterator[int],
        bound: Callable[[socket.socket], None],
    ) -> None:
        self._desk = desk
        self._config = config
        self._listener = Listener(config, gate, bound, tls)
        self._app = make_app(
            desk,
            config,
            authenticator,
            count=count,
            health=health,
            ready=ready,
        )

    def __repr__(self) -> str:
        return f"<Face {self._desk!r}>"

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._listener.port

    async def start(self) -> None:
        """Listen; raise OSError where the address cannot be had."""
        await self._listener.start(self._app)

    async def leave(self, within: Within, told: Within) -> None:
        """Go away step by step, as the other side does (see `departure.py`).

        No further job is taken, jobs may end, the rest is stopped and its clients are told, and
        what is open then is cut. `within` is for what a hurry skips, `told` for what it leaves a
        little time for.
        """
        self._desk.drain()
        self._listener.stop()
        await within(self._config.drain_s, self._desk.finished())
        self._desk.stop()
        if not await told(self._config.grace_s, self._listener.closed()):
            logger.warning("not every answer over plain HTTP was read in time")
        await self._listener.abort()

    async def finished(self) -> None:
        """Wait until every job has ended."""
        await self._desk.finished()

    async def ended(self) -> None:
        """Wait, after `leave`, until every request has left; one's engine may hang until closed."""
        await self._listener.finished()


__all__ = ["Clients", "Desk", "Face"]
