"""`map` for callers that block: inputs are read in the caller's own thread, jobs run beside it."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any, Generic

from typing_extensions import TypeVar

from wsproc.client.errors import WsprocError
from wsproc.client.loop_thread import LoopThread
from wsproc.client.mapping import MapInput

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class SyncResults(Generic[T_co]):
    """The results of a `map`; what is left is cancelled when the iterator is left or closed."""

    def __init__(self, pairs: Generator[tuple[int, T_co], None, None]) -> None:
        self._pairs = pairs

    def __iter__(self) -> SyncResults[T_co]:
        return self

    def __next__(self) -> T_co:
        return next(self._pairs)[1]

    def enumerate(self) -> Iterator[tuple[int, T_co]]:
        """Return an iterator of (number of the input, result), for results as they complete."""
        return self._pairs

    def close(self) -> None:
        """Cancel the jobs that are left."""
        self._pairs.close()


def run_all_blocking(
    thread: LoopThread,
    run: Callable[[MapInput], Coroutine[Any, Any, R]],
    inputs: Iterable[MapInput],
    *,
    concurrency: int,
    ordered: bool,
    return_exceptions: bool,
) -> Generator[tuple[int, R | WsprocError], None, None]:
    """Yield (number, result) of each input; `concurrency` run at once, and no more are read."""
    source = enumerate(inputs)
    running: dict[concurrent.futures.Future[R], int] = {}
    try:
        while True:
            for number, given in source:
                running[thread.start(run(given))] = number
                if len(running) >= concurrency:
                    break
            if not running:
                return
            done = _next_done(running, ordered=ordered)
            number = running.pop(done)
            error = done.exception()
            if error is None:
                yield number, done.result()
            elif return_exceptions and isinstance(error, WsprocError):
                yield number, error
            else:
                raise error
    finally:
        for future in running:
            future.cancel()


def _next_done(
    running: dict[concurrent.futures.Future[R], int], *, ordered: bool
) -> concurrent.futures.Future[R]:
    if ordered:
        first = next(iter(running))
        concurrent.futures.wait([first])
        return first
    concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
    return next(future for future in running if future.done())
