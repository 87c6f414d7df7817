"""Several async generators as one: the stages of a job run at once, their frames interleave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_WAITING = 16
"""How many items may wait for the reader before the generators pause."""


def merge(*generators: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield what the generators yield, as it comes; the first exception ends all and is raised.

    Closing the merged generator closes all of them and waits for that.
    """
    if len(generators) == 1:
        return generators[0]
    return _Merge[T]().run(*generators)


def flatten(source: AsyncGenerator[AsyncGenerator[T, None], None]) -> AsyncGenerator[T, None]:
    """Merge the generators that another one yields, each from the moment on that it comes."""
    return _Merge[T]().run(source=source)


async def until(
    stop: Awaitable[object], generator: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """Yield what a generator yields until it ends or `stop` is done; close it and wait for that.

    What it yields at the moment of the stop is thrown away.
    """
    stopper = asyncio.ensure_future(stop)
    try:
        async with aclosing(generator):
            while not stopper.done():
                step = asyncio.create_task(_step(generator))
                try:
                    await asyncio.wait([stopper, step], return_when=asyncio.FIRST_COMPLETED)
                    if stopper.done() or isinstance(item := step.result(), _End):
                        return
                finally:
                    await _ended(step)  # a generator that still runs cannot be closed
                yield item
    finally:
        await _ended(stopper)


@dataclass(frozen=True, slots=True)
class _End:
    """What stands behind a generator's last item."""

    error: Exception | None = None


async def _step(generator: AsyncGenerator[T, None]) -> T | _End:
    return await anext(generator, _End())


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Merge(Generic[T]):
    """Pumps that move the items of generators into one queue, and the reader of that."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue(_WAITING)
        self._pumps: list[asyncio.Task[None]] = []
        self._running = 0

    async def run(
        self,
        *generators: AsyncGenerator[T, None],
        source: AsyncGenerator[AsyncGenerator[T, None], None] | None = None,
    ) -> AsyncGenerator[T, None]:
        """Yield the items; `source` gives more generators while it goes on."""
        for one in generators:
            self._start(self._pump(one))
        if source is not None:
            self._start(self._spread(source))
        try:
            while self._running:
                item = await self._queue.get()
                if not isinstance(item, _End):
                    yield item
                elif item.error is None:
                    self._running -= 1
                else:
                    raise item.error
        finally:
            await _ended(*self._pumps)

    def _start(self, pump: Coroutine[Any, Any, None]) -> None:
        self._running += 1
        self._pumps.append(asyncio.create_task(pump))

    async def _pump(self, generator: AsyncGenerator[T, None]) -> None:
        """Move a generator's items into the queue, and its end or failure behind them."""
        end = _End()
        try:
            async with aclosing(generator):
                async for item in generator:
                    crowded = self._queue.full()
                    await self._queue.put(item)
                    if crowded:  # the others' turn: a queue is not fair to those who wait
                        await asyncio.sleep(0)
        except Exception as error:
            end = _End(error)
        await self._queue.put(end)

    async def _spread(self, source: AsyncGenerator[AsyncGenerator[T, None], None]) -> None:
        end = _End()
        try:
            async with aclosing(source):
                async for generator in source:
                    self._start(self._pump(generator))
        except Exception as error:
            end = _End(error)
        await self._queue.put(end)
