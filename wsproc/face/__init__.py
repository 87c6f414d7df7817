"""The HTTP face: the same tasks for clients that do not speak WebSocket. Optional.

It needs FastAPI and uvicorn, `pip install 'wsproc[http]'`, and is imported only where it is asked
for. A request is a session with one job (`exchange.py`), in the same process and event loop, with
the same admission; its frames are written in one of three forms (`forms.py`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator

from wsproc.auth.grant import Authenticator
from wsproc.config import ServerConfig
from wsproc.face.app import make_app
from wsproc.face.clients import Clients
from wsproc.face.exchange import Desk
from wsproc.face.listener import Listener
from wsproc.gate import Gate
from wsproc.health import Judge


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
        self._listener = Listener(config, gate, bound, tls)
        self._app = make_app(
            desk,
            config,
            authenticator,
            cut=self._listener.cut,
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

    async def close(self) -> None:
        """Stop all jobs, tell their clients, and stop to listen within `drain_s`."""
        self._desk.drain()
        await self._listener.close()

    async def wait_closed(self) -> None:
        """Wait until every job has ended, after `close` and where an engine hangs after its."""
        await self._listener.wait_closed()


__all__ = ["Clients", "Desk", "Face"]
