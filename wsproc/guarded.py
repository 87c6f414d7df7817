"""A WebSocket that is counted in and out at the gate, whose control frames are bounded, and that
waits for no goodbye of a peer that is gone. A request that cannot be read is answered.

The library answers pings by itself, as they are parsed and whether or not the peer reads: who sends
them without reading fills the memory of the server. So they have a bucket, and who empties it is
failed with 4429: what comes after is thrown away unread. And the library waits ten seconds for the
close of a peer that it fails, also where it fails it for being silent, or has stopped reading from
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidMessage, TooManyFragments
from websockets.frames import CloseCode as LibraryCode
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.server import ServerProtocol

from wsproc.frames.errors import CloseCode
from wsproc.gate import Gate, Welcome
from wsproc.rate import TokenBucket

CONTROL_FRAMES_PER_S = 50.0
CONTROL_FRAMES_BURST = 500.0
"""Pings and pongs of one connection; keepalive is one in many seconds."""

PARTING_S = 2.0
"""How long a failed peer has to read why."""


class GuardedSocket(ServerConnection):
    """A server's end of one socket; `met` is what the gate said of it."""

    # In slots, since the library's own attributes just fit into the space that instances share.
    __slots__ = ("_control", "_failed", "_gate", "_host", "met")

    def __init__(self, gate: Gate, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.met: Welcome = "welcome"
        self._gate = gate
        self._control: TokenBucket | None = None
        self._host: str | None = None
        self._failed = False

    def connection_made(self, transport: Any) -> None:
        """Count the socket in; cut it at once where too many were told already."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._host = peer[0] if isinstance(peer, tuple) else None
        self.met = self._gate.enter(self._host)
        if self.met == "cut":
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the socket out."""
        self._gate.leave(self._host)
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        """Take an event as the library does, but no more than so many control frames."""
        if isinstance(event, Frame) and self._was_not_asked_for(event):
            if self._failed:
                return
            if self._control is None:  # most sockets never need one
                self._control = TokenBucket(CONTROL_FRAMES_PER_S, CONTROL_FRAMES_BURST)
            if self._control.take(1, self.loop.time()):
                self._fail(CloseCode.ABUSE, "too many pings")
        super().process_event(event)

    async def keepalive(self) -> None:
        """Ping every `ping_interval`, as the library does, and let go of who does not answer within
        `ping_timeout`.
        """
        assert self.ping_interval is not None
        while True:
            await asyncio.sleep(self.ping_interval)
            pong = await self.ping()
            try:
                async with asyncio.timeout(self.ping_timeout):
                    await pong
            except TimeoutError:
                self._fail(LibraryCode.INTERNAL_ERROR, "keepalive ping timeout")
                return

    def set_connection_exc(self, exc: BaseException | None) -> None:
        """Note why a connection ends. Of one that ends for its many fragments the library would
        read nothing more, and not see it go.
        """
        super().set_connection_exc(exc)
        if isinstance(exc, TooManyFragments):
            self.transport.resume_reading()

    def send_data(self) -> None:
        """Send what is to be sent, and before the end of a request that cannot be read, why: the
        library reads no body, and would leave `curl -d` without a word.
        """
        if self.response is None and self._is_unreadable():
            self.response = _refusal(self.protocol)
            self.transport.write(self.response.serialize())
        super().send_data()

    def _is_unreadable(self) -> bool:
        """Whether there was a request that the parser gave up, and not only its beginning."""
        error = self.protocol.handshake_exc
        return isinstance(error, InvalidMessage) and not isinstance(error.__cause__, EOFError)

    def _was_not_asked_for(self, frame: Frame) -> bool:
        """Whether a frame is a ping, or a pong that answers none of ours."""
        if frame.opcode is Opcode.PONG:
            return bytes(frame.data) not in self.pending_pings
        return frame.opcode is Opcode.PING

    def forget_handshake(self) -> None:
        """Let go of the headers, 3 KiB and maybe a token, of a connection that may idle for days.

        Call it once the handshake is over.
        """
        for side in (self.request, self.response):  # the parser holds on to them, too
            if side is not None:
                side.headers.clear()

    def _fail(self, code: int, reason: str) -> None:
        self._failed = True
        self.protocol.fail(code, reason)
        self.send_data()
        self.loop.call_later(PARTING_S, self.transport.abort)


NOT_READ = (
    "this port takes WebSocket handshakes, and GET without a body;"
    " jobs over plain HTTP have a port of their own: wsproc serve --http-port\n"
)


def _refusal(protocol: ServerProtocol) -> Response:
    """Return the answer to a request that the parser gave up, most often for its body."""
    cause = None if protocol.handshake_exc is None else protocol.handshake_exc.__cause__
    has_body = isinstance(cause, NotImplementedError) or "body" in str(cause)
    status = HTTPStatus.METHOD_NOT_ALLOWED if has_body else HTTPStatus.BAD_REQUEST
    response = protocol.reject(status, NOT_READ)
    if has_body:
        response.headers["Allow"] = "GET, HEAD"
    return response


def guarded_by(gate: Gate, kind: type[GuardedSocket] = GuardedSocket) -> type[ServerConnection]:
    """Return what `websockets.serve` makes its connections with; it calls it and does no more."""
    factory: Callable[..., GuardedSocket] = partial(kind, gate)
    return cast("type[ServerConnection]", factory)
