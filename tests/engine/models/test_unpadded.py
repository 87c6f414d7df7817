"""Texts behind each other in one row: the logits of each are those that it gets alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from wsproc.engine.models.linear import quantize_linears
from wsproc.engine.models.unpadded import unpadded

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 90,
    "num_labels": 3,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
TEXTS = [[4, 5, 6], [7, 8, 9, 10, 11], [12, 13, 14, 15, 16], [*range(20, 38)]]
FAMILIES = [
    (BertConfig, BertForSequenceClassification, {}),
    (RobertaConfig, RobertaForSequenceClassification, {}),
    (AlbertConfig, AlbertForSequenceClassification, {"embedding_size": 16}),
    (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    ),
]


def _model(config: Any, model: Any, more: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return model(config(**{**SIZE, **more})).eval()


@torch.inference_mode()
def _alone(model: Any) -> torch.Tensor:
    return torch.cat([model(input_ids=torch.tensor([text])).logits for text in TEXTS])


@pytest.mark.parametrize(("config", "model", "more"), FAMILIES)
def test_each_text_gets_what_it_gets_alone(config: Any, model: Any, more: dict[str, Any]) -> None:
    """Of any length, in the families whose head reads the first token; and calls go on as usual."""
    built = _model(config, model, more)
    expected = _alone(built)
    row = unpadded(built, TEXTS)
    assert row is not None
    torch.testing.assert_close(row.logits(TEXTS), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(row.logits(TEXTS[1:3]), expected[1:3], rtol=0, atol=1e-5)
    torch.testing.assert_close(_alone(built), expected, rtol=0, atol=1e-6)


def test_in_int8_no_neighbour_is_felt() -> None:
    """There is no padding to be rounded; the head is in float32 and may differ in its last bit."""
    built = _model(*FAMILIES[1])
    quantize_linears(built.base_model)
    row = unpadded(built, TEXTS)
    assert row is not None
    together = row.logits(TEXTS)
    for text, logits in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(row.logits([text])[0], logits, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (GPT2Config, GPT2ForSequenceClassification),
        (ModernBertConfig, ModernBertForSequenceClassification),
    ],
)
def test_a_model_of_another_kind_is_left_as_it_was(config: Any, model: Any) -> None:
    """Its results and its attention stay; padded batches serve it."""
    built = _model(config, model, {})
    attention, expected = built.config._attn_implementation, _alone(built)
    assert unpadded(built, TEXTS) is None
    assert built.config._attn_implementation == attention
    torch.testing.assert_close(_alone(built), expected, rtol=0, atol=1e-6)


def test_a_model_whose_head_reads_all_tokens_is_left_as_it_was() -> None:
    """The logits at load tell: here the head averages the tokens of what it is given."""
    built = _model(*FAMILIES[1])
    head = built.classifier

    def averaging(module: Any, inputs: Any) -> Any:
        return (inputs[0].mean(dim=1, keepdim=True),)

    head.register_forward_pre_hook(averaging)
    attention, expected = built.config._attn_implementation, _alone(built)
    assert unpadded(built, TEXTS) is None
    assert built.config._attn_implementation == attention
    torch.testing.assert_close(_alone(built), expected, rtol=0, atol=1e-6)
