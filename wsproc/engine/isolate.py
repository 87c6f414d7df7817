"""Who is to blame when a batch raises: halve it until the item that raises stands alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from wsproc.engine.call import EngineError, OutOfMemory

logger = logging.getLogger("wsproc.engine")

_NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""How libraries below torch's allocator say it."""

T = TypeVar("T")
R = TypeVar("R")


def isolate(
    work: Callable[[Sequence[T]], Sequence[R]],
    items: Sequence[T],
    check: Callable[[], None] = lambda: None,
) -> list[R | EngineError]:
    """Return `work`'s result for each item, or the error of each item that fails even alone.

    An exception halves the batch and tries both halves again: what does not fit the device together
    may fit apart, and an item that raises does not take its neighbours with it. `work` must be safe
    to repeat for items of a batch that raised. After an exception `check` raises where the device
    itself is lost, and so does this: nothing can be tried on it again.
    """
    if not items:
        return []
    try:
        results = list(work(items))
        if len(results) != len(items):
            raise ValueError(f"{len(results)} results came for {len(items)} items")
        return list(results)
    except Exception as error:
        check()
        if len(items) == 1:
            return [as_engine_error(error)]
    # Only here is the exception gone, and with it what its frames hold of the device's memory.
    middle = len(items) // 2
    halves = items[:middle], items[middle:]
    return [one for half in halves for one in isolate(work, half, check)]


def as_engine_error(error: Exception) -> EngineError:
    """Name an exception of a model for clients; the details of unknown ones stay in the log."""
    if isinstance(error, EngineError):
        return error
    if _is_out_of_memory(error):
        return OutOfMemory("the input does not fit into the device's memory; send a shorter one")
    logger.error("a model raised on one input alone", exc_info=error)
    return EngineError(f"the model failed on this input ({type(error).__name__})")


def _is_out_of_memory(error: Exception) -> bool:
    # torch raises OutOfMemoryError on a GPU and a plain RuntimeError from the CPU allocator; its
    # types are not imported here, so that this room stays free of model libraries.
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return True
    return any(words in str(error) for words in _NO_MEMORY)
