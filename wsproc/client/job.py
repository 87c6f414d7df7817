"""One job as its client sees it: an async iterator of its events, and its result.

Events are kept until they are read, `EVENTS_KEPT` of them: nobody has to iterate, and one who
starts late misses nothing. Over that number waiting tokens are joined, which loses no text, and
otherwise the oldest event is dropped and counted in `dropped`; the terminal one always has room.
Results are whole in any case: `done` repeats everything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from wsproc.client.errors import (
    ConnectionLost,
    JobCancelled,
    JobFailed,
    JobLost,
    ProtocolError,
    WsprocError,
)
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    CancelReply,
    Completed,
    Done,
    Failed,
    JobFrame,
    Token,
)

EVENTS_KEPT = 1000
"""How many unread events of a job are kept."""

Ended: TypeAlias = Completed | Cancelled | Failed
"""The terminal frame of a job."""

T = TypeVar("T")


class Job:
    """An accepted job. It is made by `Client.process` and its sisters, not by hand.

    Iterating yields the job's frames after `accepted`, each once, the terminal one last; it raises
    `JobLost` or `ProtocolError` when the connection ends first. `result` may be awaited with or
    without iterating, by any number of tasks.

    Who goes away stops the work: when the last task that waits for this job, in `result`, `wait` or
    `async for`, is cancelled (`asyncio.timeout` does that), `cancel` is sent. Breaking out of
    `async for` sends nothing, as the result may still be wanted; `async with job:` cancels on
    leaving the block, however it is left, unless the job has ended.
    """

    def __init__(
        self, task: str, accepted: Accepted, cancel: Callable[[], Awaitable[CancelReply]]
    ) -> None:
        self.id = accepted.id
        self.task = task
        self.accepted = accepted
        self.done: Ended | None = None
        self.last_seq = accepted.seq
        self.dropped = 0
        self._cancel = cancel
        self._events: deque[JobFrame] = deque()
        self._lost: WsprocError | None = None
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._waiters = 0
        self._abandoning: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = self.done.status if self.done else "lost" if self._lost else "running"
        return f"<Job {self.id!r} {self.task}: {state}, {len(self._events)} events unread>"

    # --- what happened --------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[JobFrame]:
        return self

    async def __anext__(self) -> JobFrame:
        while not self._events:
            if self.done is not None:
                raise StopAsyncIteration
            self._raise_if_lost()
            self._more.clear()
            await self._waiting(self._more)
        return self._events.popleft()

    async def tokens(self) -> AsyncIterator[str]:
        """Yield the text of a `generate` job piece by piece, then raise what `result` raises."""
        async for event in self:
            if isinstance(event, Token):
                yield event.text
        await self.result()

    async def wait(self) -> Ended:
        """Return the terminal frame, whichever it is; raise only `JobLost` or `ProtocolError`."""
        if self.done is None and self._lost is None:
            await self._waiting(self._over)
        if self.done is None:
            self._raise_if_lost()
        assert self.done is not None
        return self.done

    async def result(self) -> dict[str, Any]:
        """Return the whole result.

        Raises `JobCancelled`, `JobFailed`, or `JobLost` when the connection ended first.
        """
        match await self.wait():
            case Completed() as done:
                return done.result
            case Cancelled() as done:
                raise JobCancelled(done)
            case Failed() as done:
                raise JobFailed(done)

    # --- stopping -------------------------------------------------------------------------------

    async def cancel(self) -> CancelReply:
        """Ask the server to stop the job and return its reply; the end follows, see `wait`.

        A job that has ended answers `done`, which is no error.
        """
        return await self._cancel()

    async def __aenter__(self) -> Job:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running:
            self._abandon()

    # --- for the client -------------------------------------------------------------------------

    def receive(self, frame: JobFrame) -> None:
        """Take the job's next frame; raise `ProtocolError` where one is missing or doubled."""
        if frame.seq != self.last_seq + 1:
            wanted, got = self.last_seq + 1, frame.seq
            raise ProtocolError(f"job {self.id!r}: frame {wanted} was due, frame {got} came")
        self.last_seq = frame.seq
        self._keep(frame)
        if isinstance(frame, Completed | Cancelled | Failed):
            self.done = frame
            self._over.set()
        self._more.set()

    def lose(self, error: WsprocError) -> None:
        """End the job without an end: the connection is gone."""
        self._lost = error
        self._over.set()
        self._more.set()

    @property
    def _running(self) -> bool:
        return self.done is None and self._lost is None

    def _keep(self, frame: JobFrame) -> None:
        events = self._events
        if len(events) >= EVENTS_KEPT and not isinstance(frame, Done):
            last = events[-1]
            if isinstance(frame, Token) and isinstance(last, Token):
                events.pop()
                frame = frame.model_copy(update={"text": last.text + frame.text})
            else:
                events.popleft()
                self.dropped += 1
        events.append(frame)

    async def _waiting(self, event: asyncio.Event) -> None:
        """Wait; the last one to be cancelled here takes the job with it."""
        self._waiters += 1
        try:
            await event.wait()
        except asyncio.CancelledError:
            if self._waiters == 1 and self._running:
                self._abandon()
            raise
        finally:
            self._waiters -= 1

    def _abandon(self) -> None:
        """Send `cancel` without waiting for anything: whoever asked is on the way out."""
        if self._abandoning is None:
            self._abandoning = asyncio.get_running_loop().create_task(self._cancel_quietly())

    async def _cancel_quietly(self) -> None:
        try:
            await self._cancel()
        except (ConnectionLost, ProtocolError):
            return

    def _raise_if_lost(self) -> None:
        if isinstance(self._lost, ConnectionLost):
            raise JobLost(self.id, self._lost) from self._lost
        if self._lost is not None:
            raise ProtocolError(str(self._lost)) from self._lost
