"""Texts to token ids, by the shortest way that a tokenizer has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

TokenIds: TypeAlias = Callable[[Sequence[str]], list[list[int]]]
"""Texts to their token ids, without special tokens and uncut."""

_PROBES = ["Its 3rd letter (to <Zoë>) said: \U0001f600 no!", "  two\n\nlines", ""]


def token_ids(tokenizer: Any) -> TokenIds:
    """Return how to get ids alone from a tokenizer of transformers.

    One in Rust is asked directly, and does not tell where in the text each token stands: a batch of
    40 chunks takes 1.0 ms instead of 1.3 (one thread of an AMD EPYC). One whose Python side does
    something of its own to a text, which the probes show, is called as usual.
    """

    def usual(texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        rows: list[list[int]] = encoded["input_ids"]
        return rows

    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if not hasattr(backend, "encode_batch_fast"):
        return usual

    def direct(texts: Sequence[str]) -> list[list[int]]:
        # Whoever called the tokenizer last may have had it cut or pad.
        backend.no_truncation()
        backend.no_padding()
        return [one.ids for one in backend.encode_batch_fast(texts, add_special_tokens=False)]

    return direct if direct(_PROBES) == usual(_PROBES) else usual
