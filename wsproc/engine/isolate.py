"""Who is to blame when a batch raises: halve it until the item that raises stands alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from wsproc.engine.call import EngineError, OutOfMemory

logger = logging.getLogger("wsproc.engine")

T = TypeVar("T")
R = TypeVar("R")


def isolate(
    work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]
) -> list[R | EngineError]:
    """Return `work`'s result for each item, or the error of each item that fails even alone.

    An exception halves the batch and tries both halves again: what does not fit the device together
    may fit apart, and an item that raises does not take its neighbours with it. `work` must be safe
    to repeat for items of a batch that raised.
    """
    if not items:
        return []
    try:
        results = list(work(items))
        if len(results) != len(items):
            raise ValueError(f"{len(results)} results came for {len(items)} items")
    except Exception as error:
        if len(items) == 1:
            return [as_engine_error(error)]
        middle = len(items) // 2
        return [*isolate(work, items[:middle]), *isolate(work, items[middle:])]
    return list(results)


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
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or "not enough memory" in str(error) or "can't allocate memory" in str(error)
