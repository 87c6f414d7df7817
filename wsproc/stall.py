"""How long a peer may read nothing: a watch over one transport's write buffer.

A send to a stalled peer hangs for good, and so do a close and the keepalive, since each waits for
the buffer to drain. What is watched is progress and not the send as a whole: a large frame may take
long on a slow line.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

LOOKS = 15
"""How often the buffer is looked at within the time that it may stand still."""


class Patience:
    """Use it with `async with` around a send: raises `TimeoutError` when the transport has written
    nothing for `limit_s`, or at once when `lose` is called meanwhile.
    """

    __slots__ = ("_left", "_limit_s", "_progress_at", "_timeout", "_timer", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, limit_s: float) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._timeout: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._left = 0

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()
        self._progress_at = loop.time()
        self._left = -1
        self._timer = loop.call_later(self._limit_s / LOOKS, self._look)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._timeout is not None
        if self._timer is not None:
            self._timer.cancel()
        timeout, self._timeout, self._timer = self._timeout, None, None
        await timeout.__aexit__(kind, error, trace)

    def lose(self) -> None:
        """Lose patience now, where a send is under way."""
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._transport.get_write_buffer_size()
        if left < self._left:
            self._progress_at = loop.time()
        self._left = left
        if loop.time() - self._progress_at >= self._limit_s:
            self._timer = None
            self.lose()
        else:
            self._timer = loop.call_later(self._limit_s / LOOKS, self._look)
