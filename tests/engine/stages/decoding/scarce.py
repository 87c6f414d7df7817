"""Memory that runs out at every point of a step, one after the other, until the step succeeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

INSIDE = 0.05
"""What an operation of a forward pass counts: of those not every one is tried."""


class Scarce(TorchDispatchMode):
    """While it is entered, there is memory for `left` operations with a result of their own.

    Those that write into a tensor that is there, or look at one, need none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = 0.0
        self.price = 1.0
        self.raised = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        if not (func._schema.is_mutable or func.is_view):
            if self.left < 0:
                self.raised += 1
                raise torch.OutOfMemoryError("no memory")
            self.left -= self.price
        return func(*args, **(kwargs or {}))

    def inside(self, passes: Callable[..., Any]) -> Callable[..., Any]:
        """Return a decoder's method, whose operations count less."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.price = INSIDE
            try:
                return passes(*args, **kwargs)
            finally:
                self.price = 1.0

        return wrapped


def starve(stage: Any) -> Scarce:
    """Let each of a stage's steps fail for want of memory at every point before it succeeds.

    Releases find no memory at all.
    """
    scarce = Scarce()
    for name in ("advance", "begin", "forward"):
        if hasattr(stage._decoder, name):
            setattr(stage._decoder, name, scarce.inside(getattr(stage._decoder, name)))
    step, release = stage.step, stage.release

    def stepped(runs: Sequence[Any]) -> Any:
        limit = 0
        while True:
            scarce.left = limit
            try:
                with scarce:
                    return step(runs)
            except torch.OutOfMemoryError:
                limit += 1

    def released(runs: Sequence[Any]) -> None:
        scarce.left = -1
        with scarce:
            release(runs)

    stage.step, stage.release = stepped, released
    return scarce
