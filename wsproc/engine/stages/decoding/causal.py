"""The device side of decoder-only decoding: one model over one slot cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from wsproc.engine.stages.decoding.cache import SlotCache
from wsproc.engine.stages.decoding.masks import CausalMasks


class CausalDecoder:
    """Runs a causal language model over rows that stand at different positions.

    `slots` rows of `context` tokens are allocated at once. Raises ValueError for a model whose
    answers would depend on how its tokens lie in the cache (see `_prove`).
    """

    def __init__(self, model: PreTrainedModel, *, slots: int, context: int) -> None:
        self.model: Any = model
        self.model.eval()
        self.context = context
        self.device = model.device
        # One position more than the context: where the padding of a short row is written.
        self.cache = SlotCache(slots, context + 1, self.device)
        self._masks = CausalMasks(model.config)
        _prove(self)

    def forward(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], starts: Sequence[int]
    ) -> Tensor:
        """Feed each row its next tokens and return the logits after its last, `[rows, vocabulary]`.

        `starts` are the positions of each row's first new token. Rows of different numbers of
        tokens are padded on the left. Nothing is remembered but keys and values at the positions
        written: the same call again gives the same result.
        """
        width = max(map(len, tokens))
        gaps = [width - len(row) for row in tokens]
        padded = [[0] * gap + list(row) for gap, row in zip(gaps, tokens, strict=True)]
        input_ids = torch.tensor(padded, device=self.device)
        offsets = torch.arange(width, device=self.device)
        first = torch.tensor(
            [start - gap for start, gap in zip(starts, gaps, strict=True)], device=self.device
        )
        real = offsets >= torch.tensor(gaps, device=self.device)[:, None]
        positions = (first[:, None] + offsets).where(real, 0)
        written = positions.where(real, self.context)
        ends = [start + len(row) for start, row in zip(starts, tokens, strict=True)]
        self.cache.aim(slots, written, ends)
        output = self.model(
            input_ids=input_ids,
            attention_mask=self._masks(positions, max(ends), self.model.dtype),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        # float32, as `generate()` chooses tokens.
        logits: Tensor = output.logits[:, -1].to(dtype=torch.float32, copy=True)
        return logits


@torch.inference_mode()
def _prove(decoder: CausalDecoder) -> None:
    """Compare rows in slots with the model alone, so that no unfit architecture goes unnoticed.

    Some models take positions from elsewhere than `position_ids`, or keep a state that is not
    keys and values by position; their answers would be wrong without an error. This also
    allocates the cache.
    """
    rows = [[1, 2, 3, 4, 5], [3, 1, 2]][: decoder.cache.slots]
    rows = [row[: decoder.context] for row in rows]
    slots = list(range(len(rows)))
    starts = [0] * len(rows)
    if decoder.context > 1:
        decoder.forward(slots, [row[:-1] for row in rows], starts)
        starts = [len(row) - 1 for row in rows]
    found = decoder.forward(slots, [row[-1:] for row in rows], starts)
    for logits, row in zip(found, rows, strict=True):
        ids = torch.tensor([row], device=decoder.device)
        wanted = decoder.model(input_ids=ids, use_cache=False).logits[0, -1].float()
        spread = (wanted - wanted.mean()).abs().max()
        if not torch.allclose(logits, wanted, rtol=0.0, atol=0.05 * float(spread) + 1e-5):
            name = type(decoder.model).__name__
            raise ValueError(f"{name} does not give the same answers when it is decoded in slots")
    for slot in slots:
        decoder.cache.clear(slot)
