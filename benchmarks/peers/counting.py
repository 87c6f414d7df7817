"""What a model computed, counted in files that the runner reads while the processes write."""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

MARK = "\N{SECTION SIGN}"
"""A chunk that begins so belongs to a job that is about to be left."""

_FIELDS = struct.Struct("<7q")


@dataclass
class Counts:
    """Sums since a process began.

    `useful` and `computed` are tokens without and with padding, `busy_ns` is the time inside of
    steps, tokenizing included; `marked` chunks were of jobs that are left, and the last of them was
    computed at `marked_ns` of the monotonic clock, which all processes share.
    """

    steps: int = 0
    chunks: int = 0
    useful: int = 0
    computed: int = 0
    busy_ns: int = 0
    marked: int = 0
    marked_ns: int = 0

    def __sub__(self, before: Counts) -> Counts:
        last = self.marked_ns
        return Counts(
            *(a - b for a, b in zip(astuple(self)[:-1], astuple(before), strict=False)), last
        )


class Counter:
    """Counts one process' steps into a file of its own in `folder`; into nothing without one."""

    def __init__(self, folder: str | None = os.environ.get("BENCH_COUNTS")) -> None:
        self._counts = Counts()
        self._memory: mmap.mmap | None = None
        if folder:
            path = Path(folder) / str(os.getpid())
            path.write_bytes(bytes(_FIELDS.size))
            with path.open("r+b") as file:
                self._memory = mmap.mmap(file.fileno(), _FIELDS.size)

    def step(self, texts: Sequence[str], useful: int, computed: int, began_ns: int) -> None:
        """Count one forward pass that began at `began_ns` and ends now."""
        now = time.monotonic_ns()
        counts = self._counts
        counts.steps += 1
        counts.chunks += len(texts)
        counts.useful += useful
        counts.computed += computed
        counts.busy_ns += now - began_ns
        if marked := sum(text.startswith(MARK) for text in texts):
            counts.marked += marked
            counts.marked_ns = now
        if self._memory is not None:
            _FIELDS.pack_into(self._memory, 0, *astuple(counts))


def read(folder: Path) -> Counts:
    """Return the sums over all processes that count into `folder`."""
    total = Counts()
    for path in folder.iterdir():
        one = _FIELDS.unpack(path.read_bytes())
        sums = [a + b for a, b in zip(astuple(total), one, strict=True)]
        total = Counts(*sums[:-1], max(total.marked_ns, one[-1]))
    return total
