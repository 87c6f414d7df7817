"""How long a peer may read nothing: watches over one transport's write buffer.

A send to a stalled peer hangs for good, and so do a close and the keepalive, since each waits for
the buffer to drain. What is watched is progress and not a send as a whole: a large frame may take
long on a slow line. One timer does for a whole burst of sends.

The last tens of KiB of a burst fit into buffers, so no send hangs over them; whether the peer takes
them is watched apart (`Backlog`).

Time is counted in looks and not by the clock: a process that was stopped, or whose loop was busy,
has seen nothing of what its peers did meanwhile, and must not hold that against them.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable
from types import TracebackType

LOOKS = 15
"""How often the buffer is looked at within the time that it may stand still. The look that ends it
is one more: progress may have been made just before the first.
"""


class Patience:
    """Use it with `async with` around sends, and call `progress` after each: raises `TimeoutError`
    when the transport has written nothing for `limit_s` to a fifteenth more, or at once when `lose`
    is called. It may be used again, one time after the other.
    """

    __slots__ = ("_left", "_limit_s", "_loop", "_still", "_timeout", "_timer", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, limit_s: float) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._timeout: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._still = 0
        self._left = 0

    async def __aenter__(self) -> Patience:
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()
        self.progress()
        self._left = 0
        self._timer = self._loop.call_later(self._limit_s / LOOKS, self._look)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        assert self._timeout is not None
        await self._timeout.__aexit__(kind, error, trace)

    def progress(self) -> None:
        """Note that something was written."""
        self._still = 0

    def lose(self) -> None:
        """Wait no longer."""
        if self._timer is not None and self._timeout is not None:
            self._timer.cancel()
            self._timer = None
            self._timeout.reschedule(self._loop.time())

    def _look(self) -> None:
        left = self._transport.get_write_buffer_size()
        self._still = 0 if left < self._left else self._still + 1
        self._left = left
        if self._still > LOOKS:
            self.lose()
        else:
            self._timer = self._loop.call_later(self._limit_s / LOOKS, self._look)


def undelivered(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes the peer has not acknowledged: those in the transport's buffer, and
    those in the kernel's where it tells (Linux does).
    """
    return transport.get_write_buffer_size() + _in_kernel(transport)


def _in_kernel(transport: asyncio.WriteTransport) -> int:
    socket = transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return 0
    try:
        told = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", told)[0])


class Backlog:
    """A watch over what was written and not delivered, whether or not a send waits for it.

    Say with `add` what is written. `on_end` is called once, with False when all is delivered, or
    with True when nothing was for `limit_s`; `stop` calls it off.
    """

    __slots__ = (
        "_delivered",
        "_limit_s",
        "_loop",
        "_on_end",
        "_still",
        "_timer",
        "_transport",
        "_written",
    )

    def __init__(
        self, transport: asyncio.WriteTransport, limit_s: float, on_end: Callable[[bool], None]
    ) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._written = 0
        self._delivered = 0
        self._still = 0
        self._timer = self._loop.call_later(limit_s / LOOKS, self._look)

    def add(self, size: int) -> None:
        """Count what is written; what else the protocol sends is too little to matter."""
        self._written += size

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _look(self) -> None:
        left = undelivered(self._transport)
        delivered = self._written - left
        self._still = 0 if delivered > self._delivered else self._still + 1
        self._delivered = max(delivered, self._delivered)
        if left == 0:
            self._on_end(False)
        elif self._still > LOOKS:
            self._on_end(True)
        else:
            self._timer = self._loop.call_later(self._limit_s / LOOKS, self._look)
