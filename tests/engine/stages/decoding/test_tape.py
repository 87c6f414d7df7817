"""The stand-in for CUDA graphs is as strict as they are."""

from __future__ import annotations

import pytest
import torch

from tests.engine.stages.decoding.tape import TapeCapture


@torch.inference_mode()
def test_a_replay_reads_what_is_in_the_tensors_now() -> None:
    """Its inputs are memory, not values; so is what it leaves."""
    source, target = torch.arange(4), torch.zeros(4, dtype=torch.long)

    def work() -> None:
        squares = source[1:] * source[1:]
        target[1:] = squares + torch.arange(3)

    replay = TapeCapture()(work)
    source += 1
    replay()
    assert target.tolist() == [0, 4, 10, 18]


@torch.inference_mode()
def test_a_number_of_the_hosts_stays_what_it_was() -> None:
    """A replay runs no Python: that is what a step must not depend on."""
    target, added = torch.zeros(1), [1.0]

    def work() -> None:
        target.add_(added[0])

    replay = TapeCapture()(work)
    target.zero_()
    added[0] = 5.0
    replay()
    assert target.item() == 1.0


@pytest.mark.parametrize(
    "asks",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: tensor.tolist() if bool(tensor.any()) else None,
        lambda tensor: tensor[tensor > 0],
        lambda tensor: tensor + torch.tensor([1.0, 2.0]),
    ],
    ids=["a number", "a condition", "a size", "a list from the host"],
)
@torch.inference_mode()
def test_a_step_that_waits_for_the_device_cannot_be_captured(asks: object) -> None:
    """Nor one to which the host brings a list."""
    tensor = torch.tensor([1.0, -1.0])
    with pytest.raises(RuntimeError, match="not permitted"):
        TapeCapture()(lambda: asks(tensor))  # type: ignore[operator]
