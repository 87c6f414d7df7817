"""Numbers on their way to a device; that nobody waits for them shows only on a GPU."""

from __future__ import annotations

import torch

from wsproc.engine.models.transfer import onto, write

CPU = torch.device("cpu")


def test_numbers_keep_their_kind() -> None:
    """Whole ones, fractions and flags; nested lists are several dimensions."""
    assert torch.equal(onto([[1, 2], [3, 4]], CPU), torch.tensor([[1, 2], [3, 4]]))
    assert onto([1.5], CPU).dtype is torch.float32
    assert onto([True], CPU).dtype is torch.bool
    assert onto([1], CPU, torch.float).dtype is torch.float32
    assert onto([], CPU, torch.long).shape == (0,)


def test_a_tensor_is_overwritten_where_it_is() -> None:
    """Its memory and its format stay what they are."""
    target = torch.zeros(2, 2, dtype=torch.int32)
    memory = target.data_ptr()
    write(target, [[1, 2], [3, 4]])
    assert target.tolist() == [[1, 2], [3, 4]]
    assert (target.data_ptr(), target.dtype) == (memory, torch.int32)
