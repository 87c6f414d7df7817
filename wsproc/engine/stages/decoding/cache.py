"""A key-value cache in slots: rows that join, leave and stand at different positions.

It is a transformers `Cache`, so that any model that takes one works unchanged. A layer has one
block for keys and one for values, `[slots, heads, length, size of a head]`, and blocks of one shape
lie in one tensor, a stack, so that moving a slot is one piece of work and not one a layer. All
memory is allocated at once. Before a forward pass the caller says by `aim` which slots the rows of
the batch are and at which positions their tokens go; each layer then writes the new keys and values
in place and hands back a view of those slots, cut to the longest row. `look` is `aim` for a pass
that only reads.

A slot that is free holds zeros: an attention weight of zero times what a failed run left behind,
a NaN, would be a NaN again and reach the next owner. Moving, exchanging and freeing slots needs no
memory, so that a step cannot fail for want of it halfway.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from wsproc.engine.models.transfer import onto

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers of as many bytes as a number of keys and values."""


@dataclass(slots=True)
class Aim:
    """The rows and positions of the next forward pass; shared by all layers of a cache.

    `rows` is `[rows]`, the slots; `span` is the same as a slice where they lie next to each other;
    `positions` is `[rows, width]`, where the new tokens are written, None when nothing is; `length`
    is how many positions the attention may see.
    """

    rows: Tensor
    span: slice | None
    positions: Tensor | None
    length: int


