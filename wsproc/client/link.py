"""One WebSocket, from its handshake to its end; nothing in here knows of jobs or of a next one."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from wsproc.client.address import no_proxy_to_self, shown, split
from wsproc.client.credential import Credential, wire_logger
from wsproc.client.errors import ConnectFailed, ConnectionLost, ProtocolError, Unauthorized
from wsproc.client.pace import Pace
from wsproc.client.reconnect import may_return
from wsproc.frames.client import Auth
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import AuthRequired, Error, ServerFrame, Welcome
from wsproc.protocol import SUBPROTOCOL, decode_server, encode

logger = logging.getLogger("wsproc.client")

MAX_FRAME_BYTES = 64 << 20
"""The largest frame taken from a server: a `done` holds a job's whole result."""

CLOSE_PATIENCE_S = 2.0
"""How long a server may take to answer a close before the connection is cut."""

PING_S = 10.0
"""How often the other side is asked whether it is there, and how long it may take to answer. Both
together are less than the 30 s for which a server keeps the jobs of a client that is gone."""

UNAUTHORIZED, FORBIDDEN, TOO_EARLY, TOO_MANY = 401, 403, 425, 429
"""The HTTP statuses below 500 that are told apart. The first two stand for 4401 and 4403, which a
server can say to browsers only; after the last two one may come back."""


class TapFailed(Exception):
    """The user's tap raised an error."""


