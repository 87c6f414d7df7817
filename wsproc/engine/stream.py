"""A call as its caller sees it: an async stream of outcomes that closes to cancel."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType

from wsproc.engine.call import (
    Call,
    DeadlineExceeded,
    Delta,
    End,
    EndReason,
    Failure,
    Outcome,
    Result,
    Value,
)

MOST_APART = 64
"""So many outcomes wait as they are; beyond that the deltas of an item are merged, where its caller
says how. The engine goes on when its caller pauses: unmerged, the thousand deltas of a generation
would take half a megabyte for every job of a client that reads slowly."""

Merge = Callable[[Value, Value], Value | None]
"""Makes one delta of an earlier and a later one of the same item, without losing anything; None
where they are large enough to stay apart."""


class CallStream:
    """The outcomes of one call. Use it with `async with`: leaving early cancels the call.

    Iterating yields `Delta` and `Result` and raises the `EngineError` of the first item that
    failed; `outcomes()` yields `Failure` too and raises nothing of an item's. Both raise
    `DeadlineExceeded` when the call's deadline ended it. `end` is set once the engine has left the
    call; `opened_at` is when the call was made, in seconds of `time.monotonic`. `merge` is how the
    deltas of a caller that does not keep up become one.
    """

    def __init__(self, call: Call, cancel: Callable[[int], None]) -> None:
        self.call = call
        self.end: End | None = None
        self.opened_at = time.monotonic()
        self.on_first: Callable[[], None] | None = None
        self.merge: Merge | None = None
        self._cancel = cancel
        self._cancelled_at: float | None = None
        self._waiting: deque[Delta | Result | Failure] = deque()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        state = "open" if self.end is None else self.end.reason.value
        return f"<CallStream {self.call.id} {self.call.stage}: {state}>"

    async def __aenter__(self) -> CallStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what is left of the call and return when the engine has left it."""
        if self.end is None and self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._cancel(self.call.id)
        while self.end is None:
            await self._change()

    def feed(self, outcome: Outcome) -> None:
        """Take the next outcome; called by the pool, on the event loop."""
        if isinstance(outcome, End):
            self.end = self._timed(outcome)
        else:
            self._put(outcome)
        if self.on_first is not None and not _is_idle_end(outcome):
            on_first, self.on_first = self.on_first, None
            on_first()
        self._changed.set()

    async def outcomes(self) -> AsyncIterator[Delta | Result | Failure]:
        """Yield every outcome of the items, failures included."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self.end is not None:
                break
            await self._change()
        if self.end.reason is EndReason.DEADLINE:
            raise DeadlineExceeded("the deadline passed before the work was finished")

    async def __aiter__(self) -> AsyncIterator[Delta | Result]:
        async for outcome in self.outcomes():
            if isinstance(outcome, Failure):
                raise outcome.error
            yield outcome

    async def results(self) -> AsyncIterator[Result]:
        """Yield the results alone; raise like iterating."""
        async for outcome in self:
            if isinstance(outcome, Result):
                yield outcome

    def _put(self, outcome: Delta | Result | Failure) -> None:
        merged = self._merged(outcome) if len(self._waiting) >= MOST_APART else None
        if merged is None:
            self._waiting.append(outcome)
        else:
            self._waiting[-1] = merged

    def _merged(self, outcome: Delta | Result | Failure) -> Delta | None:
        """Return an outcome together with the one before it, None where they cannot be one."""
        last = self._waiting[-1]
        if self.merge is None or not isinstance(last, Delta) or not isinstance(outcome, Delta):
            return None
        value = self.merge(last.value, outcome.value) if last.item == outcome.item else None
        return None if value is None else replace(outcome, value=value)

    def _timed(self, end: End) -> End:
        """Add the time from the cancel to here: it is what a client's wait is made of."""
        if self._cancelled_at is None:
            return end
        return replace(end, stop_ms=(time.monotonic() - self._cancelled_at) * 1000)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _is_idle_end(outcome: Outcome) -> bool:
    """Whether a call ended before anything of it ran."""
    return isinstance(outcome, End) and outcome.reason is not EndReason.COMPLETED
