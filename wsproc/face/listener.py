"""uvicorn in the server's own event loop: its sockets, its patience and its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from wsproc.config import ServerConfig
from wsproc.face.answers import Address


class Listener:
    """Serves an app on a host and a port, 0 for a free one."""

    def __init__(
        self,
        config: ServerConfig,
        bound: Callable[[socket.socket], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = 0
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
        self._uvicorn = _Uvicorn(_settings(config, app, self._tls))
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets), name="http listener")
        await self._uvicorn.listening.wait()

    async def close(self) -> None:
        """Take no further request; let the answers end within `drain_s`, then cut them."""
        if self._uvicorn is None or self._serving is None:
            return
        self._uvicorn.should_exit = True
        await asyncio.wait([self._serving], timeout=self._config.drain_s)
        self._uvicorn.force_exit = True
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
        await self._serving

    async def wait_closed(self) -> None:
        """Wait until every request has left the app, after `close`."""
        if self._uvicorn is not None:
            await asyncio.gather(*self._uvicorn.server_state.tasks, return_exceptions=True)

    def cut(self, address: Address | None) -> None:
        """Cut the connection of a client, without a goodbye."""
        assert self._uvicorn is not None
        for connection in list(self._uvicorn.server_state.connections):
            if getattr(connection, "client", None) == address:
                connection.transport.abort()


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


def _settings(config: ServerConfig, app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    def protocol(*args: object, **options: object) -> Prompt:
        return Prompt(config.open_timeout_s, *args, **options)

    return uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # it is called and nothing else
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", "wsproc")],
        limit_concurrency=config.max_connections,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


class Prompt(H11Protocol):
    """uvicorn's protocol, which waits for the head of a request for ever; this one does not."""

    def __init__(self, limit_s: float, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as uvicorn calls it
        self._limit_s = limit_s
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read, and go on waiting where that was no whole head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        if self._patience is not None:
            self._patience.cancel()

    def _watch(self) -> None:
        head_is_awaited = self.conn.their_state is h11.IDLE
        if self._patience is None and head_is_awaited:
            self._patience = self.loop.call_later(self._limit_s, self.transport.abort)
        elif self._patience is not None and not head_is_awaited:
            self._patience.cancel()
            self._patience = None


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
