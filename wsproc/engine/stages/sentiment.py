"""The sentiment stage: any sequence classification checkpoint, in batches over all runs.

Item `{"text": str}`. Result:

- `sentiment`: NEGATIVE, NEUTRAL or POSITIVE, the likeliest;
- `confidence`: its probability;
- `scores`: the probability of each of the three;
- `tokens`: of the text, without special tokens; `windows`: how many pieces it was read in.

A text that is longer than the model's input is read in windows of tokens that overlap by an eighth,
one in each step, and its scores are the windows' scores averaged with their tokens as weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from wsproc.engine.call import EngineError, Item, Value
from wsproc.engine.models.load import LoadedModel
from wsproc.engine.models.token_ids import token_ids
from wsproc.engine.models.transfer import onto
from wsproc.engine.models.unpadded import Unpadded
from wsproc.engine.stages.items import text_of, tokens_of
from wsproc.engine.stages.labels import SENTIMENTS, label_reader
from wsproc.engine.stages.padding import (
    groups_behind_each_other,
    groups_by_length,
    groups_of_equal_length,
)
from wsproc.engine.stages.stage import Emission, StepBudget, TokenCount

_SECTION = 8  # characters tokenized at once, for each token of the input
_HANDLE = re.compile(r"(?<!\S)@\S+")
_LINK = re.compile(r"(?<!\S)https?\S*")
_TWEET_MODELS = re.compile(r"cardiffnlp|twitter-(?:xlm-)?roberta")
_BLANK = re.compile(r"\s{64,}")


@dataclass(slots=True)
class SentimentRun:
    """One text on its way through its windows.

    `ahead` are the tokens that are read from the text and not yet classified, `at` is where the
    rest of the text begins; `sums` [3] are the window probabilities times their tokens so far.
    """

    text: str
    ahead: list[int]
    at: int
    tokens: int
    windows: int = 0
    weight: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


class SentimentStage:
    """Classifies texts with one checkpoint.

    `normalize` replaces names (`@someone`) by `@user` and links by `http`, as the models trained on
    tweets expect it; None does so for those alone, which are known by their name. `launch` is the
    fixed cost of a forward pass in tokens (see `groups_by_length`); None puts only texts of equal
    length together, for a model whose results would feel the padding. The length of a batch is
    rounded up to a `multiple`, as far as the model can read. With `unpadded`, which runs the same
    model, there is no padding and any texts go together. `label_map` and `scale` are explained in
    `labels`. `counted` may be read at any time.

    Raises `ModelUnavailable` for a checkpoint whose labels cannot be mapped.
    """

    name = "sentiment"

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        rows: int,
        tokens: int,
        launch: int | None,
        multiple: int = 1,
        unpadded: Unpadded | None = None,
        label_map: Mapping[str, str] | None = None,
        scale: tuple[float, float] = (-1.0, 1.0),
        normalize: bool | None = None,
    ) -> None:
        config = loaded.model.config
        self.budget = StepBudget(rows, tokens)
        self.counted = TokenCount()
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._token_ids = token_ids(loaded.tokenizer)
        self._device = loaded.device
        self._launch = launch
        self._unpadded = unpadded
        self._multiple = multiple
        self._reader = label_reader(
            [str(config.id2label[index]) for index in range(config.num_labels)],
            model=loaded.source.location,
            problem_type=config.problem_type,
            label_map=label_map,
            scale=scale,
        )
        name = f"{loaded.source.location} {config.name_or_path}"
        self._normalize = bool(_TWEET_MODELS.search(name)) if normalize is None else normalize
        self._prefix, self._suffix = _special_tokens(loaded.tokenizer)
        around = len(self._prefix) + len(self._suffix)
        self._body = max(1, loaded.max_tokens - around)
        self._longest = self._body + around
        self._overlap = self._body // 8

    def weigh(self, item: Item) -> int:
        """Return about how many tokens the item's first window has."""
        return tokens_of(item.get("text"), self._body)

    def begin(self, items: Sequence[Item]) -> list[SentimentRun | EngineError]:
        """Tokenize the beginning of each text, all at once."""
        texts = [text_of(item) for item in items]
        good = [self._prepared(text) for text in texts if isinstance(text, str)]
        ends = [self._section_end(text, 0) for text in good]
        rows = self._token_ids([text[:end] for text, end in zip(good, ends, strict=True)])
        runs = (
            SentimentRun(text, ids, end, len(ids))
            for text, ids, end in zip(good, rows, ends, strict=True)
        )
        return [next(runs) if isinstance(text, str) else text for text in texts]

    def step(self, runs: Sequence[SentimentRun]) -> list[Emission]:
        """Classify the next window of each run; after an exception the runs are where they were."""
        windows = [self._window(run) for run in runs]
        groups = self._groups(list(map(len, windows)))
        # All groups are asked for before anybody waits for the first.
        found = [self._classified([windows[index] for index in group]) for group in groups]
        order = [index for group in groups for index in group]
        scores = dict(zip(order, torch.cat(found).tolist(), strict=True))
        return [self._emission(run, scores[index]) for index, run in enumerate(runs)]

    def _groups(self, lengths: list[int]) -> list[list[int]]:
        if self._unpadded is not None:
            return groups_behind_each_other(lengths, most=self.budget.tokens)
        if self._launch is None:
            return groups_of_equal_length(lengths, most=self.budget.tokens)
        computed = list(map(self._computed, lengths))
        return groups_by_length(computed, launch=self._launch, most=self.budget.tokens)

    def release(self, runs: Sequence[SentimentRun]) -> None:
        """Hold nothing: between steps nothing of a run is on the device."""

    def _prepared(self, text: str) -> str:
        """Return the text as the model wants it, without long blanks: they would only cost time."""
        text = _BLANK.sub(" ", text)
        return _LINK.sub("http", _HANDLE.sub("@user", text)) if self._normalize else text

    def _section_end(self, text: str, start: int) -> int:
        """Return where to stop tokenizing for now: before white space, where there is some.

        Tokenizing a long text takes seconds, so a run takes it in sections as it needs them.
        """
        end = start + _SECTION * self._body
        if end >= len(text):
            return len(text)
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        return space if space > start else end

    def _window(self, run: SentimentRun) -> list[int]:
        """Return the run's next window with special tokens, reading on in its text if need be."""
        while len(run.ahead) <= self._body and run.at < len(run.text):
            end = self._section_end(run.text, run.at)
            (more,) = self._token_ids([run.text[run.at : end]])
            run.ahead += more
            run.tokens += len(more)
            run.at = end
        return [*self._prefix, *run.ahead[: self._body], *self._suffix]

    @torch.inference_mode()
    def _classified(self, windows: list[list[int]]) -> Tensor:
        """Return [windows, 3] probabilities, on the device."""
        return self._reader.read(self._logits(windows))

    def _logits(self, windows: list[list[int]]) -> Tensor:
        """Return [windows, labels] and count the tokens."""
        self.counted.useful += sum(map(len, windows))
        if self._unpadded is not None:
            self.counted.computed += sum(map(len, windows))
            return self._unpadded.logits(windows)
        ids, mask = self._batch(windows)
        self.counted.computed += ids.numel()
        logits: Tensor = self._model(input_ids=ids, attention_mask=mask).logits
        return logits

    def _batch(self, windows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Return ids and mask `[rows, longest]`; that is rounded up to the device's multiple.

        Tokens go to the device without the padding, one behind the other, and are spread there.
        """
        sizes = [len(window) for window in windows]
        width = self._computed(max(sizes))
        tokens = onto([token for window in windows for token in window], self._device)
        columns = torch.arange(width, device=self._device)
        lengths = onto(sizes, self._device)[:, None]
        left = self._tokenizer.padding_side == "left"
        mask = columns >= width - lengths if left else columns < lengths
        padding = torch.full(mask.shape, self._tokenizer.pad_token_id, device=self._device)
        return padding.masked_scatter_(mask, tokens), mask.long()

    def _computed(self, length: int) -> int:
        """Return how many tokens a text of that length takes, the longest of its batch."""
        return min(length + -length % self._multiple, self._longest)

    def _emission(self, run: SentimentRun, scores: Sequence[float]) -> Emission:
        """Count the window in; the run is finished if it was the last."""
        if not all(map(isfinite, scores)):
            return Emission(error=EngineError("the model gave no number (NaN) for this text"))
        size = min(len(run.ahead), self._body)
        weight = max(1, size)
        run.windows += 1
        run.weight += weight
        run.sums = [total + weight * score for total, score in zip(run.sums, scores, strict=True)]
        if len(run.ahead) > self._body:
            del run.ahead[: self._body - self._overlap]
            return Emission()
        return Emission(result=_result(run))


def _result(run: SentimentRun) -> Value:
    """Average the windows; six digits, since the last ones depend on how a batch is computed."""
    scores = [round(total / run.weight, 6) for total in run.sums]
    best = max(range(3), key=scores.__getitem__)
    return {
        "sentiment": SENTIMENTS[best],
        "confidence": scores[best],
        "scores": dict(zip(SENTIMENTS, scores, strict=True)),
        "tokens": run.tokens,
        "windows": run.windows,
    }


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens that the tokenizer puts before and behind a text."""
    probe = tokenizer("a", return_special_tokens_mask=True)
    ids, special = probe["input_ids"], probe["special_tokens_mask"]
    if 0 not in special:
        return list(ids), []
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return list(ids[:first]), list(ids[last:])
