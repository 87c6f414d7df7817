"""The device side of encoder-decoder decoding: two slot caches and two kinds of forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from wsproc.engine.stages.decoding.beam_attention import share_beams
from wsproc.engine.stages.decoding.cache import SlotCache
from wsproc.engine.stages.decoding.row_positions import RowPositions


class EncoderDecoder:
    """Runs a sequence-to-sequence model over requests that stand at different positions.

    A request has one slot: one row of up to `source` tokens for what its source text gave, read by
    all its beams, and `beams` rows of up to `target` tokens for what they have written. All of it
    is allocated at once. Changes the model: its attention becomes `beam_attention`, and during a
    pass its positions are asked by row. Raises ValueError for a model that this does not fit.
    """

    def __init__(
        self, model: PreTrainedModel, *, slots: int, beams: int, source: int, target: int
    ) -> None:
        share_beams(model)
        self.model: Any = model
        self.model.eval()
        self.device = model.device
        self.slots = slots
        self.beams = beams
        self._positions = RowPositions(model, most=target)
        self._own = SlotCache(slots * beams, target, self.device)
        # One position more than a source can have: where the padding of a short one is written.
        self._beyond = source
        self._source = SlotCache(slots, source + 1, self.device)
        self._cache = EncoderDecoderCache(self._own, self._source)
        _prove(self)

    def begin(
        self,
        slots: Sequence[int],
        sources: Sequence[Sequence[int]],
        tokens: Sequence[Sequence[int]],
    ) -> Tensor:
        """Read the sources of new requests and feed their beams the first token.

        `sources` are token ids of the encoder, special ones included; `tokens` has one token for
        each beam. Returns logits `[requests * beams, vocabulary]` in float32.
        """
        width = max(map(len, sources))
        padded = [[*source, *[self._pad] * (width - len(source))] for source in sources]
        sizes = [len(source) for source in sources]
        columns = torch.arange(width, device=self.device)
        mask = columns < torch.tensor(sizes, device=self.device)[:, None]
        encoded = self.model.get_encoder()(
            input_ids=torch.tensor(padded, device=self.device), attention_mask=mask.long()
        )
        self._source.aim(slots, columns.where(mask, self._beyond), sizes)
        self._cache.is_updated = {}
        return self._decode(slots, tokens, [0] * len(slots), encoded)

    def advance(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> Tensor:
        """Feed each request's beams their next token, which stands at its place in `positions`.

        Returns logits `[requests * beams, vocabulary]` in float32.
        """
        self._source.look(slots)
        self._cache.is_updated = dict.fromkeys(range(len(self._source.layers)), True)
        # The model only asks whether there is an encoder's output: its keys are in the cache.
        nothing = self.model.get_input_embeddings().weight.new_zeros((1, 1, 1))
        return self._decode(slots, tokens, positions, BaseModelOutput(last_hidden_state=nothing))

    def _decode(
        self,
        slots: Sequence[int],
        tokens: Sequence[Sequence[int]],
        positions: Sequence[int],
        encoded: BaseModelOutput,
    ) -> Tensor:
        each = [position for position in positions for _ in range(self.beams)]
        places = torch.tensor(each, device=self.device)
        self._own.aim(self._rows(slots), places[:, None], [place + 1 for place in each])
        with self._positions.at(places):
            output = self.model(
                encoder_outputs=encoded,
                attention_mask=self._source_mask(slots),
                decoder_input_ids=torch.tensor(
                    [token for row in tokens for token in row], device=self.device
                )[:, None],
                decoder_attention_mask=_mask(places, max(each) + 1),
                past_key_values=self._cache,
                use_cache=True,
            )
        logits: Tensor = output.logits[:, -1].to(dtype=torch.float32, copy=True)
        return logits

    def reorder(self, slots: Sequence[int], parents: Sequence[Sequence[int]], length: int) -> None:
        """Let each beam continue the past of its parent; only beams that change are copied."""
        sources, targets = [], []
        for slot, beams in zip(slots, parents, strict=True):
            for beam, parent in enumerate(beams):
                if beam != parent:
                    sources.append(slot * self.beams + parent)
                    targets.append(slot * self.beams + beam)
        if targets:
            self._own.copy(sources, targets, length)

    def move(self, source: int, target: int) -> None:
        """Copy a slot over a free one and free it."""
        self._source.move(source, target)
        for old, new in zip(self._rows([source]), self._rows([target]), strict=True):
            self._own.move(old, new)

    def swap(self, a: int, b: int) -> None:
        """Exchange two slots."""
        self._source.swap(a, b)
        for one, other in zip(self._rows([a]), self._rows([b]), strict=True):
            self._own.swap(one, other)

    def clear(self, slot: int) -> None:
        """Make a slot free."""
        self._source.clear(slot)
        for row in self._rows([slot]):
            self._own.clear(row)

    def _rows(self, slots: Sequence[int]) -> list[int]:
        return [slot * self.beams + beam for slot in slots for beam in range(self.beams)]

    def _source_mask(self, slots: Sequence[int]) -> Tensor:
        sizes = [self._source.used[slot] for slot in slots]
        return _mask(torch.tensor(sizes, device=self.device) - 1, max(sizes))

    @property
    def _pad(self) -> int:
        return int(self.model.config.pad_token_id or 0)


def _mask(last: Tensor, length: int) -> Tensor:
    """Return `[rows, 1, 1, length]`: each row sees the positions up to its `last` one."""
    return (torch.arange(length, device=last.device) <= last[:, None])[:, None, None]


@torch.inference_mode()
def _prove(decoder: EncoderDecoder) -> None:
    """Compare requests in slots with the model alone, so that no unfit architecture goes unnoticed.

    This also allocates the caches.
    """
    model = decoder.model
    sources = [[3, 4, 5, 6], [4, 5]][: decoder.slots]
    slots = list(range(len(sources)))
    fed = [[3, 4], [3, 4, 5]][: decoder.slots]
    tokens = [[[token] * decoder.beams for token in row] for row in fed]
    decoder.begin(slots, sources, [row[0] for row in tokens])
    for slot in slots[1:]:
        decoder.advance([slot], [tokens[slot][1]], [1])
    places = [len(row) - 1 for row in fed]
    found = decoder.advance(slots, [row[-1] for row in tokens], places)
    wanted = [
        model(
            input_ids=torch.tensor([source], device=decoder.device),
            decoder_input_ids=torch.tensor([row], device=decoder.device),
            use_cache=False,
        ).logits[0, -1].float()
        for source, row in zip(sources, fed, strict=True)
    ]  # fmt: skip
    for slot, logits in zip(slots, wanted, strict=True):
        spread = (logits - logits.mean()).abs().max()
        of_beams = found[slot * decoder.beams : (slot + 1) * decoder.beams]
        if not torch.allclose(of_beams, logits, rtol=0.0, atol=0.05 * float(spread) + 1e-5):
            name = type(model).__name__
            raise ValueError(f"{name} does not give the same answers when it is decoded in slots")
    for slot in slots:
        decoder.clear(slot)
