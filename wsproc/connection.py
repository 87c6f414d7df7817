"""One WebSocket: a reader that never waits for work and one writer that yields after each frame."""

from __future__ import annotations

import asyncio
import logging
import time

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from wsproc.config import ServerConfig
from wsproc.events import Connected, Disconnected, Peer, PeerStalled
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import Heartbeat
from wsproc.job import StopReason
from wsproc.logs import bound, ids_of
from wsproc.protocol import encode
from wsproc.rate import MessageRate
from wsproc.runner import Runner
from wsproc.session import Action, Close, Session
from wsproc.tasks import TaskRegistry
from wsproc.tasks.context import Caller

logger = logging.getLogger("wsproc.connection")

ABNORMAL = 1006
"""What stands for the close code of a socket that was just gone; it is never sent."""

SLOW_GOODBYE_S = 2.0
"""How long a close may take with a peer that has read nothing for long; it hangs, as sends do.
One that floods gets no more, either."""

MESSAGES_A_TURN = 32
"""So many messages that have come together are read before all others have their turn."""


class Connection:
    """A session on its socket, from the handshake to the last frame."""

    def __init__(
        self,
        socket: ServerConnection,
        session: Session,
        engine: Caller,
        registry: TaskRegistry,
        config: ServerConfig,
        peer: Peer,
    ) -> None:
        self.session = session
        self._socket = socket
        self._config = config
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._close: Close | None = None
        self._rate = MessageRate(config.messages_per_s, config.message_burst)
        self._heartbeats = socket.subprotocol is not None
        self._runner = Runner(session, engine, registry, wake=self._work.set, room=self._room)
        self._peer = peer
        self._tell = session.offer.tell
        self._frames_in = 0
        self._frames_out = 0

    def __repr__(self) -> str:
        return f"<Connection {self._socket.remote_address} {self.session!r}>"

    async def serve(self) -> None:
        """Greet, then read and write until either side closes; leave no job behind."""
        began = time.monotonic()
        self._tell(Connected(self._peer))
        try:
            with bound(**ids_of(self._peer), session=self.session.label):
                await self._converse()
        finally:
            self._tell(self._closed(time.monotonic() - began))

    async def _converse(self) -> None:
        self.session.greet()
        self._work.set()
        writer = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            self._carry_out(self.session.leave(StopReason.DISCONNECT))
            self._room.set()
            writer.cancel()
            await asyncio.gather(writer, self._runner.finished(), return_exceptions=True)

    def _closed(self, seconds: float) -> Disconnected:
        code, reason = self._socket.close_code, ""
        if self._close is not None:
            reason = self._close.reason  # ours; what a client gives as its reason is its text
        frames = (self._frames_in, self._frames_out)
        return Disconnected(self._peer, code or ABNORMAL, reason, seconds, *frames)

    async def drain(self, code: CloseCode, reason: str) -> None:
        """Say goodbye, stop the jobs, deliver their ends, close."""
        self.session.drain(code, reason, grace_ms=int(self._config.drain_s * 1000))
        self._carry_out(self.session.leave(StopReason.SHUTDOWN))
        self._work.set()
        await self._runner.finished()
        self.end(Close(code, reason))

    def end(self, close: Close) -> None:
        """Close once everything is sent that waits; the first who closes decides the code."""
        self._close = self._close or close
        self._work.set()

    def abort(self) -> None:
        """Cut the connection: a peer that reads nothing would hang every way of closing it."""
        self._socket.transport.abort()

    # --- in -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._frames_in += 1
                if self._close is None:  # else read on for the closing handshake, answer nothing
                    self._carry_out(self._receive(message, time.monotonic()))
                    self._work.set()
                if self._frames_in % MESSAGES_A_TURN == 0:
                    await asyncio.sleep(0)
        except ConnectionClosed:
            return

    def _receive(self, message: str | bytes, now: float) -> list[Action]:
        """Hand a message to the session unless it comes too fast."""
        admittance = self._rate.admit(len(message), now)
        if admittance.verdict == "taken":
            return self.session.receive(message, now)
        if admittance.verdict == "refused":
            return self.session.put_off(message, admittance.wait_s)
        return [Close(CloseCode.ABUSE, "too many messages, though told to wait")]

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Close):
                self.end(action)
            else:
                self._runner.carry_out(action)

    # --- out ------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Send what waits, one frame at a time, so that the reader gets its turn between two."""
        try:
            while True:
                message = self.session.next_message()
                if not self.session.outbox.congested:
                    self._room.set()
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
            self._tell(PeerStalled(self._peer))
            stalled = Close(CloseCode.SLOW_CONSUMER, "nothing was read for too long")
            await self._say_goodbye(stalled, SLOW_GOODBYE_S)
        except Exception:
            # Without a writer the connection would only look alive.
            logger.exception("the writer of a connection failed")
            await self._say_goodbye(Close(CloseCode.INTERNAL, "internal error"))

    async def _say_goodbye(self, close: Close, patience_s: float | None = None) -> None:
        """Close the connection; cut it where the peer does not even read that."""
        if close.code is CloseCode.ABUSE:
            patience_s = SLOW_GOODBYE_S
        try:
            async with asyncio.timeout(patience_s or self._config.send_timeout_s):
                await self._socket.close(close.code, close.reason)
        except TimeoutError:
            self.abort()

    async def _send(self, message: bytes) -> None:
        async with asyncio.timeout(self._config.send_timeout_s):
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
