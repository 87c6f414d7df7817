"""One WebSocket: a reader that never waits for work and one writer that yields after each frame."""

from __future__ import annotations

import asyncio
import logging
import time

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from wsproc.config import ServerConfig
from wsproc.events import Connected, Disconnected, Peer, PeerStalled, Reader
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import Goaway, Heartbeat
from wsproc.host import TAKEN_OVER, Host
from wsproc.lobby import Lobby
from wsproc.logs import bind, bound, ids_of
from wsproc.protocol import encode
from wsproc.rate import MessageRate
from wsproc.session import Close, TakeUp
from wsproc.stall import Patience

logger = logging.getLogger("wsproc.connection")

GOODBYE_S = 2.0
"""How long a close may take with a peer that may be gone; it hangs, as sends do."""

ABNORMAL = 1006
"""What stands for the close code of a socket that was just gone; it is never sent."""

MESSAGES_A_TURN = 32
"""So many messages that have come together are read before all others have their turn."""

STALLED = Close(CloseCode.SLOW_CONSUMER, "nothing was read for too long")

HURRIED = (CloseCode.SLOW_CONSUMER, CloseCode.TAKEN_OVER, CloseCode.ABUSE)
"""Codes of peers that may be gone, or have had enough of our time."""

CLEAN_CODES = (1000, 1001, 1005)
"""A peer that closes with these means it; 1005 is a close without a code."""


class Connection:
    """A socket with a session behind it, from the handshake to the last frame."""

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
        self._work = asyncio.Event()
        self._patience = Patience(socket.transport, config.send_timeout_s)
        self._close: Close | None = None
        self._host: Host | None = None
        self._heartbeats = socket.subprotocol is not None
        self._rate = MessageRate(config.messages_per_s, config.message_burst)
        self._frames_in = 0
        self._frames_out = 0

    def __repr__(self) -> str:
        return f"<Connection {self._socket.remote_address}>"

    async def serve(self) -> None:
        """Greet, then read and write until either side closes; the session outlives that."""
        began = time.monotonic()
        self._tell(Connected(self._peer))
        try:
            with bound(**ids_of(self._peer)):
                await self._converse()
        finally:
            self._tell(self._closed(time.monotonic() - began))

    async def _converse(self) -> None:
        self._greet(self._lobby.open(self, self._peer.principal or ""))
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            self._let_go(clean=self._is_clean())
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _greet(self, host: Host) -> None:
        self._host = host
        bind(session=host.session.label)
        self._work.set()

    def _closed(self, seconds: float) -> Disconnected:
        code, reason = self._socket.close_code, ""
        if self._close is not None:
            reason = self._close.reason  # ours; what a client gives as its reason is its text
        frames = (self._frames_in, self._frames_out)
        return Disconnected(self._peer, code or ABNORMAL, reason, seconds, *frames)

    def wake(self) -> None:
        """Send what waits now."""
        self._work.set()

    def lose(self, close: Close) -> None:
        """Close: the session has another connection from now on."""
        self._host = None
        self.end(close)
        self._patience.lose()

    def end(self, close: Close) -> None:
        """Close once everything is sent that waits."""
        self._close = self._close or close
        self._work.set()

    async def part(self, close: Close) -> None:
        """Close once the jobs have ended and their ends are sent."""
        if self._host is not None:
            await self._host.finished()
        self.end(close)

    def abort(self) -> None:
        """Cut the connection: a peer that reads nothing would hang every way of closing it."""
        self._socket.transport.abort()

    # --- in -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._frames_in += 1
                if self._close is None and self._host is not None:
                    self._receive(self._host, message)
                # else: to be closed; read on for the closing handshake, answer nothing
                if self._frames_in % MESSAGES_A_TURN == 0:
                    await asyncio.sleep(0)
        except ConnectionClosed:
            return

    def _receive(self, host: Host, message: str | bytes) -> None:
        """Hand a message to the session unless it comes too fast."""
        admittance = self._rate.admit(len(message), time.monotonic())
        if admittance.verdict == "taken":
            actions = host.receive(message)
        elif admittance.verdict == "refused":
            actions = host.put_off(message, admittance.wait_s)
        else:
            actions = [Close(CloseCode.ABUSE, "too many messages, though told to wait")]
        for action in actions:
            self._act(host, action)
        self._work.set()

    def _act(self, host: Host, action: Close | TakeUp) -> None:
        if isinstance(action, Close):
            self.end(action)
        else:
            self._greet(self._lobby.take_up(host, self, action))

    def _let_go(self, *, clean: bool) -> None:
        host, self._host = self._host, None
        if host is not None:
            self._lobby.leave(host, self, clean=clean)

    def _is_clean(self) -> bool:
        """Whether nobody is expected to come back: by our own close, or by the peer's."""
        if self._close is not None:
            return self._close.code.is_final
        return self._socket.close_code in CLEAN_CODES

    # --- out ------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Send what waits, one frame at a time, so that the reader gets its turn between two."""
        try:
            while True:
                message = self._next_message()
                if message is not None:
                    await self._send(message)
                elif self._close is not None:
                    await self._say_goodbye(self._close)
                    return
                else:
                    await self._wait()
        except ConnectionClosed:
            return
        except TimeoutError:
            await self._part_from_stalled(self._close or STALLED)
        except Exception:
            # Without a writer the connection would only look alive.
            logger.exception("the writer of a connection failed")
            await self._say_goodbye(Close(CloseCode.INTERNAL, "internal error"))

    def _next_message(self) -> bytes | None:
        if self._host is None:
            return None
        message = self._host.session.next_message()
        if not self._host.session.outbox.congested:
            self._host.room.set()
        return message

    async def _part_from_stalled(self, close: Close) -> None:
        """Let a peer go that reads nothing: what it was to be sent is kept for its return."""
        self._close = close
        self._let_go(clean=False)
        if close is not TAKEN_OVER:
            self._tell(PeerStalled(self._peer))
        goaway = Goaway(code=close.code, reason=close.reason, grace_ms=0, reconnect=True)
        broadcast([self._socket], encode(goaway).decode())  # into the buffer, without a wait
        await self._say_goodbye(close)

    async def _say_goodbye(self, close: Close) -> None:
        """Close the connection; cut it where the peer does not even read that."""
        hurried = close.code in HURRIED
        patience_s = GOODBYE_S if hurried else self._config.send_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                await self._socket.close(close.code, close.reason)
        except TimeoutError:
            self.abort()

    async def _send(self, message: bytes) -> None:
        async with self._patience:
            await self._socket.send(message, text=True)
        self._frames_out += 1
        await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Wait for something to send; send a heartbeat to those who negotiated them."""
        self._work.clear()
        if not self._heartbeats:
            await self._work.wait()
            return
        try:
            async with asyncio.timeout(self._config.heartbeat_s):
                await self._work.wait()
        except TimeoutError:
            await self._send(encode(Heartbeat(t=round(time.time(), 3))))
