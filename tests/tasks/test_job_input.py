"""A text while it comes: states for those who read, whatever the steps were."""

import asyncio
from contextlib import suppress

from wsproc.tasks.job_input import JobInput, Snapshot


def add(source: JobInput, text: str, *, final: bool = False) -> None:
    """Append to the text."""
    source.feed(text, replace=False, revision=0, final=final)


async def test_a_reader_sees_the_latest_state_and_no_step():
    """What came while it was busy is one state; the final one is the last."""
    source, seen = JobInput("a"), []
    async for now in source:
        seen.append(now)
        if len(seen) == 1:
            add(source, "b")
            add(source, "c")
        elif len(seen) == 2:
            add(source, "d")
            add(source, "", final=True)
    assert seen == [Snapshot("a"), Snapshot("abc"), Snapshot("abcd", final=True)]


async def test_every_reader_sees_the_end():
    """Those who wait for the next state, for a revision, for the whole; none of them polls."""
    source = JobInput("a")
    states = asyncio.create_task(_all(source))
    whole = asyncio.create_task(source.whole())
    revised = asyncio.create_task(source.revised(0))
    await asyncio.sleep(0)
    source.feed("b", replace=True, revision=1, final=False)
    await revised
    assert not whole.done()
    source.feed("c", replace=False, revision=2, final=True)
    assert await whole == "bc"
    assert (await states)[-1] == Snapshot("bc", 2, final=True)
    assert await source.whole() == "bc"


async def test_a_reader_that_goes_takes_nothing_with_it():
    """The others wait on."""
    source = JobInput()
    gone, stays = (asyncio.create_task(source.whole()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    add(source, "x", final=True)
    assert await stays == "x"


async def _all(source: JobInput) -> list[Snapshot]:
    return [now async for now in source]
