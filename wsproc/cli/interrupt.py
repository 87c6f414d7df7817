"""Ctrl-C while jobs run: the first asks the server to stop, the second leaves at once."""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType
from typing import Any, Protocol

from wsproc.client import WsprocError

PATIENCE_S = 5.0
"""How long the end of a cancelled job is waited for."""


class Cancellable(Protocol):
    """A job, or several as one."""

    async def cancel(self) -> Any:
        """Ask the server to stop it."""
        ...


class Interrupts:
    """Turns Ctrl-C into a cancel of `job` for the length of a `with` block.

    `asked` tells afterwards whether that happened. The block goes on until the job's end comes, a
    second Ctrl-C, or `PATIENCE_S`; the latter two cancel the task that entered the block.
    """

    def __init__(self, job: Cancellable) -> None:
        self.asked = False
        self._job = job
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Interrupts:
        self._loop.add_signal_handler(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.remove_signal_handler(signal.SIGINT)
        if self._timer is not None:
            self._timer.cancel()

    def _on_signal(self) -> None:
        if self.asked:
            self._leave()
            return
        self.asked = True
        self._cancelling = self._loop.create_task(self._cancel())
        self._timer = self._loop.call_later(PATIENCE_S, self._leave)

    async def _cancel(self) -> None:
        try:
            await self._job.cancel()
        except WsprocError:
            return  # the job's own waiter is told the same

    def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
