"""Where producers wait while an outbox is full: an event that costs nothing while nobody waits."""

from __future__ import annotations

import asyncio


class Room:
    """Room in an outbox, as those see it who have more to put in."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def free(self) -> None:
        """Let everybody go on who waits."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait until there is room again."""
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
