"""A submit on its way: await it for its job, or go straight on to what is wanted of the job."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic

from typing_extensions import TypeVar

from wsproc.client.job import Job
from wsproc.client.results import Result
from wsproc.frames.server import JobFrame

R_co = TypeVar("R_co", bound=Result, default=Result, covariant=True)


class Submission(Coroutine[Any, Any, Job[R_co]], Generic[R_co]):
    """What `Client.process` and its sisters return. Nothing is sent before it is used, once:

        job = await client.process(text)                 # the job, once it is accepted
        result = await client.process(text).result()     # its result
        async for event in client.process(text):         # its events
            print(event.type)
        async with client.process(text) as job:          # cancelled on leaving, if it still runs
            await anext(job)

    Who leaves its events or tokens early has nothing else to have the job by, so that cancels it.
    It is a coroutine, so `asyncio.create_task`, `gather` and `TaskGroup` take it as it is.
    """

    def __init__(self, submit: Coroutine[Any, Any, Job[R_co]]) -> None:
        self._submit = submit
        self._job: Job[R_co] | None = None

    async def result(self, timeout: float | None = None) -> R_co:  # noqa: ASYNC109 - as in the stdlib
        """Submit and return the result; see `Job.result`."""
        job = await self
        return await job.result(timeout)

    async def tokens(self) -> AsyncGenerator[str, None]:
        """Submit and yield the text of a `generate` job piece by piece; see `Job.tokens`."""
        async with self as job:
            async for token in job.tokens():
                yield token

    async def __aiter__(self) -> AsyncGenerator[JobFrame, None]:
        async with self as job:
            async for event in job:
                yield event

    async def __aenter__(self) -> Job[R_co]:
        self._job = await self
        return self._job

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._job is not None:
            self._job.abandon()

    # --- as a coroutine -------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, Any, Job[R_co]]:
        return self._submit.__await__()

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._submit.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error where it waits, as a coroutine does."""
        return self._submit.throw(*error)

    def close(self) -> None:
        """Give up, as a coroutine does."""
        self._submit.close()
