"""A job's text while it is still coming: fed by whoever runs the job, read by its task.

Readers see states and not steps: what came while one was busy is seen at once, as the text that it
made. So a slow reader is never behind by more than one state, and any number may read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The text at one moment. `revision` counts its changes where it is not only added to; after
    a `final` one nothing comes.
    """

    text: str
    revision: int = 0
    final: bool = False


class JobInput:
    """The text of one job, from the submitted one on.

    Iterating yields the state that there is, then the latest one after each change, the final one
    last.
    """

    def __init__(self, text: str = "") -> None:
        self.now = Snapshot(text)
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        now = self.now
        state = "whole" if now.final else "open"
        return f"<JobInput {len(now.text)} characters, revision {now.revision}, {state}>"

    def feed(self, text: str, *, replace: bool, revision: int, final: bool) -> None:
        """Add to the text, or replace it."""
        self.now = Snapshot(text if replace else self.now.text + text, revision, final)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def __aiter__(self) -> AsyncIterator[Snapshot]:
        seen = self.now
        yield seen
        while not seen.final:
            seen = await self.after(seen)
            yield seen

    async def after(self, seen: Snapshot) -> Snapshot:
        """Wait for a state other than the one that was seen."""
        while self.now is seen:
            await self._changed.wait()
        return self.now

    async def revised(self, revision: int) -> None:
        """Wait until the text is of a later revision."""
        while self.now.revision <= revision:
            await self._changed.wait()

    async def whole(self) -> str:
        """Wait for the end of the input and return the text."""
        while not self.now.final:
            await self._changed.wait()
        return self.now.text
