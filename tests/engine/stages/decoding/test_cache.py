from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from wsproc.engine.stages.decoding.cache import SlotCache


def make() -> SlotCache:
    """Return four slots of eight positions, of one layer with one head of two numbers."""
    like = DynamicCache()
    like.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), 0)
    return SlotCache(like, 4, 8)


def write(cache: SlotCache, slots: list[int], starts: list[int], width: int) -> Tensor:
    """Write `width` random positions for each slot and return them, `[rows, 1, width, 2]`."""
    states = torch.randn(len(slots), 1, width, 2)
    positions = torch.tensor(starts)[:, None] + torch.arange(width)
    cache.aim(slots, positions, [start + width for start in starts])
    cache.update(states, -states, 0)
    return states


def seen(cache: SlotCache, slots: list[int]) -> Tensor:
    """Return the keys of `slots` as a model would read them."""
    cache.look(slots)
    keys = cache.layers[0].keys
    assert isinstance(keys, Tensor)
    assert torch.equal(keys, -cache.layers[0].values)
    return keys


def test_rows_are_written_where_they_stand() -> None:
    """Each row's keys go to its own positions of its own slot; the rest of what is seen is zero."""
    cache = make()
    first = write(cache, [0, 1], [0, 3], 2)
    keys = seen(cache, [0, 1])
    assert keys.shape == (2, 1, 5, 2)
    assert torch.equal(keys[0, :, :2], first[0])
    assert torch.equal(keys[1, :, 3:], first[1])
    assert not keys[0, :, 2:].any()


def test_neighbours_are_read_without_a_copy() -> None:
    """Slots next to each other are a view of the block; others, in any order, are gathered."""
    cache = make()
    write(cache, [0, 1, 2, 3], [0] * 4, 3)
    block = cache.layers[0].blocks[0]
    assert seen(cache, [1, 2]).data_ptr() == block[1].data_ptr()
    assert torch.equal(seen(cache, [3, 0]), block[[3, 0], :, :3])


def test_moving_swapping_and_clearing() -> None:
    """A move leaves zeros behind, a swap exchanges contents of different lengths, copies are made
    all at once, and a cleared slot holds nothing, not even what was no number.
    """
    cache = make()
    states = write(cache, [0, 1], [0, 0], 4)
    longer = write(cache, [1], [4], 2)
    cache.swap(0, 1)
    whole = torch.cat((states[1], longer[0]), dim=1)
    assert torch.equal(seen(cache, [0])[0], whole)
    assert torch.equal(seen(cache, [1])[0], states[0])
    cache.move(0, 3)
    assert torch.equal(seen(cache, [3])[0], whole)
    assert cache.used == [0, 4, 0, 6]
    assert not cache.layers[0].blocks[0][0].any()
    cache.copy([1, 3], [3, 1], 4)
    assert torch.equal(seen(cache, [1])[0, :, :4], whole[:, :4])
    assert torch.equal(seen(cache, [3])[0, :, :4], states[0])
    cache.layers[0].blocks[0][3, :, :6] = float("nan")
    cache.clear(3)
    assert not cache.layers[0].blocks[0][3].any()


def test_layers_may_differ() -> None:
    """In the number of their heads and in how large those are: each has blocks of its own kind."""
    like = DynamicCache()
    like.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 3), 0)
    like.update(torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2), 1)
    cache = SlotCache(like, 4, 8)
    cache.aim([2], torch.tensor([[0, 1]]), [2])
    wide, narrow = torch.randn(1, 2, 2, 2), torch.randn(1, 1, 2, 3)
    cache.update(torch.ones(1, 1, 2, 2), narrow, 0)
    keys, values = cache.update(wide, -wide, 1)
    assert torch.equal(keys, wide)
    assert torch.equal(values, -wide)
    cache.move(2, 0)
    cache.look([0])
    assert torch.equal(cache.layers[0].values, narrow)
    assert torch.equal(cache.layers[1].keys, wide)


def test_a_cache_of_something_else_is_refused() -> None:
    """A model that keeps a state, and no keys and values, cannot be decoded in slots."""
    with pytest.raises(ValueError, match="something other than keys and values"):
        SlotCache(DynamicCache(), 4, 8)


def test_a_static_aim_is_at_the_first_slots() -> None:
    """Row n is slot n, it writes where its position says and sees so many; what is in use is noted
    apart.
    """
    cache = make()
    states = torch.randn(2, 1, 1, 2)
    cache.aim_static(2, torch.tensor([[3], [7]]), 4)
    keys, _ = cache.update(states, -states, 0)
    assert keys.shape == (2, 1, 4, 2)
    assert torch.equal(keys[0, :, 3:], states[0])
    assert not keys[1].any()
    assert cache.used == [0] * 4
    cache.use([0], [4])
    assert cache.used == [4, 0, 0, 0]
