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
    queue: asyncio.Queue[T | _End] = asyncio.Queue(_WAITING)
    failures: list[Exception] = []
    pumps = [asyncio.create_task(_pump(one, queue, failures)) for one in generators]
    running = len(pumps)
    try:
        while running and not failures:
            item = await queue.get()
            if isinstance(item, _End):
                running -= 1
            else:
                yield item
        if failures:
            raise failures[0]
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class _End:
    """What a pump puts into the queue behind its generator's last item."""


async def _pump(
    generator: AsyncGenerator[T, None], queue: asyncio.Queue[T | _End], failures: list[Exception]
) -> None:
    """Move a generator's items into the queue; a failure is noted at once, whatever waits there."""
    try:
        async with aclosing(generator):
            async for item in generator:
                await queue.put(item)
                await asyncio.sleep(0)  # the others' turn: a queue is not fair to those who wait
    except Exception as error:
        failures.append(error)
    await queue.put(_End())
