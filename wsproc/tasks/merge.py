"""Several async generators as one: the stages of a job run at once, their frames interleave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

_WAITING = 16
"""How many items may wait for the reader before the generators pause."""


async def merge(*generators: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield what the generators yield, as it comes; the first exception ends all and is raised.

    Closing the merged generator closes all of them and waits for that.
    """
    queue: asyncio.Queue[T] = asyncio.Queue(_WAITING)
    pumps = [asyncio.create_task(_pump(generator, queue)) for generator in generators]
    everything = asyncio.ensure_future(_first_failure(pumps))
    try:
        while not (everything.done() and queue.empty()):
            getter = asyncio.ensure_future(queue.get())
            try:
                await asyncio.wait({getter, everything}, return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    yield getter.result()
                elif queue.empty():
                    break
            finally:
                getter.cancel()
        await everything
    finally:
        for task in (everything, *pumps):
            task.cancel()
        await asyncio.gather(everything, *pumps, return_exceptions=True)


async def _pump(generator: AsyncGenerator[T, None], queue: asyncio.Queue[T]) -> None:
    async with aclosing(generator):
        async for item in generator:
            await queue.put(item)


async def _first_failure(pumps: list[asyncio.Task[None]]) -> None:
    """Return when all pumps are through; stop them and raise at the first exception."""
    try:
        for pump in asyncio.as_completed(pumps):
            await pump
    finally:
        for task in pumps:
            task.cancel()
