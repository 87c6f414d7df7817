"""Waiting for what nobody tells a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE_S = 20
"""How long anything may take that a test waits for; a limit for what hangs, not a measure."""

ELSEWHERE_S = 60
"""The same where another process does it, which may have to load a library first."""


async def until(
    true: Callable[[], bool], *, every_s: float = 0.0, patience_s: float = PATIENCE_S
) -> None:
    """Let the loop work until something is so, and look at each of its turns: it may be so for
    one alone.
    """
    async with asyncio.timeout(patience_s):
        while not true():  # noqa: ASYNC110  # if there were an event, a test would wait for that
            await asyncio.sleep(every_s)


async def until_elsewhere(true: Callable[[], bool]) -> None:
    """Wait for what other processes do, and leave them the processor."""
    await until(true, every_s=0.0005, patience_s=ELSEWHERE_S)