class SlotLayer(CacheLayerMixin):
    """One layer. `keys` and `values` are what is aimed at, `[rows, heads, length, size]` each."""

    is_sliding = False

    def __init__(self, cache: SlotCache, blocks: tuple[Tensor, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not typed in transformers
        self._cache = cache
        self.blocks = blocks
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the blocks are there."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write `[rows, heads, width, size]` where the cache aims and return what is seen."""
        aim = self._cache.aimed
        for block, states in zip(self.blocks, (key_states, value_states), strict=True):
            block[aim.rows[:, None], :, aim.positions] = states.transpose(1, 2)
        return self.look()

    def look(self) -> tuple[Tensor, Tensor]:
        """Set and return `keys` and `values` as the cache aims."""
        aim = self._cache.aimed
        at = aim.rows if aim.span is None else aim.span
        keys, values = (block[:, :, : aim.length][at] for block in self.blocks)
        self.keys, self.values = keys, values
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the length and the offset of what `update` will return."""
        return self._cache.aimed.length, 0

    def get_seq_length(self) -> int:
        """Return the positions before the new tokens of the longest row."""
        aim = self._cache.aimed
        return aim.length - (0 if aim.positions is None else aim.positions.shape[1])

    def get_max_length(self) -> int:
        """Return how many positions a slot holds."""
        return self._cache.length


class SlotCache(Cache):
    """The cache of a whole model; see the module's text.

    `like` is a cache of the model's own kind with something in it: it tells the layers, their heads
    and number formats. `used` counts the positions of each slot that are in use, so that moving and
    freeing touch no more; a pass by `aim_static` does not count them, its caller does by `use`.
    """

    def __init__(self, like: Any, slots: int, length: int) -> None:
        states = [part for layer in like.layers for part in (layer.keys, layer.values)]
        if not states or any(part is None for part in states):
            raise ValueError("the model keeps something other than keys and values by position")
        kinds = Counter(map(_kind, states))
        device = states[0].device
        self._stacks = [
            _zeros((count, slots, heads, length, size), dtype, device)
            for (heads, size, dtype), count in kinds.items()
        ]
        parts = {kind: iter(stack) for kind, stack in zip(kinds, self._stacks, strict=True)}
        blocks = [next(parts[_kind(one)]) for one in states]
        pairs = zip(blocks[::2], blocks[1::2], strict=True)
        super().__init__(layers=[SlotLayer(self, pair) for pair in pairs])
        self.slots = slots
        self.length = length
        self.device = device
        self.used = [0] * slots
        self._numbers = torch.arange(slots, device=device)
        self.aimed = Aim(self._numbers[:1], slice(0, 1), None, 1)

    def aim(self, slots: Sequence[int], positions: Tensor, lengths: Sequence[int]) -> None:
        """Say where the next forward pass writes and what it sees.

        `positions` is `[rows, width]`; `lengths` has, for each row, the positions in use after it.
        """
        self.use(slots, lengths)
        self._set(slots, positions, max(lengths))

    def look(self, slots: Sequence[int]) -> None:
        """Say what a forward pass that writes nothing sees: all that is in use in `slots`."""
        self._set(slots, None, max(self.used[slot] for slot in slots))
        for layer in self._layers():
            layer.look()

    def aim_static(self, rows: int, positions: Tensor | None, length: int) -> None:
        """Say that row n of the next pass is slot n and sees `length` positions.

        `positions` `[rows, width]` are where it writes; None for a pass that only reads.

        Nothing is copied to the device, and nothing but sizes is asked of the host.
        """
        self.aimed = Aim(self._numbers[:rows], slice(0, rows), positions, length)
        if positions is None:
            for layer in self._layers():
                layer.look()

    def use(self, slots: Sequence[int], lengths: Sequence[int]) -> None:
        """Note that so many positions of some slots are in use now, if they were not before."""
        for slot, length in zip(slots, lengths, strict=True):
            self.used[slot] = max(self.used[slot], length)

    def _set(self, slots: Sequence[int], positions: Tensor | None, length: int) -> None:
        span = together(slots)
        rows = onto(slots, self.device) if span is None else self._numbers[span]
        self.aimed = Aim(rows, span, positions, length)

    @torch.inference_mode()
    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over `target`, a free one, and free `source`."""
        used = self.used[source]
        for stack in self._stacks:
            stack[:, target, :, :used].copy_(stack[:, source, :, :used])
        self.used[target] = used
        self.clear(source)

    @torch.inference_mode()
    def swap(self, a: int, b: int) -> None:
        """Exchange the contents of two slots."""
        used = max(self.used[a], self.used[b])
        for stack in self._stacks:
            # By exclusive or, as there may be no memory for a copy.
            bits = stack.view(_BITS[stack.element_size()])
            first, second = bits[:, a, :, :used], bits[:, b, :, :used]
            first ^= second
            second ^= first
            first ^= second
        self.used[a], self.used[b] = self.used[b], self.used[a]

    @torch.inference_mode()
    def copy(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Copy the first `length` positions of slots over those of others, all at once.

        Where there is not memory enough for that, nothing is changed. On a CPU it takes little: it
        goes block by block, which also keeps what is copied in the processor's caches.
        """
        old, new = onto([list(sources), list(targets)], self.device)
        seen = [stack[:, :, :, :length] for stack in self._stacks]
        if self.device.type == "cpu":
            kept = [stack[0].index_select(0, old) for stack in seen]
            pieces = [(one, own) for stack, own in zip(seen, kept, strict=True) for one in stack]
            for piece, own in pieces:
                piece.index_copy_(0, new, torch.index_select(piece, 0, old, out=own))
            return
        copies = [stack.index_select(1, old) for stack in seen]
        for stack, copied in zip(seen, copies, strict=True):
            stack.index_copy_(1, new, copied)

    @torch.inference_mode()
    def clear(self, slot: int) -> None:
        """Make a slot free: nothing of what it held can reach its next owner."""
        for stack in self._stacks:
            stack[:, slot, :, : self.used[slot]].zero_()
        self.used[slot] = 0

    def _layers(self) -> list[SlotLayer]:
        return [layer for layer in self.layers if isinstance(layer, SlotLayer)]

    def _blocks(self) -> Iterator[Tensor]:
        return (block for stack in self._stacks for block in stack)


def together(slots: Sequence[int]) -> slice | None:
    """Return slots that lie next to each other, in order, as a slice; None for others."""
    span = slice(slots[0], slots[0] + len(slots))
    return span if list(slots) == list(range(span.start, span.stop)) else None


def _kind(states: Tensor) -> tuple[int, int, torch.dtype]:
    """Return the number and size of the heads of `[rows, heads, length, size]`, and its format."""
    return states.shape[1], states.shape[3], states.dtype


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros; on a CPU their memory is taken page by page as they are first written.

    A cache is sized for its busiest hour; `torch.zeros` would touch all of it at once.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize)
    return torch.frombuffer(pages, dtype=dtype).view(shape)
