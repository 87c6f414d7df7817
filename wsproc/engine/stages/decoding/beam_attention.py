"""Attention in which the beams of a request share the keys and values of its source text.

It is registered beside transformers' own attention functions and is the usual one
(`scaled_dot_product_attention`) wherever queries and keys have the same number of rows. Where there
are more rows of queries, the beams of one request are next to each other, and their single queries
are folded into one attention with as many queries as beams: the source is read once, not once a
beam, and is stored once.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from wsproc.engine.models.attention import use_attention

NAME = "wsproc_beams"


def beam_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend with `query` `[requests * beams, heads, width, size]` to the source of each request.

    `key` and `value` are `[requests, heads, length, size]`, or have as many rows as `query`.
    Returns `[requests * beams, width, heads, size]` and no weights, as transformers' functions do.
    """
    rows, heads, width, size = query.shape
    requests = key.shape[0]
    if rows == requests:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    beams = rows // requests
    folded = query.view(requests, beams, heads, width, size).transpose(1, 2)
    folded = folded.reshape(requests, heads, beams * width, size)
    output, _ = sdpa_attention_forward(
        module, folded, key, value, attention_mask, **{**kwargs, "is_causal": False}
    )
    return output.reshape(rows, width, heads, output.shape[-1]), None


def share_beams(model: PreTrainedModel) -> None:
    """Make `model` use this attention; ValueError for a model that takes no attention function."""
    use_attention(model, NAME, beam_attention, sdpa_mask)
