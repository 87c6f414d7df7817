"""Tiny random models and tokenizers whose next tokens are well separated, for equality tests."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 320
EOS = 2
LINES = [
    "The river froze early that winter, and the mill stood still until March.",
    "Prices rose by three percent; analysts had expected less, the report says.",
    "Grüße aus Köln: naïve café, señor, smörgåsbord, Łódź, δοκιμή, проверка, 漢字かな.",
    "She asked whether the train to Leeds would leave on time. It did not.",
]
SUMMARY = {
    "num_beams": 4,
    "no_repeat_ngram_size": 3,
    "length_penalty": 2.0,
    "early_stopping": True,
    "min_length": 8,
    "max_length": 24,
    "forced_bos_token_id": 0,
    "forced_eos_token_id": EOS,
}
TEMPLATE = (
    "{% for message in messages %}<s>{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def byte_tokenizer(*, bos: bool = False, pair: bool = False) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer: `<s>`, `</s>` around where `pair`, before where `bos`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES * 4, trainer)
    if pair or bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>" if pair else "<s> $A",
            special_tokens=[("<s>", 0), ("</s>", 2)],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def separate(model: PreTrainedModel, seed: int) -> None:
    """Redraw the weights, large enough that no two tokens are about equally likely."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.35, generator=generator)
    model.eval()


def lean_to_end(model: PreTrainedModel, bias: float) -> None:
    """Make the end token likelier, so that sequences end by themselves at different lengths."""
    head: Any = model.get_output_embeddings()
    head.bias = nn.Parameter(torch.zeros(VOCABULARY))
    head.bias.data[EOS] = bias


def causal_model(family: str, *, seed: int = 0, positions: int = 96) -> PreTrainedModel:
    """Return a random two-layer model of `family` with `positions` positions."""
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": positions,
    }
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": EOS}
    model: PreTrainedModel
    if family == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=positions,
                **special,
            )
        )  # fmt: skip
    elif family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes, **special))
    elif family == "qwen2":
        windows = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
        model = Qwen2ForCausalLM(Qwen2Config(**sizes, **special, **windows))
    else:
        model = MistralForCausalLM(MistralConfig(**sizes, **special, sliding_window=5))
    separate(model, seed)
    return model


def seq2seq_model(family: str, *, seed: int = 0, positions: int = 64) -> PreTrainedModel:
    """Return a random two-layer encoder-decoder that summarises as bart-large-cnn is told to."""
    model: PreTrainedModel
    if family == "t5":
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                pad_token_id=1, eos_token_id=EOS, decoder_start_token_id=1,
                tie_word_embeddings=False,
            )
        )  # fmt: skip
    else:
        configs = {"bart": BartConfig, "pegasus": PegasusConfig}
        models = {"bart": BartForConditionalGeneration, "pegasus": PegasusForConditionalGeneration}
        config = configs[family](
            vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
            decoder_ffn_dim=64, max_position_embeddings=positions, bos_token_id=0, pad_token_id=1,
            eos_token_id=EOS, decoder_start_token_id=EOS, forced_eos_token_id=EOS,
        )  # fmt: skip
        model = models[family](config)
    separate(model, seed)
    model.generation_config.update(**SUMMARY)
    return model
