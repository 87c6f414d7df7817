"""uvicorn in the server's own event loop, from its sockets to its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from wsproc.config import ServerConfig
from wsproc.face.sockets import sockets_of
from wsproc.gate import Gate


class Listener:
    """Serves an app on a host and a port, 0 for a free one."""

    def __init__(
        self,
        config: ServerConfig,
        gate: Gate,
        bound: Callable[[socket.socket], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = 0
        self._gate = gate
        self._tls = tls
        self._config = config
        self._bound = bound
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, app: ASGIApp) -> None:
        """Listen; raise OSError where the address cannot be had."""
        config = self._config
        sockets = await _bind(config.http_host or config.host, config.http_port or 0)
        for one in sockets:
            self._bound(one)
        self.port = int(sockets[0].getsockname()[1])
        self._uvicorn = _Uvicorn(_settings(config, app, self._gate, self._tls))
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets), name="http listener")
        await self._uvicorn.listening.wait()

    def stop(self) -> None:
        """Take no further connection; those on which nothing is asked are closed."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True

    async def closed(self) -> None:
        """Wait, after `stop`, until every connection is closed, its answer sent."""
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def abort(self) -> None:
        """Cut what is open."""
        if self._uvicorn is None:
            return
        self._uvicorn.force_exit = True
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
        await self.closed()

    async def finished(self) -> None:
        """Wait until every request has left the app."""
        if self._uvicorn is not None:
            await asyncio.gather(*self._uvicorn.server_state.tasks, return_exceptions=True)


class _Uvicorn(uvicorn.Server):
    """uvicorn without signal handlers, which are the server's, and with an event for its start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def _settings(
    config: ServerConfig, app: ASGIApp, gate: Gate, tls: ssl.SSLContext | None
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=sockets_of(gate, config.open_timeout_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", "wsproc")],
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of a host to one port."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            port = port or (sockets[0].getsockname()[1] if sockets else 0)
            one = socket.create_server((address[0], port), family=family, backlog=1024)
            one.setblocking(False)
            sockets.append(one)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
