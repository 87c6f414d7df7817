"""Tiny checkpoints with random weights, built and saved by the tests themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from thinc.api import Adam, fix_random_seed
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

NER_SENTENCE = "Alice Smith flew to Paris ."
"""What `ner_pipeline` has learned: a PERSON and a GPE."""

BOS, PAD, EOS, UNK = 0, 1, 2, 3
_TEXTS = [
    "The quick brown fox jumps over the lazy dog, and what a good day it was!",
    "A bad film: slow, loud, and far too long. I want my money back.",
    "Alice Smith met Bob in Paris to talk about 12 contracts with Acme Corporation.",
]


def byte_tokenizer(**settings: Any) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer with RoBERTa's special tokens; any text round-trips."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_TEXTS, trainer)
    bpe.post_processor = processors.RobertaProcessing(("</s>", EOS), ("<s>", BOS))
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # not typed there
        tokenizer_object=bpe, pad_token="<pad>", unk_token="<unk>", **tokens, **settings
    )


def save_classifier(
    folder: Path, labels: tuple[str, ...] = ("negative", "neutral", "positive"), **settings: Any
) -> Path:
    """Save a RoBERTa classifier of 2 layers with 62 + 2 positions; `settings` are of its config."""
    torch.manual_seed(1)
    tokenizer = byte_tokenizer()
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        type_vocab_size=1,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        initializer_range=0.5,
        **settings,
    )
    RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_seq2seq(folder: Path) -> Path:
    """Save a BART of 2 + 2 layers with 48 positions."""
    torch.manual_seed(2)
    tokenizer = byte_tokenizer()
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=48,
    )
    BartForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_causal_lm(folder: Path) -> Path:
    """Save a Llama of 2 layers with 40 positions."""
    torch.manual_seed(3)
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=40,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ruler_pipeline() -> Language:
    """Return a blank English pipeline whose entities are a few fixed phrases."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns(  # type: ignore[attr-defined]  # a factory's own type
        [
            {"label": "PERSON", "pattern": "Alice Smith"},
            {"label": "GPE", "pattern": "Paris"},
            {"label": "ORG", "pattern": [{"TEXT": "Acme"}, {"TEXT": "Corporation"}]},
            {"label": "ODDITY", "pattern": "zebra"},
        ]
    )
    return nlp


def ner_pipeline() -> Language:
    """Return an English pipeline with a learned `ner` that knows one sentence, and bystanders."""
    nlp = spacy.blank("en")
    small = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 16, "depth": 1, "embed_size": 100}
    small |= {"window_size": 1, "maxout_pieces": 2, "subword_features": True}
    small |= {"pretrained_vectors": None}
    nlp.add_pipe("tok2vec", config={"model": small})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "tok2vec"}
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}
    nlp.add_pipe("tagger", config={"model": tagger})
    ner = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": dict(small),
    }
    nlp.add_pipe("ner", config={"model": ner})
    nlp.add_pipe("sentencizer")
    fix_random_seed(0)
    doc = nlp.make_doc(NER_SENTENCE)
    gold = {"entities": [(0, 11, "PERSON"), (20, 25, "GPE")], "tags": list("NNVPNX")}
    examples = [Example.from_dict(doc, gold)]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.02)
    for _ in range(30):
        nlp.update(examples, sgd=optimizer)
    return nlp
