"""How the server's port is listened on: what the library is asked for, what the kernel may hold."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wsproc.config import ServerConfig
from wsproc.gate import Gate
from wsproc.guarded import GuardedSocket, guarded_by
from wsproc.handshake import choose_subprotocol

PING_S = PONG_S = 20.0
"""Between keepalive pings, and for the answer: who is silent for so long in all is gone."""

TCP_USER_TIMEOUT_MS = 20_000
"""A peer whose kernel acknowledges nothing for so long is gone; without it a dead link pins a
connection for a quarter of an hour."""

SEND_BUFFER_BYTES = 256 * 1024

UNSENT_BYTES = 16 * 1024
"""What the kernel takes beyond what the peer has room for. Without it 600 KiB lie there for a peer
that reads nothing, which then goes unnoticed, and which no cancel can purge any more."""


async def listen(
    config: ServerConfig,
    *,
    version: str,
    gate: Gate,
    sockets: type[GuardedSocket],
    tls: ssl.SSLContext | None,
    handle: Callable[[ServerConnection], Awaitable[None]],
    answer: Callable[[ServerConnection, Request], Awaitable[Response | None]],
) -> WebSocketServer:
    """Listen where the settings say; raise `OSError` where that address cannot be bound.

    Connections are of the class `sockets` and are counted at the `gate`. `answer` sees each request
    first, and `handle` the connection of one that it has let pass, with None.
    """
    server = await serve(
        handle,
        config.host,
        config.port,
        process_request=answer,
        select_subprotocol=_select_subprotocol,
        compression=None,  # three times the memory of a connection for frames of 200 bytes
        max_size=config.max_frame_bytes,
        open_timeout=config.open_timeout_s,
        ping_interval=PING_S,
        ping_timeout=PONG_S,
        server_header=f"wsproc/{version}",
        create_connection=guarded_by(gate, sockets),
        ssl=tls,
        logger=_Discreet(logging.getLogger("wsproc.websockets"), {}),
    )
    for listening in server.sockets:
        bound_kernel(listening)
    return server


def bound_kernel(listening: socket.socket) -> None:
    """Bound what the kernel buffers and waits for each accepted socket; they inherit it."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)


def _select_subprotocol(
    websocket: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)


class _Discreet(logging.LoggerAdapter[logging.Logger]):
    """The WebSocket library's logger, never at DEBUG: there it tells headers and frames, tokens."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """Whether a level is logged: by the settings, and above DEBUG."""
        return level > logging.DEBUG and super().isEnabledFor(level)
