"""One WebSocket with a session behind it: a reader that never waits for work, and its writer."""

from __future__ import annotations

import asyncio
import time

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from wsproc.config import ServerConfig
from wsproc.events import Connected, Disconnected, Peer, PeerStalled, Reader
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import Heartbeat
from wsproc.host import Host
from wsproc.lobby import Lobby
from wsproc.logs import bind, bound, ids_of
from wsproc.rate import MessageRate
from wsproc.session import Close, TakeUp
from wsproc.writer import Writer

ABNORMAL = 1006
"""What stands for the close code of a socket that was just gone; it is never sent."""

CLEAN_CODES = (1000, 1001, 1005)
"""A peer that closes with these means it; 1005 is a close without a code."""

MESSAGES_A_TURN = 32
"""So many messages that have come together are read before all others have their turn."""


class Connection:
    """A socket from the handshake to the last frame. Its session may be another one's before and
    after: `_host` is who has it now, None once it is lost to a newer connection or let go.
    """

    __slots__ = (
        "_config",
        "_frames_in",
        "_heartbeat",
        "_host",
        "_lobby",
        "_peer",
        "_rate",
        "_socket",
        "_tell",
        "_writer",
    )

    def __init__(
        self,
        socket: ServerConnection,
        lobby: Lobby,
        config: ServerConfig,
        peer: Peer,
        tell: Reader,
    ) -> None:
        self._socket = socket
        self._lobby = lobby
        self._config = config
        self._peer = peer
        self._tell = tell
        self._host: Host | None = None
        self._writer: Writer | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._rate = MessageRate(config.messages_per_s, config.message_burst)
        self._frames_in = 0

    def __repr__(self) -> str:
        return f"<Connection {self._socket.remote_address}>"

    async def serve(self) -> None:
        """Greet, then read and write until either side closes; the session outlives that."""
        began = time.monotonic()
        self._tell(Connected(self._peer))
        writer: Writer | None = None
        try:
            with bound(**ids_of(self._peer)):
                writer = self._writer = Writer(
                    self._socket,
                    self._next_message,
                    send_timeout_s=self._config.send_timeout_s,
                    on_stalled=self._stalled,
                )
                await self._converse(writer)
        finally:
            self._tell(self._closed(writer, time.monotonic() - began))

    async def _converse(self, writer: Writer) -> None:
        self._have(self._lobby.open(self, self._peer.principal or ""))
        if self._socket.subprotocol is not None:  # no noise for those who did not negotiate it
            self._beat()
        try:
            await self._read(writer)
        finally:
            if self._heartbeat is not None:
                self._heartbeat.cancel()
            self._let_go(clean=self._is_clean(writer))
            await writer.stop()

    def _have(self, host: Host) -> None:
        """Have a session: a new one, or one that is taken up."""
        self._host = host
        bind(session=host.session.label)
        self.wake()

    def _closed(self, writer: Writer | None, seconds: float) -> Disconnected:
        code, reason = self._socket.close_code or ABNORMAL, ""
        if writer is None:
            return Disconnected(self._peer, code, reason, seconds, self._frames_in, 0)
        if writer.closing is not None:
            reason = writer.closing.reason  # what a client gives as its reason is its text
        return Disconnected(self._peer, code, reason, seconds, self._frames_in, writer.sent)

    # --- what others ask of it ------------------------------------------------------------------

    def wake(self) -> None:
        """Send what waits now."""
        if self._writer is not None:
            self._writer.wake()

    def lose(self, close: Close) -> None:
        """Close: the session has another connection from now on."""
        self._host = None
        self.end(close)
        if self._writer is not None:
            self._writer.hurry()

    def end(self, close: Close) -> None:
        """Close once everything is sent that waits; the first who closes decides the code."""
        if self._writer is not None:
            self._writer.end(close)

    async def part(self, close: Close) -> None:
        """Close once the jobs have ended and their ends are sent."""
        if self._host is not None:
            await self._host.finished()
        self.end(close)

    def abort(self) -> None:
        """Cut the connection: a peer that reads nothing would hang every way of closing it."""
        self._socket.transport.abort()

    # --- in -------------------------------------------------------------------------------------

    async def _read(self, writer: Writer) -> None:
        try:
            async for message in self._socket:
                self._frames_in += 1
                turn_over = self._frames_in % MESSAGES_A_TURN == 0
                if self._host is not None and writer.closing is None:
                    turn_over |= self._receive(self._host, message)
                # else: to be closed; read on for the closing handshake, answer nothing
                if turn_over:
                    await asyncio.sleep(0)
        except ConnectionClosed:
            return

    def _receive(self, host: Host, message: str | bytes) -> bool:
        """Hand a message to the session unless it comes too fast; return whether that has taken
        long, as an answer does that has much to tell (`jobs`, `resume`).
        """
        waiting = host.session.outbox.size
        admittance = self._rate.admit(len(message), time.monotonic())
        if admittance.verdict == "taken":
            actions = host.receive(message)
        elif admittance.verdict == "refused":
            actions = host.put_off(message, admittance.wait_s)
        else:
            actions = [Close(CloseCode.ABUSE, "too many messages, though told to wait")]
        for action in actions:
            self._act(host, action)
        self.wake()
        if self._host is None:
            return False
        waits = self._host.session.outbox.size
        return self._rate.answered(waits if self._host is not host else waits - waiting)

    def _act(self, host: Host, action: Close | TakeUp) -> None:
        if isinstance(action, Close):
            self.end(action)
        else:
            self._have(self._lobby.take_up(host, self, action))

    def _let_go(self, *, clean: bool) -> None:
        host, self._host = self._host, None
        if host is not None:
            self._lobby.leave(host, self, clean=clean)

    def _is_clean(self, writer: Writer) -> bool:
        """Whether nobody is expected to come back: by our own close, or by the peer's."""
        if writer.closing is not None:
            return writer.closing.code.is_final
        return self._socket.close_code in CLEAN_CODES

    # --- out ------------------------------------------------------------------------------------

    def _next_message(self) -> bytes | None:
        return None if self._host is None else self._host.next_message()

    def _stalled(self) -> None:
        self._tell(PeerStalled(self._peer))
        self._let_go(clean=False)

    def _beat(self) -> None:
        """Send a heartbeat if nothing else was sent for so long, and look again in time."""
        loop = asyncio.get_running_loop()
        writer, rest_s = self._writer, self._config.heartbeat_s
        if self._host is not None and writer is not None and writer.idle:
            silent_s = loop.time() - writer.sent_at
            if silent_s >= rest_s:
                self._host.session.outbox.answer(Heartbeat(t=round(time.time(), 3)))
                writer.wake()
            else:
                rest_s -= silent_s
        self._heartbeat = loop.call_later(rest_s, self._beat)
