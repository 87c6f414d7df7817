"""A key-value cache in slots: rows that join, leave and stand at different positions.

It is a transformers `Cache`, so that any model that takes one works unchanged. The memory is one
block a layer for keys and one for values, `[slots, heads, length, size of a head]`, allocated once.
Before a forward pass the caller says by `aim` which slots the rows of the batch are and at which
positions their tokens go; each layer then writes the new keys and values in place and hands back a
view of those slots, cut to the longest row. `look` is `aim` for a pass that only reads.

A slot that is free holds zeros: an attention weight of zero times what a failed run left behind,
a NaN, would be a NaN again and reach the next owner.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass(slots=True)
class Aim:
    """The rows and positions of the next forward pass; shared by all layers of a cache.

    `slots` is `[rows]`, or a slice where they lie next to each other; `positions` is
    `[rows, width]`, where the new tokens are written, None when nothing is; `length` is how many
    positions the attention may see.
    """

    rows: Tensor
    span: slice | None
    positions: Tensor | None
    length: int


class SlotLayer(CacheLayerMixin):
    """One layer. `keys` and `values` are what is aimed at, `[rows, heads, length, size]` each."""

    is_sliding = False

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not typed in transformers
        self._cache = cache
        self.blocks: tuple[Tensor, ...] = ()

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate the blocks, now that the number and size of the heads are known."""
        shape = (self._cache.slots, key_states.shape[1], self._cache.length)
        self.blocks = tuple(
            _zeros((*shape, states.shape[3]), states) for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write `[rows, heads, width, size]` where the cache aims and return what is seen."""
        if not self.blocks:
            self.lazy_initialization(key_states, value_states)
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


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return zeros; on a CPU their memory is taken page by page as they are first written.

    A cache is sized for its busiest hour; `new_zeros` would touch all of it at once.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    pages = mmap.mmap(-1, math.prod(shape) * like.element_size())
    return torch.frombuffer(pages, dtype=like.dtype).view(shape)


class SlotCache(Cache):
    """The cache of a whole model; see the module's text.

    It keeps count of how much of each slot is in use, so that moving and freeing touch no more.
    """

    def __init__(self, slots: int, length: int, device: torch.device) -> None:
        super().__init__(layer_class_to_replicate=partial(SlotLayer, self))  # type: ignore[arg-type]
        self.slots = slots
        self.length = length
        self.device = device
        self.used = [0] * slots
        self.aimed = Aim(torch.zeros(1, dtype=torch.long, device=device), slice(0, 1), None, 1)

    def aim(self, slots: Sequence[int], positions: Tensor, lengths: Sequence[int]) -> None:
        """Say where the next forward pass writes and what it sees.

        `positions` is `[rows, width]`; `lengths` has, for each row, the positions in use after it.
        """
        for slot, length in zip(slots, lengths, strict=True):
            self.used[slot] = max(self.used[slot], length)
        self._set(slots, positions, max(lengths))

    def look(self, slots: Sequence[int]) -> None:
        """Say what a forward pass that writes nothing sees: all that is in use in `slots`."""
        self._set(slots, None, max(self.used[slot] for slot in slots))
        for layer in self._layers():
            layer.look()

    def _set(self, slots: Sequence[int], positions: Tensor | None, length: int) -> None:
        rows = torch.tensor(slots, device=self.device)
        span = slice(slots[0], slots[0] + len(slots))
        together = list(slots) == list(range(span.start, span.stop))
        self.aimed = Aim(rows, span if together else None, positions, length)

    @torch.inference_mode()
    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over `target`, a free one, and free `source`."""
        used = self.used[source]
        for block in self._blocks():
            block[target, :, :used] = block[source, :, :used]
        self.used[target] = used
        self.clear(source)

    @torch.inference_mode()
    def swap(self, a: int, b: int) -> None:
        """Exchange the contents of two slots."""
        used = max(self.used[a], self.used[b])
        for block in self._blocks():
            block[[a, b], :, :used] = block[[b, a], :, :used]
        self.used[a], self.used[b] = self.used[b], self.used[a]

    @torch.inference_mode()
    def copy(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Copy the first `length` positions of slots over those of others, all at once."""
        for block in self._blocks():
            block[list(targets), :, :length] = block[list(sources), :, :length]

    @torch.inference_mode()
    def clear(self, slot: int) -> None:
        """Make a slot free: nothing of what it held can reach its next owner."""
        for block in self._blocks():
            block[slot, :, : self.used[slot]] = 0
        self.used[slot] = 0

    def _layers(self) -> list[SlotLayer]:
        return [layer for layer in self.layers if isinstance(layer, SlotLayer)]

    def _blocks(self) -> list[Tensor]:
        return [block for layer in self._layers() for block in layer.blocks]
