"""A call at the moment when a grant expires."""

import asyncio
import time

import pytest

from wsproc.auth import expiry
from wsproc.auth.expiry import Expiry


@pytest.mark.parametrize("left_s", [-5.0, 0.0, 0.1])
async def test_it_is_called_once_when_the_time_has_come(left_s: float, monkeypatch):
    """Never too early; the clocks are compared every now and then on the way."""
    monkeypatch.setattr(expiry, "LONGEST_WAIT_S", 0.02)
    called = asyncio.Event()
    calls: list[float] = []

    def then() -> None:
        calls.append(time.time())
        called.set()

    at = time.time() + left_s
    Expiry(at, then)
    async with asyncio.timeout(10):
        await called.wait()
    await asyncio.sleep(0)
    assert len(calls) == 1
    assert calls[0] >= at


async def test_a_cancelled_one_calls_nobody():
    """Whether it had looked at the clock already or not."""
    calls: list[str] = []
    past = Expiry(0, lambda: calls.append("past"))
    past.cancel()
    future = Expiry(time.time() + 0.01, lambda: calls.append("future"))
    await asyncio.sleep(0)
    future.cancel()
    done = asyncio.Event()
    Expiry(time.time() + 0.03, done.set)
    async with asyncio.timeout(10):
        await done.wait()
    assert calls == []


async def test_a_far_future_is_no_trouble():
    """An `exp` may be any number."""
    Expiry(1e300, lambda: pytest.fail("too early")).cancel()
    late = Expiry(1e300, lambda: pytest.fail("too early"))
    await asyncio.sleep(0)
    late.cancel()
