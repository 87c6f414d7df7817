from __future__ import annotations

import pytest
import torch
from transformers import LEDConfig, LEDForConditionalGeneration, PreTrainedModel

from tests.engine.stages.decoding.tiny import VOCABULARY, seq2seq_model
from wsproc.engine.stages.decoding.beam_attention import beam_attention
from wsproc.engine.stages.decoding.encoder_decoder import EncoderDecoder


@pytest.mark.parametrize("family", ["bart", "pegasus", "t5"])
def test_the_model_alone_behaves_as_before(family: str) -> None:
    """A model that is decoded in slots still answers an ordinary call as it did."""
    model, ids = seq2seq_model(family), torch.tensor([[0, 9, 8, 7, 2]])

    def answer(model: PreTrainedModel) -> torch.Tensor:
        with torch.inference_mode():
            return model(input_ids=ids, decoder_input_ids=ids[:, :3]).logits

    before = answer(model)
    EncoderDecoder(model, slots=2, beams=3, source=16, target=16)
    assert torch.allclose(answer(model), before, atol=1e-4)


def test_beams_attend_to_the_source_they_share() -> None:
    """Attention of several beams to one copy of the keys is what it is to a copy for each."""
    module = torch.nn.Module()
    query = torch.randn(6, 4, 1, 8)
    key, value = torch.randn(2, 2, 4, 5, 8)
    mask = torch.rand(2, 1, 1, 5) > 0.3
    mask[..., 0] = True
    shared, _ = beam_attention(module, query, key, value, mask)
    keys, values, masks = (part.repeat_interleave(3, dim=0) for part in (key, value, mask))
    apart, _ = beam_attention(module, query, keys, values, masks)
    assert shared.shape == (6, 1, 4, 8)
    assert torch.allclose(shared, apart, atol=1e-6)


def test_an_attention_of_its_own_is_refused() -> None:
    """A model that takes no attention function cannot share its beams' source, and is refused."""
    config = LEDConfig(
        vocab_size=VOCABULARY, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, attention_window=4,
    )  # fmt: skip
    with pytest.raises(ValueError, match="attention of its own"):
        EncoderDecoder(LEDForConditionalGeneration(config), slots=1, beams=1, source=8, target=8)
