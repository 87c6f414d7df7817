"""Causal attention for training on a CPU: two batched products and a softmax.

For heads as small as these and short rows, the backward pass of PyTorch's own CPU kernel takes
two to three times as long. It is used in training only; the weights are for any implementation.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

NAME = "batched_causal"


@cache
def _future(length: int, dtype: torch.dtype) -> Tensor:
    """Return (length, length): minus infinity where the column is later than the row, else 0."""
    return torch.full((length, length), float("-inf")).triu(1).to(dtype)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """Attend within whole rows, (batch, heads, length, size) each; returns heads after length."""
    mask = _future(query.shape[2], query.dtype)
    flat = [states.flatten(0, 1) for states in (query, key, value)]
    scores = torch.baddbmm(mask, flat[0], flat[1].transpose(1, 2), alpha=scaling)
    mixed = torch.bmm(torch.softmax(scores, dim=-1), flat[2])
    return mixed.view_as(query).transpose(1, 2).contiguous(), None


def register() -> str:
    """Make it known to transformers and return its name."""
    AttentionInterface.register(NAME, attention)
    return NAME
