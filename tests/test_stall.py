"""How long a peer may read nothing: told by the write buffer and not by the time of a send."""

import asyncio

import pytest

from wsproc.stall import LOOKS, Patience


class Transport:
    """A write buffer in the hands of a test."""

    def __init__(self, size: int) -> None:
        self.size = size

    def get_write_buffer_size(self) -> int:
        """Return how much is not written."""
        return self.size


def patience(transport: Transport, limit_s: float = 0.06) -> Patience:
    """Return a watch over a transport."""
    return Patience(transport, limit_s)  # type: ignore[arg-type]


async def test_a_buffer_that_stands_still_ends_the_send():
    """After so long, and not before."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with patience(Transport(1000)):
            await asyncio.Event().wait()
    assert loop.time() - began >= 0.06


async def test_a_buffer_that_shrinks_may_take_as_long_as_it_likes():
    """A large frame on a slow line."""
    transport = Transport(30)

    async def send_slowly() -> None:
        while transport.size:
            transport.size -= 1
            await asyncio.sleep(0.06 / LOOKS)

    async with patience(transport):
        await send_slowly()


async def test_sends_that_are_done_count_as_progress():
    """A buffer that is filled again as fast as it empties looks as if it stood still."""
    async with patience(Transport(1000)) as watch:
        for _ in range(3 * LOOKS):
            await asyncio.sleep(0.06 / LOOKS)
            watch.progress()


async def test_a_burst_that_was_quick_leaves_nothing_behind():
    """No timer, and nothing to lose any more; the watch may be used again."""
    watch = patience(Transport(0))
    for _ in range(3):
        async with watch:
            await asyncio.sleep(0)
    watch.lose()
    await asyncio.sleep(0.1)


async def test_patience_may_be_lost_from_outside():
    """When the session has gone to a newer connection."""
    watch = patience(Transport(1000), limit_s=60)
    asyncio.get_running_loop().call_soon(watch.lose)
    with pytest.raises(TimeoutError):
        async with watch:
            await asyncio.Event().wait()


async def test_what_is_raised_inside_comes_out():
    """As if nobody had watched."""
    with pytest.raises(ValueError, match="no"):
        async with patience(Transport(0)):
            raise ValueError("no")
