"""Architectures of full size with random weights, enough for speed, and tiny ones for trials."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from benchmarks.gpu.bench import Bench
from wsproc.engine.models.source import resolve

LENGTHS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def roberta(bench: Bench) -> Any:
    """Return the architecture of roberta-base, with three labels."""
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64}
    config = RobertaConfig(
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        id2label={0: "negative", 1: "neutral", 2: "positive"},
        label2id={"negative": 0, "neutral": 1, "positive": 2},
        **({**sizes, "num_attention_heads": 2} if bench.tiny else {}),
    )
    return _built(RobertaForSequenceClassification, config, bench)


def bart(bench: Bench, length: int) -> Any:
    """Return the architecture of bart-large-cnn and its way of generating; `length` tokens each."""
    tiny = {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    }  # fmt: skip
    config = BartConfig(vocab_size=50264, **(tiny if bench.tiny else {}))
    model = _built(BartForConditionalGeneration, config, bench)
    model.generation_config = GenerationConfig(
        num_beams=4, no_repeat_ngram_size=3, length_penalty=2.0, early_stopping=True,
        min_length=length, max_length=length, forced_bos_token_id=0, forced_eos_token_id=2,
        decoder_start_token_id=2, **LENGTHS,
    )  # fmt: skip
    return model


def qwen(bench: Bench) -> Any:
    """Return the architecture of Qwen2 with 0.5 billion weights; it never ends of itself."""
    sizes = {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24}
    heads = {"num_attention_heads": 14, "num_key_value_heads": 2}
    if bench.tiny:
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen2Config(
        vocab_size=151936,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        # Wider than usual, so that rounding decides between two tokens less often.
        initializer_range=0.05,
        **sizes,
        **heads,
    )
    model = _built(Qwen2ForCausalLM, config, bench)
    model.generation_config = GenerationConfig(do_sample=False, pad_token_id=1)
    model.config.eos_token_id = None
    return model


def tokenizer_of(stage: str) -> Any:
    """Return the tokenizer of an embedded model; its ids exist in all models here."""
    source = resolve(stage, "embedded")
    assert source is not None
    return AutoTokenizer.from_pretrained(source.location)


def weight_bytes(*modules: Any) -> int:
    """Return the bytes of the weights of some modules, shared ones once."""
    weights = {id(one): one for module in modules for one in module.parameters()}
    return sum(one.numel() * one.element_size() for one in weights.values())


def _built(kind: Any, config: Any, bench: Bench) -> Any:
    torch.manual_seed(0)
    with torch.device(bench.device):
        model = kind(config)
    return model.to(bench.dtype).eval().requires_grad_(False)
