"""A stand-in for CUDA graphs on a CPU: what is captured is a tape of operations, and replayed.

As with a graph, a replay runs the same operations on the same memory and no line of Python between
them: a number that the host put into a captured step stays what it was, and a step that asks the
device for a number, or brings one from the host, cannot be captured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

WAITING = {
    "aten::_local_scalar_dense",
    "aten::allclose",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::lift_fresh",
    "aten::masked_select",
    "aten::nonzero",
    "aten::_unique2",
}
"""Operations for which the host waits on a GPU, or whose result has a size that only it knows."""


class Tape(TorchDispatchMode):
    """Records what is computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any | None = None
    ) -> Any:
        if func._schema.name in WAITING or _picks(func, args):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        result = func(*args, **(kwargs or {}))
        self._operations.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """Do it all again, on the tensors that were there before and on new results of its own."""
        made: dict[int, Tensor] = {}
        with torch.inference_mode():
            for func, args, kwargs, before in self._operations:
                again = func(*_now(args, made), **_now(kwargs, made))
                for old, new in zip(tree_leaves(before), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor):
                        made[id(old)] = new


def _picks(func: Any, args: Any) -> bool:
    """Whether an operation picks elements by a mask, of which only the device knows how many."""
    if not func._schema.name.startswith("aten::index"):
        return False
    return any(isinstance(one, Tensor) and one.dtype is torch.bool for one in tree_leaves(args[1]))


def _now(values: Any, made: dict[int, Tensor]) -> Any:
    return tree_map_only(Tensor, lambda one: made.get(id(one), one), values)


class TapeCapture:
    """A `Capture` by tapes; counts what is captured and what is replayed."""

    def __init__(self) -> None:
        self.captured = 0
        self.replayed = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return a replay of the tape."""
        work()
        tape = Tape()
        with tape:
            work()
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            tape.replay()

        return replay
