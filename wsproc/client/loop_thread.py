"""An event loop in a thread of its own, for callers that have none or whose own one is running."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


LAST_WORDS_S = 1.0
"""How long what still runs may take to end by itself when the thread is stopped."""


async def _nothing() -> None:
    return


class LoopThread:
    """Runs coroutines for other threads. The thread does not keep the program from ending.

    `farewell` is run last, in the thread, when it is stopped.
    """

    def __init__(self, farewell: Callable[[], Coroutine[Any, Any, None]] = _nothing) -> None:
        self._farewell = farewell
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="wsproc-client", daemon=True)
        self._thread.start()
        self._ready.wait()

    def start(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin a coroutine; cancelling its future cancels it. Raises RuntimeError when stopped."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the client is closed")
        if threading.current_thread() is self._thread:
            work.close()
            message = (
                "the blocking client was called from its own thread, which would wait for ever"
            )
            raise RuntimeError(f"{message}; callbacks must not block")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and return its result. One that is interrupted (Ctrl-C) is cancelled."""
        future = self.start(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def stop(self) -> None:
        """Say farewell and end the thread. Safe to repeat."""
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._end)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _end(self) -> None:
        if self._stopped is not None:
            self._stopped.set()

    def _run(self) -> None:
        asyncio.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopped.wait()
        await self._farewell()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=LAST_WORDS_S)
