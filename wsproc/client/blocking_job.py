"""A job for callers that block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic

from typing_extensions import TypeVar

from wsproc.client.job import Ended, Job
from wsproc.client.loop_thread import LoopThread
from wsproc.client.results import Result
from wsproc.frames.server import Accepted, CancelReply, InputReply, JobFrame

R_co = TypeVar("R_co", bound=Result, default=Result, covariant=True)
T = TypeVar("T")


class SyncJob(Generic[R_co]):
    """An accepted job, as `Job` is one. Iterating yields its events; `result` waits for its end."""

    def __init__(self, job: Job[R_co], thread: LoopThread) -> None:
        self._job = job
        self._thread = thread

    def __repr__(self) -> str:
        return repr(self._job).replace("<Job", "<SyncJob", 1)

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def task(self) -> str:
        """The job's task."""
        return self._job.task

    @property
    def accepted(self) -> Accepted:
        """The server's acceptance: position, estimate, meta."""
        return self._job.accepted

    @property
    def done(self) -> Ended | None:
        """The terminal frame, once it is there."""
        return self._job.done

    @property
    def restarts(self) -> int:
        """How often the job was submitted again because the server had lost it."""
        return self._job.restarts

    def __iter__(self) -> Iterator[JobFrame]:
        return self

    def __next__(self) -> JobFrame:
        event = self._thread.call(_next(self._job))
        if event is None:
            raise StopIteration
        return event

    def tokens(self) -> Iterator[str]:
        """Yield the text of a `generate` job piece by piece; see `Job.tokens`."""
        tokens = self._job.tokens()
        while (token := self._thread.call(_next(tokens))) is not None:
            yield token

    def wait(self, timeout: float | None = None) -> Ended:
        """Return the terminal frame; see `Job.wait`."""
        return self._thread.call(self._job.wait(timeout))

    def result(self, timeout: float | None = None) -> R_co:
        """Return the whole result; see `Job.result`."""
        return self._thread.call(self._job.result(timeout))

    def append(self, text: str | None = None, *, final: bool = False) -> InputReply:
        """Send more text of an open job; see `Job.append`."""
        return self._thread.call(self._job.append(text, final=final))

    def revise(self, text: str) -> InputReply:
        """Send the new full text of a live job; see `Job.revise`."""
        return self._thread.call(self._job.revise(text))

    def cancel(self) -> CancelReply:
        """Ask the server to stop the job; see `Job.cancel`."""
        return self._thread.call(self._job.cancel())

    def __enter__(self) -> SyncJob[R_co]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(RuntimeError):  # the client is closed, and its jobs with it
            self._thread.call(_abandon(self._job))


async def _next(iterator: AsyncIterator[T]) -> T | None:
    return await anext(iterator, None)


async def _abandon(job: Job[Any]) -> None:
    job.abandon()
