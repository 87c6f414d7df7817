"""Many inputs through one connection: a bounded number at once, however many there are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
)
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from wsproc.client.errors import JobRejected, WsprocError
from wsproc.client.submission import Submission
from wsproc.frames.errors import ErrorCode

CONCURRENCY = 16
"""How many jobs of a `map` run at once by itself."""

PATIENCE_S = 300.0
"""How long a busy server is asked to take one input, before its rejection is raised."""

BUSY = frozenset({ErrorCode.TOO_MANY_JOBS, ErrorCode.QUEUE_FULL, ErrorCode.RATE_LIMITED})
"""Rejections that ask for patience; their `retry_after_ms` says for how much."""

RETRY_AFTER_MS = 1000
"""The wait where a rejection names none."""

INPUT_FIELDS = {"process": "text", "batch": "text", "generate": "prompt"}
"""Into which field of a task a plain string goes."""

MapInput: TypeAlias = str | Mapping[str, Any]
"""A text or prompt, or the fields of a job."""

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_END = object()


class Submitter(Protocol):
    """What a map needs of a client."""

    def submit(self, task: str, /, **fields: Any) -> Submission[Any]:
        """Submit a job."""


class Results(Generic[R_co]):
    """The results of a `map`, as an async iterator; what is left is cancelled when it is left.

    Leaving `async for` early is enough where nobody else holds the iterator; otherwise use it with
    `async with`, or call `aclose`.

        async with client.map(texts) as results:
            print((await anext(results)).sentiment)  # NEGATIVE
    """

    def __init__(self, pairs: AsyncGenerator[tuple[int, R_co], None]) -> None:
        self._pairs = pairs

    def __aiter__(self) -> Results[R_co]:
        return self

    async def __anext__(self) -> R_co:
        return (await anext(self._pairs))[1]

    def enumerate(self) -> AsyncIterator[tuple[int, R_co]]:
        """Return an iterator of (number of the input, result), for results as they complete."""
        return self._pairs

    async def __aenter__(self) -> Results[R_co]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the jobs that are left."""
        await self._pairs.aclose()


class Mapper:
    """Runs one input after the other as jobs of one task; waits where the server is busy."""

    def __init__(self, client: Submitter, task: str, options: Mapping[str, Any]) -> None:
        if "id" in options:
            raise ValueError("id: each job needs its own; give the inputs as mappings with an id")
        self._client = client
        self._task = task
        self._options = options
        self._not_before = 0.0

    async def run(self, given: MapInput) -> Any:
        """Return the result of one input; raise what its job raises."""
        return await (await self.submit(given)).result()

    async def submit(self, given: MapInput) -> Any:
        """Return the job of one input, once it is accepted; raise what its submit raises."""
        fields = self._fields(given)
        loop = asyncio.get_running_loop()
        patience_ends = loop.time() + PATIENCE_S
        while True:
            await self._wait_for_leave()
            try:
                return await self._client.submit(self._task, **fields)
            except JobRejected as rejected:
                if rejected.code not in BUSY or loop.time() > patience_ends:
                    raise
                pause_ms = rejected.retry_after_ms or RETRY_AFTER_MS
                self._not_before = max(self._not_before, loop.time() + pause_ms / 1000)

    async def _wait_for_leave(self) -> None:
        """Wait as long as the server asked anyone of this map to; not all to the same moment."""
        loop = asyncio.get_running_loop()
        while True:
            pause_s = self._not_before - loop.time()
            if pause_s <= 0:
                return
            await asyncio.sleep(pause_s * random.uniform(1, 1.2))  # noqa: S311 - no secret

    def _fields(self, given: MapInput) -> dict[str, Any]:
        if isinstance(given, Mapping):
            return {**self._options, **given}
        field = INPUT_FIELDS.get(self._task)
        if field is None:
            message = f"{self._task}: give each input as a mapping of the job's fields"
            raise ValueError(f"{message}, this is {type(given).__name__}")
        return {**self._options, field: given}


def check_concurrency(concurrency: int) -> None:
    """Raise ValueError for a number that could never run anything."""
    if concurrency < 1:
        raise ValueError(f"concurrency: 1 or more, this is {concurrency}")


async def run_all(
    run: Callable[[MapInput], Coroutine[Any, Any, R]],
    inputs: Iterable[MapInput] | AsyncIterable[MapInput],
    *,
    concurrency: int,
    ordered: bool,
    return_exceptions: bool,
) -> AsyncGenerator[tuple[int, R | WsprocError], None]:
    """Yield (number, result) of each input; `concurrency` run at once.

    Inputs are read one at a time, when there is room: as many as run, and where the order is kept,
    as many again that are done and wait for an earlier one.
    """
    window = _Window(run, aiter(_each(inputs)), concurrency, ordered=ordered)
    try:
        while (ready := await window.next()) is not None:
            number, task = ready
            error = task.exception()
            if error is None:
                yield number, task.result()
            elif return_exceptions and isinstance(error, WsprocError):
                yield number, error
            else:
                raise error
    finally:
        await window.close()


class _Window(Generic[R]):
    """The inputs that are being worked on, and the one that is being read."""

    def __init__(
        self,
        run: Callable[[MapInput], Coroutine[Any, Any, R]],
        source: AsyncIterator[MapInput],
        concurrency: int,
        *,
        ordered: bool,
    ) -> None:
        self._run = run
        self._source = source
        self._concurrency = concurrency
        self._ordered = ordered
        self._room = 2 * concurrency if ordered else concurrency
        self._tasks: dict[int, asyncio.Task[R]] = {}
        self._reading: asyncio.Task[Any] | None = None
        self._count = 0
        self._exhausted = False

    async def next(self) -> tuple[int, asyncio.Task[R]] | None:
        """Return the next input that is done, with its number; None when all are."""
        while True:
            self._read_on()
            ready = self._ready()
            if ready is not None:
                return ready, self._tasks.pop(ready)
            waiting = {*self._tasks.values(), *([self._reading] if self._reading else [])}
            if not waiting:
                return None
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self._begin()

    async def close(self) -> None:
        """Cancel what is left, and wait for that."""
        left = [*self._tasks.values(), *([self._reading] if self._reading else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()

    def _read_on(self) -> None:
        running = sum(not task.done() for task in self._tasks.values())
        has_room = running < self._concurrency and len(self._tasks) < self._room
        if has_room and not self._exhausted and self._reading is None:
            self._reading = asyncio.create_task(_next(self._source))

    def _begin(self) -> None:
        """Start the job of an input that has been read. Raises what reading it raised."""
        if self._reading is None or not self._reading.done():
            return
        reading, self._reading = self._reading, None
        given = reading.result()
        if given is _END:
            self._exhausted = True
            return
        self._tasks[self._count] = asyncio.create_task(self._run(given))
        self._count += 1

    def _ready(self) -> int | None:
        if self._ordered:
            first = next(iter(self._tasks), None)
            return first if first is not None and self._tasks[first].done() else None
        return next((number for number, task in self._tasks.items() if task.done()), None)


async def _next(source: AsyncIterator[MapInput]) -> Any:
    return await anext(source, _END)


async def _each(
    inputs: Iterable[MapInput] | AsyncIterable[MapInput],
) -> AsyncGenerator[MapInput, None]:
    if isinstance(inputs, AsyncIterable):
        async for given in inputs:
            yield given
    else:
        for given in inputs:
            yield given
