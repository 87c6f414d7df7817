"""The one writer of a socket.

What a peer takes as fast as it comes goes out a few frames at a time from a mere callback: a task
and a wait for each frame were a third of the loop's work under load. Where the peer is slower, or
there is more, a task goes on; it yields after each frame, so that the reader gets its turn. Most
connections are silent most of the time, and have neither.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from wsproc.frames.errors import CloseCode
from wsproc.frames.server import Goaway
from wsproc.protocol import encode
from wsproc.session import Close
from wsproc.stall import Backlog, Patience

logger = logging.getLogger("wsproc.connection")

GOODBYE_S = 2.0
"""How long a close may take with a peer that may be gone; it hangs, as sends do."""

FRAMES_AT_ONCE = 8
"""So many frames go out before all other connections have their turn."""

BYTES_AT_ONCE = 16 << 10
"""A frame that reaches this is the last of its turn: what is written is not purged by a cancel."""

STALLED = Close(CloseCode.SLOW_CONSUMER, "nothing was read for too long")

HURRIED = (
    CloseCode.SLOW_CONSUMER,
    CloseCode.TAKEN_OVER,
    CloseCode.ABUSE,
    CloseCode.TOO_MANY_BAD_FRAMES,
)
"""Codes of peers that may be gone, or have had enough of our time."""


class Writer:
    """Sends what `take` gives, until it gives None; `wake` says that there is more.

    `on_stalled` is called as soon as the peer has read nothing for `send_timeout_s`, before the
    goodbye, which takes its time. `closing` is how the connection ends, once that is decided.
    """

    __slots__ = (
        "_backlog",
        "_context",
        "_flushing",
        "_loop",
        "_on_stalled",
        "_patience",
        "_send_timeout_s",
        "_socket",
        "_stalled",
        "_take",
        "_task",
        "closing",
        "sent",
        "sent_at",
    )

    def __init__(
        self,
        socket: ServerConnection,
        take: Callable[[], bytes | None],
        *,
        send_timeout_s: float,
        on_stalled: Callable[[], None],
    ) -> None:
        self.closing: Close | None = None
        self.sent = 0
        self._socket = socket
        self._take = take
        self._send_timeout_s = send_timeout_s
        self._on_stalled = on_stalled
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # of the connection, whoever wakes the writer
        self._patience: Patience | None = None
        self._backlog: Backlog | None = None
        self._stalled = False
        self._flushing: asyncio.Handle | None = None
        self._task: asyncio.Task[None] | None = None
        self.sent_at = self._loop.time()

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent."""
        return self._task is None and self._flushing is None

    def wake(self) -> None:
        """Send what waits now."""
        if self.idle:
            self._flushing = self._loop.call_soon(self._flush, context=self._context)

    def end(self, close: Close) -> None:
        """Close once everything is sent that waits; the first who closes decides the code."""
        self.closing = self.closing or close
        self.wake()

    def hurry(self) -> None:
        """Wait no longer for a peer that may be gone, if a send is under way."""
        if self._patience is not None:
            self._patience.lose()

    async def stop(self) -> None:
        """Send nothing more."""
        if self._backlog is not None:
            self._backlog.stop()
        if self._flushing is not None:
            self._flushing.cancel()
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def abort(self) -> None:
        """Cut the connection: a peer that reads nothing would hang every way of closing it."""
        self._socket.transport.abort()

    # --- what the peer takes at once ------------------------------------------------------------

    def _flush(self) -> None:
        """Send what goes out without a wait; leave the rest, and all that is unusual, to a task."""
        self._flushing = None
        try:
            rest = None if self._flushed() and self.closing is None else self._write()
        except Exception:
            rest = self._say_goodbye(self._failed())
        if rest is not None:
            self._task = self._loop.create_task(rest, context=self._context)

    def _flushed(self) -> bool:
        """Send a few frames with one call of the kernel; return whether nothing is left."""
        if not self._takes_more:
            return False
        protocol, size = self._socket.protocol, 0
        try:
            for _ in range(FRAMES_AT_ONCE):
                if (message := self._take()) is None:
                    self.sent_at = self._loop.time()
                    return True
                protocol.send_text(message)
                self.sent += 1
                size += len(message)
                if size >= BYTES_AT_ONCE:
                    break
        finally:
            if size:
                self._note(size)
                self._socket.transport.write(b"".join(protocol.data_to_send()))
        return False

    @property
    def _takes_more(self) -> bool:
        """Whether the socket has written all that it was given, and may be given more."""
        socket = self._socket
        return (
            socket.state is State.OPEN
            and not self._stalled
            and not socket.transport.get_write_buffer_size()
        )

    # --- what it has to wait for ----------------------------------------------------------------

    async def _write(self) -> None:
        try:
            await self._send_all()
            if self.closing is not None:
                await self._say_goodbye(self.closing)
        except ConnectionClosed:
            pass
        except TimeoutError:
            await self._part_from_stalled()
        except Exception:
            await self._say_goodbye(self._failed())
        finally:
            self._task = self._patience = None

    def _failed(self) -> Close:
        """Decide to close: without a writer the connection would only look alive."""
        logger.exception("the writer of a connection failed")
        self.closing = self.closing or Close(CloseCode.INTERNAL, "internal error")
        return self.closing

    async def _send_all(self) -> None:
        if self._stalled:
            raise TimeoutError
        async with Patience(self._socket.transport, self._send_timeout_s) as self._patience:
            while (message := self._take()) is not None:
                self._note(len(message))
                await self._socket.send(message, text=True)
                self._patience.progress()
                self.sent += 1
                await asyncio.sleep(0)
        self.sent_at = self._loop.time()

    def _note(self, size: int) -> None:
        """Watch whether the peer takes what is written, also when no send waits for it any more."""
        if self._backlog is None:
            transport, limit_s = self._socket.transport, self._send_timeout_s
            self._backlog = Backlog(transport, limit_s, self._backlog_ended)
        self._backlog.add(size)

    def _backlog_ended(self, stalled: bool) -> None:
        self._backlog, self._stalled = None, stalled
        if stalled:
            self.hurry()
            self.wake()

    async def _part_from_stalled(self) -> None:
        """Let a peer go that reads nothing: what it was to be sent is kept for its return.

        One that was to be closed anyway has been told why.
        """
        if self.closing is None:
            self.closing = STALLED
            self._on_stalled()
            goaway = Goaway(code=STALLED.code, reason=STALLED.reason, grace_ms=0, reconnect=True)
            broadcast([self._socket], encode(goaway), text=True)  # into the buffer, without a wait
        await self._say_goodbye(self.closing)

    async def _say_goodbye(self, close: Close) -> None:
        """Close the connection; cut it where the peer does not even read that."""
        patience_s = GOODBYE_S if close.code in HURRIED else self._send_timeout_s
        try:
            async with asyncio.timeout(patience_s):
                await self._socket.close(close.code, close.reason)
        except TimeoutError:
            self.abort()
