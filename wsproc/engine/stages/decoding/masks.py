"""Attention masks for rows that stand at different positions."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedConfig

FULL = "full_attention"
SLIDING = "sliding_attention"
BOOLEAN = frozenset({"sdpa"})
ADDITIVE = frozenset({"eager"})


class CausalMasks:
    """Builds what a decoder-only model takes as `attention_mask`, ready in four dimensions.

    Models whose layers attend in different ways take a mask by layer type; others take one mask.
    Raises ValueError for layers that keep something other than keys and values by position, and
    for attention implementations that take no mask of one's own.
    """

    def __init__(self, config: PreTrainedConfig) -> None:
        self._window: int | None = getattr(config, "sliding_window", None)
        usual = SLIDING if self._window else FULL
        self._kinds = sorted(set(getattr(config, "layer_types", None) or [usual]))
        unknown = set(self._kinds) - {FULL, SLIDING}
        if unknown:
            raise ValueError(f"layers of these kinds cannot be decoded in slots: {sorted(unknown)}")
        self._implementation = config._attn_implementation
        if self._implementation not in BOOLEAN | ADDITIVE:
            raise ValueError(
                f"attention implementation {self._implementation!r} takes no mask by row; "
                "load the model with attn_implementation='sdpa'"
            )

    def __call__(
        self, positions: Tensor, length: int, dtype: torch.dtype
    ) -> Tensor | dict[str, Tensor]:
        """Return the mask of `positions` `[rows, width]` over `length` keys.

        Each mask is `[rows, 1, width, length]`: a token sees the positions up to its own, and no
        further back than the window where its layer has one.
        """
        masks = {kind: self._of(kind, positions, length, dtype) for kind in self._kinds}
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _of(self, kind: str, positions: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        keys = torch.arange(length, device=positions.device)
        seen = keys <= positions[..., None]
        if kind == SLIDING and self._window:
            seen &= keys > positions[..., None] - self._window
        mask = seen[:, None]
        if self._implementation in BOOLEAN:
            return mask
        return additive(mask, dtype)


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a boolean mask as what is added to attention scores: 0 where seen, else the least."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(
        ~mask, torch.finfo(dtype).min
    )
