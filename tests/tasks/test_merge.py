"""Several generators as one: everything comes, in each one's order; one end for all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.tasks.merge import flatten, merge, until


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


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 2)), max_size=6), st.integers(0, 3))
def test_flattened_everything_comes_and_each_in_its_order(
    shape: list[tuple[int, int]], pauses: int
):
    """While the source still gives more generators, and after it."""

    async def source() -> AsyncGenerator[AsyncGenerator[tuple[str, int], None], None]:
        for at, one in enumerate(shape):
            for _ in range(pauses):
                await asyncio.sleep(0)
            yield numbers(str(at), *one)

    async def collect() -> list[tuple[str, int]]:
        return [item async for item in flatten(source())]

    items = asyncio.run(collect())
    assert len(items) == sum(count for count, _ in shape)
    for at, (count, _) in enumerate(shape):
        assert [number for name, number in items if name == str(at)] == list(range(count))


async def test_closing_a_flattened_one_closes_the_source_and_all_that_it_gave():
    """Whatever each was waiting for."""
    one, source_closed = Watched(), False

    async def source() -> AsyncGenerator[AsyncGenerator[int, None], None]:
        nonlocal source_closed
        try:
            yield one(waits=True)
            await asyncio.Event().wait()
        finally:
            source_closed = True

    async with aclosing(flatten(source())) as items:
        assert await anext(items) == 0
    assert one.closed
    assert source_closed


@pytest.mark.parametrize("where", ["source", "generator"])
async def test_the_first_failure_ends_a_flattened_one(where: str):
    """In the source or in what it gave; the others are closed."""
    one = Watched()

    async def fails() -> AsyncGenerator[int, None]:
        raise ValueError(where)
        yield 1

    async def source() -> AsyncGenerator[AsyncGenerator[int, None], None]:
        yield one(waits=True)
        if where == "source":
            raise ValueError(where)
        yield fails()

    with pytest.raises(ValueError, match=where):
        [item async for item in flatten(source())]
    assert one.closed


async def test_until_yields_all_of_one_that_ends_by_itself():
    """The stop is given up then."""
    never = asyncio.get_running_loop().create_future()
    assert [item async for item in until(never, numbers("a", 3, 1))] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
    ]
    assert never.cancelled()


@pytest.mark.parametrize("waits", [True, False])
async def test_until_closes_the_generator_at_the_stop(waits: bool):
    """Also one that waits for something, and waits until it is closed."""
    one, stop = Watched(), asyncio.Event()
    async for item in until(stop.wait(), one(waits=waits)):
        if item == 0:
            stop.set()
    assert one.closed


async def test_until_closes_the_generator_when_it_is_cancelled_or_closed_itself():
    """And raises what its generator raises."""
    one, two, stop = Watched(), Watched(), asyncio.Event()

    async def consume() -> None:
        async for _ in until(stop.wait(), one(waits=True)):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert one.closed
    async with aclosing(until(stop.wait(), two(waits=False))) as items:
        await anext(items)
    assert two.closed

    async def fails() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        [item async for item in until(stop.wait(), fails())]
