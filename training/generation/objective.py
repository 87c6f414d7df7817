"""Next-token loss of a model with tied embeddings, without ever holding all its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 512  # rows; their float32 logits over a vocabulary of 4,096 are 8 MB and stay in the cache


class TiedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `hidden @ embedding.T`, its gradient made in the forward pass.

    The products are in bfloat16, the softmax and the sums in float32. The idea is that of the fused
    linear cross-entropy of Liger Kernel (Hsu et al. 2024): one pass over each chunk of rows.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        """`hidden` (rows, width), `embedding` (vocabulary, width), `targets` (rows,) of ids."""
        states, table = hidden.bfloat16(), embedding.bfloat16()
        for_hidden = torch.empty_like(states)
        for_embedding = torch.zeros_like(embedding, dtype=torch.float32)
        loss = torch.zeros(())
        for start in range(0, len(states), CHUNK):
            part = slice(start, start + CHUNK)
            error = torch.softmax((states[part] @ table.T).float(), dim=-1)
            rows = torch.arange(len(error))
            right = error[rows, targets[part]]
            loss -= right.clamp_min(1e-30).log().sum()
            error[rows, targets[part]] = right - 1
            error16 = error.bfloat16()
            for_hidden[part] = error16 @ table
            for_embedding += error16.T @ states[part]
        scale = 1 / len(states)
        ctx.save_for_backward(for_hidden.float() * scale, for_embedding * scale)
        return loss * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Scale the gradients that the forward pass made."""
        for_hidden, for_embedding = ctx.saved_tensors
        return for_hidden * gradients[0], for_embedding * gradients[0], None


def next_token_loss(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss; `hidden` (batch, length, width), `targets` (batch, length)."""
    rows = hidden.flatten(0, 1), embedding, targets.flatten()
    loss: Tensor = TiedCrossEntropy.apply(*rows)  # type: ignore[no-untyped-call]
    return loss
