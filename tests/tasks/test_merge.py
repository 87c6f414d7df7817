"""Several generators as one: everything comes, in each one's order; one end for all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.tasks.merge import merge


async def numbers(name: str, count: int, pauses: int = 0) -> AsyncGenerator[tuple[str, int], None]:
    """Count, with pauses for others to run."""
    for number in range(count):
        for _ in range(pauses):
            await asyncio.sleep(0)
        yield name, number


class Watched:
    """A generator that never ends by itself, and remembers how it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self, *, waits: bool) -> AsyncGenerator[int, None]:
        """Yield without an end, or once and then wait without one."""
        try:
            for number in range(1 << 30):
                if waits and number:
                    await asyncio.Event().wait()
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed = True


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=4))
def test_everything_comes_and_each_in_its_order(shape: list[tuple[int, int]]):
    """Whatever their lengths and paces, and with none at all."""

    async def collect() -> list[tuple[str, int]]:
        generators = [numbers(str(at), *one) for at, one in enumerate(shape)]
        return [item async for item in merge(*generators)]

    items = asyncio.run(collect())
    assert len(items) == sum(count for count, _ in shape)
    for at, (count, _) in enumerate(shape):
        assert [number for name, number in items if name == str(at)] == list(range(count))


async def test_generators_run_at_once():
    """One that waits for another is no deadlock."""
    event = asyncio.Event()

    async def waits() -> AsyncGenerator[str, None]:
        await event.wait()
        yield "second"

    async def sets() -> AsyncGenerator[str, None]:
        yield "first"
        event.set()

    assert [item async for item in merge(waits(), sets())] == ["first", "second"]


async def test_a_slow_reader_holds_its_generators_back():
    """A bounded number of items waits; the rest is not even made."""
    made = 0

    async def eager() -> AsyncGenerator[int, None]:
        nonlocal made
        for number in range(1000):
            made += 1
            yield number

    async with aclosing(merge(eager())) as merged:
        await anext(merged)
        for _ in range(100):
            await asyncio.sleep(0)
        assert made < 30


@pytest.mark.parametrize("waits", [True, False])
async def test_the_first_exception_ends_all_and_is_raised(waits: bool):
    """Soon, even where another generator has more to say than anybody reads."""
    watched = Watched()

    async def fails() -> AsyncGenerator[int, None]:
        yield -1
        raise ValueError("broken")

    seen = []

    async def read() -> None:
        async for item in merge(watched(waits=waits), fails()):
            seen.append(item)
            assert len(seen) < 100

    with pytest.raises(ValueError, match="broken"):
        await read()
    assert -1 in seen
    assert watched.closed


@pytest.mark.parametrize("waits", [True, False])
async def test_closing_closes_all_and_waits_for_that(waits: bool):
    """What a generator does in its `finally` is done when `aclose` returns."""
    one, two = Watched(), Watched()
    merged = merge(one(waits=waits), two(waits=waits))
    for _ in range(2):
        await anext(merged)
    await merged.aclose()
    assert one.closed
    assert two.closed


@pytest.mark.parametrize("waits", [True, False])
async def test_cancelling_the_reader_closes_all(waits: bool):
    """Wherever the cancel finds the reader, nothing of the generators stays behind."""
    one, two = Watched(), Watched()
    before = asyncio.all_tasks()

    async def read() -> None:
        async with aclosing(merge(one(waits=waits), two(waits=waits))) as merged:
            async for _ in merged:
                await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    for _ in range(20):
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert one.closed
    assert two.closed
    assert asyncio.all_tasks() == before
