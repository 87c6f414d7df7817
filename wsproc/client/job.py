"""One job as its client sees it: an async iterator of its events, and its result.

Events are kept until they are read, `EVENTS_KEPT` of them: nobody has to iterate, and one who
starts late misses nothing. Over that number waiting tokens are joined, which loses no text, and
otherwise the oldest event is dropped and counted in `dropped`; the terminal one always has room.
Results are whole in any case: `done` repeats everything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias

from typing_extensions import TypeVar

from wsproc.client.delivered import Delivered, text_so_far
from wsproc.client.errors import (
    ConnectionLost,
    JobCancelled,
    JobFailed,
    JobLost,
    ProtocolError,
    WsprocError,
)
from wsproc.client.order import Order
from wsproc.client.results import Result, make_result
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    CancelReply,
    Completed,
    Done,
    Failed,
    InputReply,
    JobFrame,
    Token,
)

EVENTS_KEPT = 1000
"""How many unread events of a job are kept."""

Ended: TypeAlias = Completed | Cancelled | Failed
"""The terminal frame of a job."""

R_co = TypeVar("R_co", bound=Result, default=Result, covariant=True)


class Desk(Protocol):
    """What a job asks of its client."""

    async def cancel(self, job_id: str) -> CancelReply:
        """Ask the server to stop the job."""

    async def append(self, job_id: str, text: str | None = None, *, final: bool) -> InputReply:
        """Send more of an open job's text."""

    async def revise(self, job_id: str, text: str) -> InputReply:
        """Send the new full text of a live job."""


