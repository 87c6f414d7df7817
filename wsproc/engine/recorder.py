"""The flight recorder: which items were on the device when a worker died.

The worker notes a step's items in memory that it shares with the pool, so noting costs no message
and no system call; the memory outlives the worker.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Iterable

_COUNT = struct.Struct("<I")
_ITEM = struct.Struct("<QI")
_MOST = 4096
_SIZE = _COUNT.size + _MOST * _ITEM.size


class FlightRecorder:
    """Memory that two processes share by a file descriptor; one writes, the other reads later."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _SIZE)

    @staticmethod
    def descriptor() -> int:
        """Return the descriptor of new memory; whoever asked closes it."""
        with tempfile.TemporaryFile() as file:
            file.truncate(_SIZE)
            return os.dup(file.fileno())

    def note(self, items: Iterable[tuple[int, int]]) -> None:
        """Note (call, item) of everything that goes on the device now; nothing when it is free.

        The count is written last, so that a death in the middle leaves none rather than wrong ones.
        """
        _COUNT.pack_into(self._memory, 0, 0)
        count = 0
        for call, item in items:
            if count == _MOST:
                break
            _ITEM.pack_into(self._memory, _COUNT.size + count * _ITEM.size, call, item)
            count += 1
        _COUNT.pack_into(self._memory, 0, count)

    def read(self) -> list[tuple[int, int]]:
        """Return what was noted last."""
        (count,) = _COUNT.unpack_from(self._memory, 0)
        places = range(_COUNT.size, _COUNT.size + count * _ITEM.size, _ITEM.size)
        return [_ITEM.unpack_from(self._memory, place) for place in places]

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
