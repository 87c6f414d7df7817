"""Where producers wait while an outbox is full."""

import asyncio

from wsproc.room import Room


async def test_everybody_who_waits_goes_on():
    """And who comes later waits for the next time."""
    room = Room()
    room.free()
    waiting = [asyncio.create_task(room.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    room.free()
    await asyncio.gather(*waiting)
    late = asyncio.create_task(room.wait())
    await asyncio.sleep(0)
    assert not late.done()
    room.free()
    await late


async def test_one_that_is_cancelled_while_it_waits_holds_nobody_up():
    """The others go on as they would have."""
    room = Room()
    gone, stays = (asyncio.create_task(room.wait()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    room.free()
    await stays
    assert gone.cancelled()