class Job(Generic[R_co]):
    """An accepted job. It is made by `Client.process` and its sisters, not by hand.

        job = await client.generate("Once upon a time", max_tokens=5)
        async for event in job:
            if event.type == "token":
                print(event.text, end="")
        print(job.done.status)

    Iterating yields the job's frames after `accepted`, each once, the terminal one last; it raises
    `JobLost` or `ProtocolError` when the end cannot come any more. A connection that is lost and
    made again is not seen here: the iteration goes on where it stopped. Where the server kept less
    than was missed, one frame with the status `snapshot` stands for what is not told. `result` may
    be awaited with or without iterating, by any number of tasks.

    `restarts` counts how often the job was submitted again because the server had lost it; see
    `resubmit` of `connect`.

    Who goes away stops the work: when the last task that waits for this job, in `result`, `wait` or
    `async for`, is cancelled or runs into its `timeout`, `cancel` is sent. Breaking out of
    `async for` sends nothing, as the result may still be wanted; `async with job:` cancels on
    leaving the block, however it is left, unless the job has ended.
    """

    def __init__(
        self,
        task: str,
        accepted: Accepted,
        desk: Desk,
        fields: Mapping[str, Any],
    ) -> None:
        self.id = accepted.id
        self.task = task
        self.accepted = accepted
        self.done: Ended | None = None
        self.dropped = 0
        self.restarts = 0
        self.unwanted = False
        """Whether its stop was asked for, so that nobody would want it to run again."""
        self._desk = desk
        self._fields = fields
        self._result: R_co | None = None
        self._events: deque[JobFrame] = deque()
        self._order = Order(accepted.seq)
        self._delivered = Delivered()
        self._lost: WsprocError | None = None
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._waiters = 0
        self._abandoning: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = self.done.status if self.done else "lost" if self._lost else "running"
        return f"<Job {self.id!r} {self.task}: {state}, {len(self._events)} events unread>"

    @property
    def last_seq(self) -> int:
        """The number of the last frame that came."""
        return self._order.last

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
        frame = self._events.popleft()
        self._delivered.note(frame)
        return frame

    async def tokens(self) -> AsyncIterator[str]:
        """Yield the text of a `generate` job piece by piece, then raise what `result` raises.

        The pieces are the whole text, also where a part of the frames was missed.
        """
        async for event in self:
            if isinstance(event, Token):
                yield event.text
            elif (rest := self._untold(event)) is not None:
                yield rest
        await self.result()

    async def wait(self, timeout: float | None = None) -> Ended:  # noqa: ASYNC109 - as in the stdlib
        """Return the terminal frame, whichever it is; raise only `JobLost` or `ProtocolError`.

        With a `timeout`, in seconds, TimeoutError is raised after it and the job is stopped.
        """
        if self.done is None and self._lost is None:
            async with asyncio.timeout(timeout):
                await self._waiting(self._over)
        if self.done is None:
            self._raise_if_lost()
        assert self.done is not None
        return self.done

    async def result(self, timeout: float | None = None) -> R_co:  # noqa: ASYNC109 - as in the stdlib
        """Return the whole result.

        Raises `JobCancelled`, `JobFailed`, or `JobLost` when its end cannot come any more. With a
        `timeout`, in seconds, TimeoutError is raised after it and the job is stopped.
        """
        match await self.wait(timeout):
            case Completed() as done:
                if self._result is None:
                    self._result = make_result(self.task, self._fields, done.result)
                return self._result
            case Cancelled() as done:
                raise JobCancelled(done)
            case Failed() as done:
                raise JobFailed(done)

    # --- more input -----------------------------------------------------------------------------

    async def append(self, text: str | None = None, *, final: bool = False) -> InputReply:
        """Send more text of a job that was submitted with `open=True`; `final` ends its input.

        Raises `InputRefused` where the job takes no more, and `ConnectionLost` where the connection
        broke before the answer came: whether the text was taken is not known then.
        """
        return await self._desk.append(self.id, text, final=final)

    async def revise(self, text: str) -> InputReply:
        """Send the new full text of a job that was submitted with `live=True`.

        Raises `InputRefused` where the job takes no more.
        """
        return await self._desk.revise(self.id, text)

    # --- stopping -------------------------------------------------------------------------------

    async def cancel(self) -> CancelReply:
        """Ask the server to stop the job and return its reply; the end follows, see `wait`.

        A job that has ended answers `done`, which is no error.
        """
        return await self._desk.cancel(self.id)

    async def __aenter__(self) -> Job[R_co]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Send `cancel`, if the job still runs, without waiting for the answer."""
        if self._running and self._abandoning is None:
            self._abandoning = asyncio.get_running_loop().create_task(self._cancel_quietly())

    # --- for the client -------------------------------------------------------------------------

    def receive(self, frame: JobFrame) -> None:
        """Take a frame of the job; a replayed one that is known already is left out.

        Raises `ProtocolError` where one is missing or doubled, and `Diverged` where a second run
        does not continue what was handed out of the first.
        """
        if not self._order.take(frame):
            return
        fresh = self._delivered.fresh(frame)
        if fresh is not None:
            self._keep(fresh)
        if isinstance(frame, Completed | Cancelled | Failed):
            self.done = frame
            self._over.set()
        self._more.set()

    def allow_gap(self) -> None:
        """Expect one frame that stands for those which cannot be had any more."""
        self._order.allow_gap()

    def attach(self, last_seq: int) -> None:
        """Go on behind `last_seq` of a job that the server has under this id already."""
        self._order.attach(last_seq)

    def end(self, frame: Ended) -> None:
        """End the job by a frame that was held back."""
        self._keep(frame)
        self.done = frame
        self._over.set()
        self._more.set()

    def rewind(self) -> None:
        """Begin again: the job is being submitted once more. What was handed out stays so."""
        self.restarts += 1
        self._order.restart()
        self._events.clear()
        self._delivered.rewind()

    def accept(self, accepted: Accepted) -> None:
        """Take the answer to a submit that was repeated."""
        self.accepted = accepted
        self._order.restart(accepted.seq)

    def lose(self, error: WsprocError) -> None:
        """End the job without an end."""
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

    def _untold(self, event: JobFrame) -> str | None:
        """Return the text that a snapshot or the end has beyond the tokens so far."""
        text = text_so_far(event)
        told = len(self._delivered.text)
        if text is None or len(text) <= told:
            return None
        self._delivered.cover(text)
        return text[told:]

    async def _waiting(self, event: asyncio.Event) -> None:
        """Wait; the last one to be cancelled here takes the job with it."""
        self._waiters += 1
        try:
            await event.wait()
        except asyncio.CancelledError:
            if self._waiters == 1:
                self.abandon()
            raise
        finally:
            self._waiters -= 1

    async def _cancel_quietly(self) -> None:
        try:
            await self.cancel()
        except (ConnectionLost, ProtocolError):
            return

    def _raise_if_lost(self) -> None:
        if isinstance(self._lost, JobLost):
            raise JobLost(self.id, self._lost, self._lost.why) from self._lost.__cause__
        if isinstance(self._lost, ConnectionLost):
            raise JobLost(self.id, self._lost) from self._lost
        if self._lost is not None:
            raise ProtocolError(str(self._lost)) from self._lost
