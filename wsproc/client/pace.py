"""No more messages than the server takes: waiting here is better than being told to wait."""

from __future__ import annotations

import asyncio
import time

from wsproc.rate import BYTES_A_TOKEN, TokenBucket


class Pace:
    """`rate` messages a second and as many at once; large ones count for several, 0 is no limit."""

    def __init__(self, rate: float) -> None:
        self._bucket = TokenBucket(rate, max(rate, 1)) if rate > 0 else None

    async def wait(self, size: int) -> None:
        """Wait until a message of `size` bytes may be sent."""
        if self._bucket is None:
            return
        while True:
            wait_s = self._bucket.take(max(1.0, size / BYTES_A_TOKEN), time.monotonic())
            if wait_s == 0:
                return
            await asyncio.sleep(wait_s)
