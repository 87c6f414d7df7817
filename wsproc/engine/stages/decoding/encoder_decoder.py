"""The device side of encoder-decoder decoding: two slot caches and two kinds of forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from wsproc.engine.models.transfer import onto, write
from wsproc.engine.stages.decoding.beam_attention import share_beams
from wsproc.engine.stages.decoding.cache import SlotCache, together
from wsproc.engine.stages.decoding.row_positions import RowPositions
from wsproc.engine.stages.decoding.static_step import Capture, StaticStep, doubled

LEAST_TARGET, LEAST_SOURCE = 64, 128
"""The shortest of the lengths that a captured step is computed at; reasoned, not measured."""


class EncoderDecoder:
    """Runs a sequence-to-sequence model over requests that stand at different positions.

    A request has one slot: one row of up to `source` tokens for what its source text gave, read by
    all its beams, and `beams` rows of up to `target` tokens for what they have written. All of it
    is allocated at once. With `capture` steps of one token are captured and replayed (see
    `static_step`). Changes the model: its attention becomes `beam_attention`, and during a pass its
    positions are asked by row. Raises ValueError for a model that this does not fit.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        slots: int,
        beams: int,
        source: int,
        target: int,
        capture: Capture | None = None,
    ) -> None:
        share_beams(model)
        self.model: Any = model
        self.model.eval()
        self.device = model.device
        self.slots = slots
        self.beams = beams
        self.positions = RowPositions(model, most=target)
        sample = _sample(self.model)
        past = sample.past_key_values
        # One position more than there is room for: where what nobody reads is written.
        self.source_length, self.target_length = source, target
        self.own_cache = SlotCache(past.self_attention_cache, slots * beams, target + 1)
        self.source_cache = SlotCache(past.cross_attention_cache, slots, source + 1)
        self._cache = EncoderDecoderCache(self.own_cache, self.source_cache)
        # The model only asks whether there is an encoder's output: its keys are in the cache.
        nothing = torch.zeros((1, 1, 1), dtype=model.dtype, device=self.device)
        self._read = BaseModelOutput(last_hidden_state=nothing)
        self._steps = None if capture is None else _StaticSteps(self, sample.logits, capture)
        _prove(self)
        if self._steps is not None:
            self._steps.prepare()

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
        mask = columns < onto(sizes, self.device)[:, None]
        encoded = self.model.get_encoder()(
            input_ids=onto(padded, self.device), attention_mask=mask.long()
        )
        self.source_cache.aim(slots, columns.where(mask, self.source_length), sizes)
        self._cache.is_updated = {}
        return self._decode(slots, tokens, [0] * len(slots), encoded)

    def advance(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> Tensor:
        """Feed each request's beams their next token, which stands at its place in `positions`.

        Returns logits `[requests * beams, vocabulary]` in float32; the next pass may overwrite
        them.
        """
        if self._steps is not None:
            logits = self._steps.take(slots, tokens, positions)
            if logits is not None:
                return logits
            self._steps = None
        self.source_cache.look(slots)
        self.sources_are_read()
        return self._decode(slots, tokens, positions, self._read)

    def sources_are_read(self) -> None:
        """Let the next pass take the keys and values of its sources from their cache."""
        layers = range(len(self.source_cache.layers))
        self._cache.is_updated = dict.fromkeys(layers, True)

    def _decode(
        self,
        slots: Sequence[int],
        tokens: Sequence[Sequence[int]],
        positions: Sequence[int],
        encoded: BaseModelOutput,
    ) -> Tensor:
        each = [position for position in positions for _ in range(self.beams)]
        flat = [token for row in tokens for token in row]
        ids, places = onto([flat, each], self.device)
        self.own_cache.aim(self.rows_of(slots), places[:, None], [place + 1 for place in each])
        sizes = [self.source_cache.used[slot] for slot in slots]
        mask = _seen(onto(sizes, self.device) - 1, max(sizes))
        logits = self.logits(ids, places, max(each) + 1, mask, encoded)
        return logits.to(dtype=torch.float32, copy=True)

    def logits(
        self,
        ids: Tensor,
        places: Tensor,
        length: int,
        source_mask: Tensor,
        encoded: BaseModelOutput | None = None,
    ) -> Tensor:
        """Run the decoder where the caches aim, over `length` positions of its own.

        `ids` and `places` are `[requests * beams]`; without `encoded` the sources are in the cache.
        """
        with self.positions.at(places):
            output = self.model(
                encoder_outputs=encoded or self._read,
                attention_mask=source_mask,
                decoder_input_ids=ids[:, None],
                decoder_attention_mask=_seen(places, length),
                past_key_values=self._cache,
                use_cache=True,
            )
        logits: Tensor = output.logits[:, -1]
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
            self.own_cache.copy(sources, targets, length)

    def move(self, source: int, target: int) -> None:
        """Copy a slot over a free one and free it."""
        self.source_cache.move(source, target)
        for old, new in zip(self.rows_of([source]), self.rows_of([target]), strict=True):
            self.own_cache.move(old, new)

    def swap(self, a: int, b: int) -> None:
        """Exchange two slots."""
        self.source_cache.swap(a, b)
        for one, other in zip(self.rows_of([a]), self.rows_of([b]), strict=True):
            self.own_cache.swap(one, other)

    def clear(self, slot: int) -> None:
        """Make a slot free."""
        self.source_cache.clear(slot)
        for row in self.rows_of([slot]):
            self.own_cache.clear(row)

    def rows_of(self, slots: Sequence[int]) -> list[int]:
        """Return the rows of the beams of some slots."""
        return [slot * self.beams + beam for slot in slots for beam in range(self.beams)]

    @property
    def _pad(self) -> int:
        return int(self.model.config.pad_token_id or 0)


class _StaticSteps:
    """Steps of one token a beam in tensors that stay where they are: request n is slot n.

    Slots that take no part, and those that nobody has, compute a token all the same: they write it
    beyond what there is room for.
    """

    def __init__(self, decoder: EncoderDecoder, logits: Tensor, capture: Capture) -> None:
        self._decoder = decoder
        slots, beams = decoder.slots, decoder.beams
        # Position, where it is written, the last token of the source, and each beam's token.
        self._idle = [0, decoder.target_length, 0, *[0] * beams]
        self._inputs = onto([self._idle] * slots, decoder.device)
        self._logits = torch.zeros((slots * beams, logits.shape[-1]), device=decoder.device)
        targets = doubled(LEAST_TARGET, decoder.target_length)
        sources = doubled(LEAST_SOURCE, decoder.source_length)
        self._step = StaticStep(self._compute, [doubled(1, slots), targets, sources], capture)

    def prepare(self) -> None:
        """Capture the steps of short texts, for any number of requests."""
        with torch.inference_mode():
            write(self._inputs, [self._idle] * self._decoder.slots)
            self._step.prepare()

    def take(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], positions: Sequence[int]
    ) -> Tensor | None:
        """Take a step and return its logits, None where it cannot be captured."""
        decoder = self._decoder
        sizes = [decoder.source_cache.used[slot] for slot in slots]
        inputs = [self._idle] * decoder.slots
        for slot, ids, position, size in zip(slots, tokens, positions, sizes, strict=True):
            inputs[slot] = [position, position, size - 1, *ids]
        write(self._inputs, inputs)
        if not self._step.run(max(slots) + 1, max(positions) + 1, max(sizes)):
            return None
        rows = decoder.rows_of(slots)
        ends = [position + 1 for position in positions for _ in range(decoder.beams)]
        decoder.own_cache.use(rows, ends)
        span = together(rows)
        return self._logits[onto(rows, decoder.device) if span is None else span]

    def _compute(self, requests: int, target: int, source: int) -> None:
        decoder, beams = self._decoder, self._decoder.beams
        inputs = self._inputs[:requests]
        places, written = (inputs[:, at, None].expand(-1, beams).flatten() for at in (0, 1))
        decoder.own_cache.aim_static(requests * beams, written[:, None], target)
        decoder.source_cache.aim_static(requests, None, source)
        decoder.sources_are_read()
        ids = inputs[:, 3:].flatten()
        mask = _seen(inputs[:, 2], source)
        self._logits[: requests * beams] = decoder.logits(ids, places, target, mask)


def _seen(last: Tensor, length: int) -> Tensor:
    """Return `[rows, 1, 1, length]`: each row sees the positions up to its `last` one."""
    return (torch.arange(length, device=last.device) <= last[:, None])[:, None, None]


@torch.inference_mode()
def _sample(model: Any) -> Any:
    """Return what a pass over one token gives: caches with something in them, and logits."""
    ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    return model(input_ids=ids, decoder_input_ids=ids, use_cache=True)


@torch.inference_mode()
def _prove(decoder: EncoderDecoder) -> None:
    """Compare requests in slots with the model alone: no unfit architecture goes unnoticed."""
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
