"""A call at the moment when a grant expires."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST_WAIT_S = 3600.0
"""A timer runs by the steady clock and `exp` is by the wall clock; so often they are compared."""


@contextmanager
def expiring(expires_at: float | None, then: Callable[[], None]) -> Iterator[None]:
    """Call `then` once if `expires_at` (Unix seconds; None is never) comes within the block."""
    if expires_at is None:
        yield
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        left = expires_at - time.time()
        if left <= 0:
            then()
        else:
            timer = loop.call_later(min(left, LONGEST_WAIT_S), look)

    timer = loop.call_later(0, look)
    try:
        yield
    finally:
        timer.cancel()
