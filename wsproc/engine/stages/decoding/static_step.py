"""Steps of a few fixed sizes, each captured once and replayed ever after.

A decode step is hundreds of small kernels, and a GPU computes them faster than Python asks for
them. A graph of them is asked for once. It replays the same kernels on the same memory, so whatever
differs from step to step has to lie in tensors that stay where they are, and a step is computed at
the next larger of a few sizes; its surplus rows write where nobody reads.

How a step is captured is the caller's: `CudaCapture` on a GPU, anything else in a test.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import product

logger = logging.getLogger("wsproc.engine")

Replay = Callable[[], None]
"""Does again what was captured."""

Capture = Callable[[Callable[[], None]], Replay]
"""Captures a piece of work, which it may do any number of times; raises where that is not possible.

The work is safe to repeat.
"""


class StaticStep:
    """`work(*sizes)`, at the smallest of some sizes that are large enough.

    `sizes` has, for each argument of `work`, what it may be, in ascending order. `work` gives the
    same whether it is done once or several times, and what it computes depends on its sizes and on
    tensors alone.
    """

    def __init__(
        self, work: Callable[..., None], sizes: Sequence[Sequence[int]], capture: Capture
    ) -> None:
        self._work = work
        self._sizes = sizes
        self._capture: Capture | None = capture
        self._replays: dict[tuple[int, ...], Replay] = {}

    def __repr__(self) -> str:
        return f"<StaticStep {len(self._replays)} captured>"

    def run(self, *least: int) -> bool:
        """Do the work at sizes of at least `least`; capture it first where it was not.

        False, with nothing done that matters, once a capture has failed. What the work itself
        raises as it is replayed is raised.
        """
        sizes = tuple(
            next(size for size in known if size >= one)
            for known, one in zip(self._sizes, least, strict=True)
        )
        replay = self._replays.get(sizes) or self._captured(sizes)
        if replay is None:
            return False
        replay()
        return True

    def prepare(self) -> None:
        """Capture every size of the first argument with the least of the others, in advance."""
        for sizes in product(self._sizes[0], *(known[:1] for known in self._sizes[1:])):
            if sizes not in self._replays:
                self._captured(sizes)

    def _captured(self, sizes: tuple[int, ...]) -> Replay | None:
        if self._capture is None:
            return None
        try:
            replay = self._capture(lambda: self._work(*sizes))
        except Exception as error:  # the reasons are CUDA's, the model's, or want of memory
            self._capture = None
            self._replays.clear()
            logger.warning("decode steps run without captured graphs: %s", _first_line(error))
            return None
        self._replays[sizes] = replay
        return replay


def doubled(least: int, most: int) -> list[int]:
    """Return the sizes `least`, twice that, and so on, and `most` as the last."""
    sizes = []
    while least < most:
        sizes.append(least)
        least *= 2
    return [*sizes, most]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