@dataclass(frozen=True)
class Dialer:
    """How a server is reached; `dial` makes one connection and waits for its welcome."""

    url: str
    credential: Credential
    tap: Callable[[str], None] | None
    open_timeout_s: float
    socket_options: dict[str, Any]

    async def dial(self) -> Link:
        """Connect. Raises `ConnectFailed` (`Unauthorized` where it is for the token)."""
        link: Link | None = None
        try:
            async with asyncio.timeout(self.open_timeout_s):
                token = await self.credential.fetch()
                link = Link(await self._open(token), self.tap, shown(self.url))
                await link.greet(token)
        except TimeoutError:
            await _cut(link)
            message = f"{shown(self.url)} said nothing within {self.open_timeout_s:g} s"
            raise ConnectFailed(message, retryable=True) from None
        except BaseException:
            await _cut(link)
            raise
        return link

    async def _open(self, token: str | None) -> ClientConnection:
        where = shown(self.url)
        no_address = f"{where!r} is no WebSocket address; write it as ws://HOST:PORT"
        if split(self.url) is None:
            raise ConnectFailed(no_address)
        options = {**self.socket_options}
        headers = Headers(options.pop("additional_headers", None) or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        defaults: dict[str, Any] = {
            "compression": None,
            "ping_interval": PING_S,
            "ping_timeout": PING_S,
            **no_proxy_to_self(self.url),
        }
        try:
            return await open_socket(
                self.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers=headers,
                max_size=MAX_FRAME_BYTES,
                open_timeout=None,  # the clock of `dial` holds for the welcome too
                logger=wire_logger,
                **{**defaults, **options},
            )
        except InvalidURI:
            raise ConnectFailed(no_address) from None
        except InvalidStatus as error:
            raise _refused(where, error) from error
        except (OSError, WebSocketException) as error:
            retryable = not isinstance(error, ssl.SSLCertVerificationError)
            message = f"cannot connect to {where}: {_words(error)}"
            raise ConnectFailed(message, retryable=retryable) from error


class Link:
    """An open connection. `welcome` is what the server greeted with."""

    welcome: Welcome

    def __init__(
        self, socket: ClientConnection, tap: Callable[[str], None] | None, where: str
    ) -> None:
        self._socket = socket
        self._tap = tap
        self._where = where
        self._turn = asyncio.Lock()
        self._pace = Pace(0)

    async def greet(self, token: str | None) -> None:
        """Wait for the welcome, giving the token where it is asked for."""
        try:
            frame = await self._next()
            if isinstance(frame, AuthRequired):
                frame = await self._authorize(token)
        except ConnectionClosed as closed:
            raise _turned_away(self._where, lost(closed)) from None
        except ProtocolError as error:
            raise ConnectFailed(f"{self._where} is no wsproc server: {error}") from error
        if not isinstance(frame, Welcome):
            message = f"{self._where} did not begin with a welcome; is it a wsproc server?"
            raise ConnectFailed(message)
        self.welcome = frame
        self._pace = Pace(frame.limits.max_messages_per_s)

    async def receive(self) -> ServerFrame:
        """Return the next frame, of a type that is known.

        Raises `ConnectionLost` at the end, `ProtocolError` for what cannot be read, `TapFailed`.
        """
        try:
            while (frame := await self._next()) is None:
                pass
        except ConnectionClosed as closed:
            raise lost(closed) from None
        return frame

    async def send(self, *messages: bytes) -> None:
        """Send messages, behind all that were given before; raise `ConnectionLost`."""
        try:
            async with self._turn:  # taken in the order of asking
                for message in messages:
                    await self._pace.wait(len(message))
                    await self._socket.send(message, text=True)
        except ConnectionClosed as closed:
            raise lost(closed) from None

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the connection, or cut it where the server does not answer. Safe to repeat."""
        try:
            async with asyncio.timeout(CLOSE_PATIENCE_S):
                await self._socket.close(code, reason)
        except TimeoutError:
            await self.cut()

    async def cut(self) -> None:
        """End the connection without a word."""
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _authorize(self, token: str | None) -> ServerFrame | None:
        if token is None:
            raise Unauthorized(f"{self._where} asks for a token; give one as `token=`")
        await self._socket.send(encode(Auth(token=token)), text=True)
        frame = await self._next()
        if isinstance(frame, Error):
            raise Unauthorized(f"{self._where} refused the token: {frame.error.message}")
        return frame

    async def _next(self) -> ServerFrame | None:
        message = await self._socket.recv(decode=True)
        if self._tap is not None:
            try:
                self._tap(message)
            except Exception as error:
                raise TapFailed(f"the tap raised {error!r}") from error
        try:
            return decode_server(message)
        except (ValidationError, orjson.JSONDecodeError) as error:
            raise ProtocolError(f"a frame cannot be read: {error}") from error


async def _cut(link: Link | None) -> None:
    if link is not None:
        await link.cut()


def lost(closed: ConnectionClosed) -> ConnectionLost:
    """Say how a connection ended; 1006 stands for an end without a close frame."""
    frame = closed.rcvd or closed.sent
    code, reason = (frame.code, frame.reason) if frame else (1006, "")
    words = reason or ("it broke off" if code == 1006 else "it was closed")
    message = f"the connection ended ({code}): {words}"
    if code == CloseCode.UNAUTHORIZED:
        return Unauthorized(message, reason)
    return ConnectionLost(message, code, reason)


def _turned_away(where: str, end: ConnectionLost) -> ConnectFailed:
    why = f"{end.reason or 'no reason given'} ({end.close_code})"
    message = f"{where} turned us away: {why}"
    if isinstance(end, Unauthorized):
        return Unauthorized(message, end.reason)
    return ConnectFailed(message, end.close_code, retryable=may_return(end.close_code))


def _refused(where: str, error: InvalidStatus) -> ConnectFailed:
    status, said = error.response.status_code, _first_line(error.response.body)
    if status == UNAUTHORIZED:
        return Unauthorized(f"{where} refused the token{said or ': none or a wrong one'}")
    if status == FORBIDDEN:
        return ConnectFailed(f"{where} turned us away{said or ' (HTTP 403)'}", CloseCode.FORBIDDEN)
    retryable = status >= 500 or status in (TOO_EARLY, TOO_MANY)
    message = f"{where} answered HTTP {status}{said}; is it a wsproc server?"
    return ConnectFailed(message, retryable=retryable)


def _first_line(body: bytes | bytearray | None) -> str:
    line = (body or b"").decode(errors="replace").strip().splitlines()
    return f" ({line[0][:200]})" if line else ""


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "nothing listens there; start a server with `wsproc serve`"
    return str(error) or type(error).__name__
