"""A call at the moment when a grant expires."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LONGEST_WAIT_S = 3600.0
"""A timer runs by the steady clock and `exp` is by the wall clock; so often they are compared."""


class Expiry:
    """Calls `then` once when `at`, in Unix seconds, has come, unless it is cancelled before."""

    __slots__ = ("_at", "_then", "_timer")

    def __init__(self, at: float, then: Callable[[], None]) -> None:
        self._at = at
        self._then = then
        self._timer = asyncio.get_running_loop().call_soon(self._look)

    def cancel(self) -> None:
        """Call nothing any more."""
        self._timer.cancel()

    def _look(self) -> None:
        left = self._at - time.time()
        if left <= 0:
            self._then()
        else:
            wait_s = min(left, LONGEST_WAIT_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._look)
