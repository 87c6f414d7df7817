from __future__ import annotations

import pytest
import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from tests.engine.stages.decoding.tiny import VOCABULARY, causal_model, separate
from wsproc.engine.stages.decoding.causal import CausalDecoder


def test_a_model_that_answers_otherwise_in_slots_is_refused() -> None:
    """An architecture whose answers depend on how its tokens lie in the cache is found out before
    it answers anything wrong.
    """
    model = GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=VOCABULARY, hidden_size=32, num_layers=2, num_heads=4, window_size=3,
            attention_types=[[["global", "local"], 1]], max_position_embeddings=64,
        )
    )  # fmt: skip
    separate(model, 1)
    with pytest.raises(ValueError, match="does not give the same answers"):
        CausalDecoder(model, slots=2, context=32)


@torch.inference_mode()
def test_the_same_pass_again_gives_the_same() -> None:
    """A forward pass changes nothing but keys and values where it writes: it may be repeated."""
    decoder = CausalDecoder(causal_model("llama"), slots=3, context=32)
    decoder.forward([0, 2], [[5, 6, 7], [8]], [0, 0])
    first = decoder.forward([2, 0], [[9, 3], [4]], [1, 3])
    assert torch.equal(decoder.forward([2, 0], [[9, 3], [4]], [1, 3]), first)


@torch.inference_mode()
def test_short_rows_are_padded_without_a_trace() -> None:
    """Rows that are fed different numbers of tokens, from different positions on, get what each
    gets alone.
    """
    decoder = CausalDecoder(causal_model("llama"), slots=3, context=32)
    rows = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15]]
    decoder.forward([0, 1, 2], [rows[0][:1], rows[1][:1], rows[2][:2]], [0, 0, 0])
    found = decoder.forward([0, 1, 2], [rows[0][1:], rows[1][1:], rows[2][2:]], [1, 1, 2])
    for logits, row in zip(found, rows, strict=True):
        alone = decoder.model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1]
        assert torch.allclose(logits, alone, atol=1e-4)


@pytest.mark.parametrize(("slots", "context"), [(1, 2), (1, 8), (3, 2)])
def test_the_smallest_sizes_work(slots: int, context: int) -> None:
    """One slot, or room for one token and its answer, is enough to be proven and used."""
    decoder = CausalDecoder(causal_model("gpt2"), slots=slots, context=context)
    with torch.inference_mode():
        assert decoder.forward([0], [[3]], [0]).shape == (1, VOCABULARY)
