"""Summaries written by an encoder-decoder model, stepped: runs join and leave between steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from wsproc.engine.call import EngineError, InvalidItem, Item
from wsproc.engine.stages.decoding.detokenize import Detokenizer
from wsproc.engine.stages.decoding.encoder_decoder import EncoderDecoder
from wsproc.engine.stages.decoding.fields import read_lengths, read_text
from wsproc.engine.stages.decoding.search import Request
from wsproc.engine.stages.decoding.slots import SlotTable
from wsproc.engine.stages.decoding.static_step import Capture
from wsproc.engine.stages.decoding.summary_config import SummaryConfig
from wsproc.engine.stages.decoding.windows import window_spans
from wsproc.engine.stages.items import tokens_of
from wsproc.engine.stages.padding import groups_by_length
from wsproc.engine.stages.stage import Emission, StepBudget, TokenCount

DEFAULT_MAX_WINDOWS = 16
DEFAULT_SOURCE = 512
SENTINEL = 10**9  # `model_max_length` is 1e30 where a tokenizer knows no limit


@dataclass(slots=True, eq=False)
class SummaryRun:
    """One text: its windows, in tokens, one after the other through the model.

    `request` is the window being decoded, None while it waits for the encoder; `texts` are the
    summaries of the windows before it, `piece` is the text of this one so far.
    """

    windows: list[list[int]]
    min_length: int
    max_length: int
    truncated: bool
    detokenizer: Detokenizer
    request: Request[Any] | None = None
    piece: str = ""
    texts: list[str] = field(default_factory=list)
    tokens: int = 0

    @property
    def window(self) -> list[int]:
        """The tokens of the window in work."""
        return self.windows[len(self.texts)]


class Seq2SeqSummaryStage:
    """A `Stage` over an encoder-decoder model: Bart and its family, T5.

    `rows` texts are held at once, each with the beams of the model's generation config; their
    memory is allocated here. The tokens are those of `generate()` alone with the same config,
    without sampling, whatever joins, leaves or is cancelled beside the run. A step gives every
    run one token; before that the encoder reads the windows of newcomers, as many as fit in
    `tokens` and at least one. `context` is the most tokens of a window, special ones included,
    by default what model and tokenizer take; `target` the most of a summary, start token
    included; longer wishes are cut to it. Of a text of more than `max_windows` windows the rest
    is not read. `launch` is the fixed cost of a forward pass in tokens (see
    `groups_by_length`); `capture` is for decode steps that are captured once and replayed (see
    `static_step`). Runs beyond `rows` wait, giving empty emissions. Raises ValueError for a
    model that cannot be decoded row by row.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        rows: int,
        tokens: int,
        context: int | None = None,
        target: int | None = None,
        name: str = "summary",
        max_windows: int = DEFAULT_MAX_WINDOWS,
        launch: int = 48,
        capture: Capture | None = None,
    ) -> None:
        self.name = name
        self.context = _context(model, tokenizer, context)
        self._tokenizer = tokenizer
        self._max_windows = max_windows
        self._launch = launch
        self._config = SummaryConfig(model, target=target)
        self._search = self._config.search()
        beams = self._search.beams
        self.budget = StepBudget(rows=rows, tokens=max(tokens, rows * beams))
        self.counted = TokenCount()
        self._decoder = EncoderDecoder(
            model,
            slots=rows,
            beams=beams,
            source=self.context,
            target=self._config.target,
            capture=capture,
        )
        self._slots: SlotTable[SummaryRun] = SlotTable(
            rows, move=self._decoder.move, swap=self._decoder.swap
        )

    def weigh(self, item: Item) -> int:
        """Return the tokens of the text, at most one window: the encoder's work in one step."""
        return tokens_of(item.get("text"), min(self.context, self.budget.tokens))

    def begin(self, items: Sequence[Item]) -> list[SummaryRun | EngineError]:
        """Read the items; the device is first used by the step that follows."""
        return [self._begin(item) for item in items]

    def _begin(self, item: Item) -> SummaryRun | EngineError:
        try:
            return self._read(item)
        except InvalidItem as error:
            return error

    def _read(self, item: Item) -> SummaryRun:
        text = read_text(item, "text")
        least, most = read_lengths(item, low=2)
        prefix = self._config.prefix
        spans = window_spans(text, lambda parts: self._measure(prefix, parts), self.context)
        read = spans[: self._max_windows]
        parts = max(1, len(read))
        return SummaryRun(
            windows=[self._encode(prefix + text[start:end]) for start, end in read],
            min_length=self._config.min_length if least is None else least // parts,
            max_length=self._config.max_length_of(None if most is None else most // parts),
            truncated=len(spans) > len(read),
            detokenizer=Detokenizer(self._tokenizer),
        )

    def _encode(self, text: str) -> list[int]:
        encoded = self._tokenizer(text, truncation=True, max_length=self.context, verbose=False)
        return list(encoded["input_ids"])

    def _measure(self, prefix: str, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, special ones and the prefix included."""
        encoded = self._tokenizer([prefix + text for text in texts], verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    @torch.inference_mode()
    def step(self, runs: Sequence[SummaryRun]) -> list[Emission]:
        """Give each run its next token; newcomers and next windows go through the encoder first.

        What may fail for want of memory comes first and changes nothing but keys and values, which
        the same step would write again: after an exception the runs are where they were.
        """
        self._seat(runs)
        seated = [run for run in runs if run in self._slots]
        ready = sorted((run for run in seated if run.request), key=self._slots.__getitem__)
        groups = self._newcomers([run for run in seated if not run.request], len(ready))
        new = [run for group in groups for run in group]
        requests = [run.request or self._request(run) for run in (*ready, *new)]
        logits = [self._advance(ready, requests)] if ready else []
        fresh = iter(requests[len(ready) :])
        logits += [self._start(group, list(islice(fresh, len(group)))) for group in groups]
        emissions = {run: Emission(result=_result(run)) for run in runs if not run.windows}
        if logits:
            after = self._search.step(requests, torch.cat(logits))
            answers = [self._search.answer(one) if one and one.over else [] for one in after]
            self._reorder((*ready, *new), after)
            self._count(len(requests), [[len(run.window) for run in one] for one in groups])
            for run, request, answer in zip((*ready, *new), after, answers, strict=True):
                emissions[run] = self._keep(run, request, answer)
        return [emissions.get(run, Emission()) for run in runs]

    def release(self, runs: Sequence[SummaryRun]) -> None:
        """Free the slots of the runs; one that holds none is passed over."""
        for run in runs:
            if run in self._slots:
                self._decoder.clear(self._slots[run])
                self._slots.drop(run)

    def _seat(self, runs: Sequence[SummaryRun]) -> None:
        """Give slots to runs that have none, in the order of `runs`, while there are any."""
        for run in runs:
            if run.windows and run not in self._slots and self._slots.free:
                self._slots.take(run)

    def _newcomers(self, waiting: Sequence[SummaryRun], ready: int) -> list[list[SummaryRun]]:
        """Return the first of those that wait for the encoder that fit in this step together.

        They come in groups of like length, each in the order of its slots.
        """
        spare = self.budget.tokens - ready * self._search.beams
        chosen: list[SummaryRun] = []
        longest = 0
        for run in waiting:
            longest = max(longest, len(run.window))
            if chosen and (len(chosen) + 1) * longest > spare:
                break
            chosen.append(run)
        sizes = [len(run.window) for run in chosen]
        groups = groups_by_length(sizes, launch=self._launch, most=self.budget.tokens)
        return [sorted((chosen[at] for at in one), key=self._slots.__getitem__) for one in groups]

    def _request(self, run: SummaryRun) -> Request[Any]:
        processors = self._config.processors(run.window, run.min_length, run.max_length)
        return self._search.start(run.min_length, run.max_length, processors)

    def _start(self, new: Sequence[SummaryRun], requests: Sequence[Request[Any]]) -> Tensor:
        return self._decoder.begin(
            [self._slots[run] for run in new],
            [run.window for run in new],
            [request.tokens for request in requests],
        )

    def _advance(self, ready: Sequence[SummaryRun], requests: Sequence[Request[Any]]) -> Tensor:
        going = requests[: len(ready)]
        return self._decoder.advance(
            [self._slots[run] for run in ready],
            [request.tokens for request in going],
            [request.length - 1 for request in going],
        )

    def _count(self, rows: int, read: Sequence[Sequence[int]]) -> None:
        """Count a step's tokens: one a beam, and the windows that the encoder read by groups."""
        beams = rows * self._search.beams
        self.counted.useful += beams + sum(map(sum, read))
        self.counted.computed += beams + sum(len(sizes) * max(sizes) for sizes in read)

    def _reorder(self, runs: Sequence[SummaryRun], requests: Sequence[Request[Any] | None]) -> None:
        """Let the beams that go on continue their parents' past."""
        going = [
            (self._slots[run], request)
            for run, request in zip(runs, requests, strict=True)
            if request and not request.over
        ]
        if going:
            self._decoder.reorder(
                [slot for slot, _ in going],
                [request.parents for _, request in going],
                max(request.length for _, request in going) - 1,
            )

    def _keep(
        self, run: SummaryRun, request: Request[Any] | None, answer: Sequence[int]
    ) -> Emission:
        """Note what a step gave to a run, with the `answer` if it is over, and say what is new."""
        if request is None:
            return Emission(error=EngineError("the model gave no usable scores for the next token"))
        if run.request is None:
            self._slots.promote(run)
        run.request = request
        if request.over:
            return self._end_window(run, answer)
        if self._search.beams > 1:
            return Emission()
        # Without beams a token is final as soon as it is chosen.
        piece = run.detokenizer.push(request.tokens[0])
        run.piece += piece
        return Emission(({"text": _joined([*run.texts, run.piece])},)) if piece else Emission()

    def _end_window(self, run: SummaryRun, tokens: Sequence[int]) -> Emission:
        """Take up the summary of a window and go on to the next, or end."""
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        assert isinstance(text, str)
        run.texts.append(text)
        run.tokens += len(tokens)
        if len(run.texts) == len(run.windows):
            return Emission(result=_result(run))
        run.request, run.piece = None, ""
        run.detokenizer = Detokenizer(self._tokenizer)
        self._decoder.clear(self._slots[run])
        self._slots.demote(run)
        return Emission(({"text": _joined(run.texts)},))


def _joined(texts: Sequence[str]) -> str:
    return " ".join(stripped for text in texts if (stripped := text.strip()))


def _result(run: SummaryRun) -> Mapping[str, object]:
    return {
        "summary": _joined(run.texts),
        "windows": len(run.windows),
        "truncated": run.truncated,
        "tokens": run.tokens,
    }


def _context(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: int | None) -> int:
    """Return the most tokens of a window."""
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    stated = [positions or SENTINEL, tokenizer.model_max_length]
    known = [size for size in stated if size < SENTINEL]
    limits = [*known, *([asked] if asked else [])]
    return int(min(limits, default=DEFAULT_SOURCE))
