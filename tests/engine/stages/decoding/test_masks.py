from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, MistralConfig, Qwen2Config

from wsproc.engine.stages.decoding.masks import FULL, SLIDING, CausalMasks


def config_of(kind: type, **values: object) -> LlamaConfig:
    """Return a small configuration of `kind` that attends by `sdpa` unless told otherwise."""
    config = kind(num_hidden_layers=2, **values)
    config._attn_implementation = config._attn_implementation or "sdpa"
    return config


def test_each_row_sees_its_own_past() -> None:
    """A token sees the positions up to its own and none of those that its row has not reached."""
    mask = CausalMasks(config_of(LlamaConfig))(torch.tensor([[2, 3], [0, 1]]), 5, torch.float)
    assert isinstance(mask, torch.Tensor)
    assert mask.shape == (2, 1, 2, 5)
    assert mask.long().tolist() == [[[[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]],
                                    [[[1, 0, 0, 0, 0], [1, 1, 0, 0, 0]]]]  # fmt: skip


def test_a_window_limits_the_past() -> None:
    """Layers with a window see no further back; models with both kinds of layer get both masks."""
    masks = CausalMasks(config_of(MistralConfig, sliding_window=2))
    mask = masks(torch.tensor([[3]]), 5, torch.float)
    assert isinstance(mask, torch.Tensor)
    assert mask[0, 0, 0].long().tolist() == [0, 0, 1, 1, 0]
    both = config_of(Qwen2Config, use_sliding_window=True, sliding_window=2, max_window_layers=1)
    mixed = CausalMasks(both)(torch.tensor([[3]]), 5, torch.float)
    assert isinstance(mixed, dict)
    assert {kind: int(each.sum()) for kind, each in mixed.items()} == {FULL: 4, SLIDING: 2}


def test_eager_attention_gets_what_is_added_to_scores() -> None:
    """For attention that adds its mask, what is seen is 0 and the rest the least number."""
    config = config_of(LlamaConfig, attn_implementation="eager")
    mask = CausalMasks(config)(torch.tensor([[0]]), 2, torch.float)
    assert isinstance(mask, torch.Tensor)
    assert mask[0, 0, 0].tolist() == [0.0, torch.finfo(torch.float).min]


def test_what_cannot_be_decoded_in_slots_is_refused() -> None:
    """Layers that keep another kind of state, and attention without masks by row, are refused."""
    with pytest.raises(ValueError, match="linear_attention"):
        CausalMasks(config_of(LlamaConfig, layer_types=["linear_attention", "full_attention"]))
    with pytest.raises(ValueError, match="flash_attention_2"):
        CausalMasks(config_of(LlamaConfig, attn_implementation="flash_attention_2"))
