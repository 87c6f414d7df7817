"""The device side of decoder-only decoding: one model over one slot cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from wsproc.engine.models.transfer import onto, write
from wsproc.engine.stages.decoding.cache import SlotCache, together
from wsproc.engine.stages.decoding.masks import CausalMasks
from wsproc.engine.stages.decoding.static_step import Capture, StaticStep, doubled

LEAST_LENGTH = 128
"""The shortest of the lengths that a captured step is computed at; reasoned, not measured."""


class CausalDecoder:
    """Runs a causal language model over rows that stand at different positions.

    `slots` rows of `context` tokens are allocated at once; each row of logits has `vocabulary`
    numbers. With `capture` steps of one token a row
    are captured and replayed (see `static_step`). Raises ValueError for a model whose answers would
    depend on how its tokens lie in the cache (see `_prove`).
    """

    def __init__(
        self, model: PreTrainedModel, *, slots: int, context: int, capture: Capture | None = None
    ) -> None:
        self.model: Any = model
        self.model.eval()
        self.context = context
        self.device = model.device
        self._masks = CausalMasks(model.config)
        sample = _sample(self.model)
        self.vocabulary = int(sample.logits.shape[-1])
        # One position more than the context: where what nobody reads is written.
        self.cache = SlotCache(sample.past_key_values, slots, context + 1)
        self._steps = None if capture is None else _StaticSteps(self, capture)
        _prove(self)
        if self._steps is not None:
            self._steps.prepare()

    def advance(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int]
    ) -> Tensor:
        """Feed each row its next token, which stands at its place in `positions`.

        Returns logits as `forward` does; the next pass may overwrite them. May be repeated too.
        """
        if self._steps is not None:
            logits = self._steps.take(slots, tokens, positions)
            if logits is not None:
                return logits
            self._steps = None
        return self.forward(slots, [[token] for token in tokens], positions)

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
        firsts = [start - gap for start, gap in zip(starts, gaps, strict=True)]
        input_ids = onto(padded, self.device)
        gap, first = onto([gaps, firsts], self.device)[:, :, None]
        offsets = torch.arange(width, device=self.device)
        real = offsets >= gap
        positions = (first + offsets).where(real, 0)
        written = positions.where(real, self.context)
        ends = [start + len(row) for start, row in zip(starts, tokens, strict=True)]
        self.cache.aim(slots, written, ends)
        # float32, as `generate()` chooses tokens.
        return self.logits(input_ids, positions, max(ends)).to(dtype=torch.float32, copy=True)

    def logits(self, input_ids: Tensor, positions: Tensor, length: int) -> Tensor:
        """Run the model where the cache aims; `input_ids` and `positions` are `[rows, width]`."""
        output = self.model(
            input_ids=input_ids,
            attention_mask=self._masks(positions, length, self.model.dtype),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits


class _StaticSteps:
    """Steps of one token a row in tensors that stay where they are: row n is slot n.

    Slots that take no part, and those that nobody has, compute a token all the same: they write it
    beyond the context.
    """

    def __init__(self, decoder: CausalDecoder, capture: Capture) -> None:
        self._decoder = decoder
        slots = decoder.cache.slots
        # Token, position, and where it is written, of every slot.
        self._idle = [[0] * slots, [0] * slots, [decoder.context] * slots]
        self._inputs = onto(self._idle, decoder.device)
        self._logits = torch.zeros((slots, decoder.vocabulary), device=decoder.device)
        lengths = doubled(LEAST_LENGTH, decoder.context)
        self._step = StaticStep(self._compute, [doubled(1, slots), lengths], capture)

    def prepare(self) -> None:
        """Capture the steps of short texts, for any number of rows."""
        with torch.inference_mode():
            write(self._inputs, self._idle)
            self._step.prepare()

    def take(
        self, slots: Sequence[int], tokens: Sequence[int], positions: Sequence[int]
    ) -> Tensor | None:
        """Take a step and return its logits, None where it cannot be captured."""
        ids, places, written = (list(row) for row in self._idle)
        for slot, token, position in zip(slots, tokens, positions, strict=True):
            ids[slot], places[slot], written[slot] = token, position, position
        write(self._inputs, [ids, places, written])
        ends = [position + 1 for position in positions]
        if not self._step.run(max(slots) + 1, max(ends)):
            return None
        cache = self._decoder.cache
        cache.use(slots, ends)
        span = together(slots)
        return self._logits[onto(slots, cache.device) if span is None else span]

    def _compute(self, rows: int, length: int) -> None:
        ids, places, written = self._inputs[:, :rows, None]
        self._decoder.cache.aim_static(rows, written, length)
        self._logits[:rows] = self._decoder.logits(ids, places, length)


@torch.inference_mode()
def _sample(model: Any) -> Any:
    """Return what a pass over one token gives: a cache with something in it, and logits."""
    ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    return model(input_ids=ids, use_cache=True)


@torch.inference_mode()
def _prove(decoder: CausalDecoder) -> None:
    """Compare rows in slots with the model alone, so that no unfit architecture goes unnoticed.

    Some models take positions from elsewhere than `position_ids`, or keep a state that is not
    keys and values by position; their answers would be wrong without an error.
    """
    rows = [[1, 2, 3, 4, 5], [3, 1, 2]][: decoder.cache.slots]
    rows = [row[: decoder.context] for row in rows]
    slots = list(range(len(rows)))
    starts = [0] * len(rows)
    if decoder.context > 1:
        decoder.forward(slots, [row[:-1] for row in rows], starts)
        starts = [len(row) - 1 for row in rows]
    found = decoder.advance(slots, [row[-1] for row in rows], starts)
    for logits, row in zip(found, rows, strict=True):
        ids = torch.tensor([row], device=decoder.device)
        wanted = decoder.model(input_ids=ids, use_cache=False).logits[0, -1].float()
        spread = (wanted - wanted.mean()).abs().max()
        if not torch.allclose(logits, wanted, rtol=0.0, atol=0.05 * float(spread) + 1e-5):
            name = type(decoder.model).__name__
            raise ValueError(f"{name} does not give the same answers when it is decoded in slots")
    for slot in slots:
        decoder.cache.clear(slot)
