"""The embedded summariser: picks whole sentences of the text with a small learned scorer.

A sentence is described by `sentence_features`; `Scorer`, a small network, sets it against its
neighbours and the whole text and gives it a score. Sentences are then taken greedily by score, less
a penalty for likeness to those taken before (maximal marginal relevance, Carbonell and Goldstein
1998), within a budget of words.

Everything is linear in the length of the text but the choice, which is linear for each chosen
sentence. `ExtractiveSummarizer.steps` does the same as `summarize` in small pieces, so that a
caller can stop between them and can send the summary on as it grows.
"""

# ruff: noqa: RUF001 - the marks of many scripts are meant

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from wsproc.engine.models.sentence_features import (
    FEATURES,
    Floats,
    Reader,
    Table,
    cut_to_words,
    word_count,
)
from wsproc.engine.sentences import Span, iter_sentence_spans

_Result = TypeVar("_Result")

MODEL_TYPE = "wsproc-extractive"
IDF_SCALE = 24

_BLOCK_SENTENCES = 32
_BLOCK_CHARACTERS = 4000
_BRIEF = 9
_MARKER = re.compile(r"(?:[-*+•‣◦▪●>]+|#{1,6}|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+")


@dataclass(frozen=True)
class Config:
    """The shape of the scorer and the policy of the choice, as stored in `config.json`.

    `share` is the part of the words of a text that a summary has when nobody asks for a length,
    within `min_words` and `max_words`. In units of the score, `redundancy` is what likeness 1 to a
    chosen sentence costs, and `dangling` what it costs to open with a pronoun or a connective while
    the sentence before is not chosen; `brief` is the cost of having fewer than nine words.
    """

    hidden: int
    features: tuple[str, ...] = FEATURES
    redundancy: float = 0.75
    dangling: float = 1.0
    brief: float = 1.0
    min_words: int = 30
    max_words: int = 130
    share: float = 0.25
    model_type: str = MODEL_TYPE

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the configuration; refuse weights made for other features than this code has."""
        if values.get("model_type") != MODEL_TYPE or tuple(values["features"]) != FEATURES:
            raise ValueError(f"not a {MODEL_TYPE} configuration for this version")
        names = {field.name for field in fields(cls)} - {"features"}
        return cls(features=FEATURES, **{key: values[key] for key in names & values.keys()})


@dataclass(frozen=True)
class Summary:
    """A summary: sentences of the text in their order.

    `spans` are the code points of the sentences in the text. `text` is the sentences joined by
    one space, with the white space inside each normalised to single spaces. `truncated` is true
    when no whole sentence fitted, so that the only one was cut at a word.
    """

    text: str
    spans: tuple[Span, ...]
    truncated: bool = False


@dataclass(frozen=True)
class Step:
    """One piece of work done; `delta` is what the summary's text grew by, empty while it did not.

    `span` is the sentence that `delta` holds.
    """

    delta: str = ""
    span: Span | None = None


class Scorer(nn.Module):
    """Scores sentences from their features, set against their neighbours and the whole text."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: Config, *, dropout: float = 0.0) -> None:
        super().__init__()
        inputs, hidden = len(config.features), config.hidden
        self.enter = nn.Linear(inputs, hidden)
        self.enter_norm = nn.LayerNorm(hidden)
        self.mix = nn.Linear(4 * hidden, hidden)
        self.mix_norm = nn.LayerNorm(hidden)
        self.leave = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def forward(self, batch: Batch) -> Tensor:
        """Return one score for each sentence of the batch, [sentences]."""
        dense = ((batch.dense - self.mean) / self.deviation).clamp(-5, 5)
        entered = self.enter_norm(self.enter(dense))
        hidden = self.dropout(nn.functional.gelu(entered))
        around = [hidden, batch.text_mean(hidden), batch.previous(hidden), batch.following(hidden)]
        mixed = self.mix_norm(self.mix(torch.cat(around, dim=1)))
        scores: Tensor = self.leave(hidden + self.dropout(nn.functional.gelu(mixed)))
        return scores[:, 0]


@dataclass(frozen=True)
class Batch:
    """The sentences of several texts one after the other.

    `dense` is [sentences, features]; `text` [sentences] numbers the text of each sentence.
    """

    dense: Tensor
    text: Tensor

    @classmethod
    def of(cls, tables: list[Floats]) -> Self:
        """Put the features of several texts together."""
        numbers = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        return cls(torch.from_numpy(np.concatenate(tables)), torch.from_numpy(numbers))

    def text_mean(self, values: Tensor) -> Tensor:
        """Return for each sentence the mean [sentences, width] of the values in its text."""
        counts = torch.bincount(self.text)
        sums = values.new_zeros(len(counts), values.shape[1]).index_add_(0, self.text, values)
        return (sums / counts[:, None])[self.text]

    def previous(self, values: Tensor) -> Tensor:
        """Return for each sentence the values of the one before it in its text, or zeros."""
        moved = torch.cat([torch.zeros_like(values[:1]), values[:-1]])
        return moved * self._joined()[:-1, None]

    def following(self, values: Tensor) -> Tensor:
        """Return for each sentence the values of the one after it in its text, or zeros."""
        moved = torch.cat([values[1:], torch.zeros_like(values[:1])])
        return moved * self._joined()[1:, None]

    def _joined(self) -> Tensor:
        """Return [sentences + 1]: whether two neighbours are of one text, the ends being none."""
        inner = self.text[1:] == self.text[:-1]
        end = torch.zeros(1, dtype=torch.bool)
        return torch.cat([end, inner, end])


@dataclass(frozen=True)
class _Limits:
    """How long a summary may be; `soft` is the wish where `most` is the bound."""

    least: int
    soft: int
    most: int
    sentences: int


class ExtractiveSummarizer:
    """A loaded summariser. It keeps no state between calls."""

    def __init__(self, config: Config, scorer: Scorer, idf: Floats) -> None:
        self.config = config
        self._scorer = scorer.eval()
        self.idf = idf

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load `config.json` and `model.safetensors` from a folder."""
        path = Path(folder)
        config = Config.from_json(json.loads((path / "config.json").read_text("utf-8")))
        tensors = load_file(path / "model.safetensors")
        idf: Floats = (tensors.pop("idf").float() / IDF_SCALE).numpy()
        scorer = Scorer(config)
        scorer.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        return cls(config, scorer, idf)

    def score(self, text: str) -> tuple[list[Span], Floats]:
        """Return the spans of the sentences of a text and the score [sentences] of each."""
        spans, table = _finish(self._read(text))
        return spans, self._scores(table) if table else np.zeros(0, np.float32)

    def summarize(
        self,
        text: str,
        min_words: int | None = None,
        max_words: int | None = None,
        max_sentences: int | None = None,
    ) -> Summary:
        """Return a summary of whole sentences of the text.

        It has at most `max_words` and `max_sentences`, and at least `min_words` where whole
        sentences allow that. With no word given it has a quarter of the words of the text, but
        between about 30 and 130.
        """
        return _finish(self.steps(text, min_words, max_words, max_sentences))

    def steps(
        self,
        text: str,
        min_words: int | None = None,
        max_words: int | None = None,
        max_sentences: int | None = None,
    ) -> Generator[Step, None, Summary]:
        """Make the summary in bounded pieces of work and return it.

        Yields after each piece: first some empty steps for reading, scoring and choosing, then
        one step for each chosen sentence in its order, whose deltas together are the text.
        """
        _check(min_words, max_words, max_sentences)
        spans, table = yield from self._read(text)
        if table is None:
            return Summary("", ())
        yield Step()
        scores = self._scores(table)
        yield Step()
        limits = self._limits(int(table.words.sum()), min_words, max_words, max_sentences)
        allowed = _eligible(table, limits.least)
        chosen = yield from self._choose(table, scores, allowed, limits)
        if not chosen:
            return (yield from _cut(text, spans[_best(scores, allowed)], limits.most))
        return (yield from _tell(text, [_without_marker(text, spans[i]) for i in sorted(chosen)]))

    def _read(self, text: str) -> Generator[Step, None, tuple[list[Span], Table | None]]:
        """Find and read the sentences, yielding after each block."""
        reader = Reader(self.idf)
        spans: list[Span] = []
        since = (0, 0)
        for start, end in iter_sentence_spans(text):
            reader.add(text[start:end], text[spans[-1][1] if spans else 0 : start])
            spans.append((start, end))
            if len(spans) - since[0] >= _BLOCK_SENTENCES or end - since[1] >= _BLOCK_CHARACTERS:
                since = (len(spans), end)
                yield Step()
        return spans, reader.finish() if spans else None

    @torch.inference_mode()
    def _scores(self, table: Table) -> Floats:
        """Return the scores [sentences] of a text."""
        scores: Floats = self._scorer(Batch.of([table.dense])).numpy()
        return scores

    def _limits(
        self, total: int, min_words: int | None, max_words: int | None, sentences: int | None
    ) -> _Limits:
        """Return the limits for a text of `total` words, from what the caller asked for."""
        config = self.config
        least = config.min_words if min_words is None else min_words
        if max_words is not None:
            least = min(least, max_words)
            return _Limits(least, max_words, max_words, sentences or total)
        most = max(config.max_words, 2 * least if min_words else 0)
        soft = round(config.share * total)
        soft = min(max(soft, least + least // 3), most)
        return _Limits(least, soft, most, sentences or total)

    def _choose(
        self, table: Table, scores: Floats, allowed: NDArray[np.bool_], limits: _Limits
    ) -> Generator[Step, None, list[int]]:
        """Choose sentences, yielding after each; none is chosen when none fits."""
        chosen: list[int] = []
        for most, sentences in ((limits.soft, limits.sentences), (limits.most, 1)):
            for sentence in self._greedy(table, scores, allowed, most, sentences):
                chosen.append(sentence)
                yield Step()
            if chosen:
                break
        if limits.sentences >= len(chosen) + 1 and table.words[chosen].sum() < limits.least:
            chosen = _fill(table, scores, allowed, limits, chosen)
        return chosen

    def _greedy(
        self,
        table: Table,
        scores: Floats,
        allowed: NDArray[np.bool_],
        most: int,
        sentences: int,
    ) -> Iterator[int]:
        """Yield sentences by score less redundancy while they fit."""
        open_ = allowed.copy()
        likeness = np.zeros(len(scores), np.float32)
        dangling = np.maximum(_column(table, "pronoun_start"), _column(table, "connective_start"))
        brief = self.config.brief * (table.words < _BRIEF)
        redundancy = self.config.redundancy
        room = most
        for _ in range(sentences):
            open_ &= table.words <= room
            if not open_.any():
                return
            cost = redundancy * likeness + self.config.dangling * dangling + brief
            best = int(np.where(open_, scores - cost, -np.inf).argmax())
            yield best
            open_[best] = False
            room -= int(table.words[best])
            likeness = np.maximum(likeness, table.likeness(best))
            dangling[best + 1 : best + 2] = 0
            open_ &= likeness < 0.95


def _finish(steps: Generator[Step, None, _Result]) -> _Result:
    """Run the steps to their end and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: _Result = stop.value
            return result


def _check(min_words: int | None, max_words: int | None, max_sentences: int | None) -> None:
    """Refuse limits that no summary can keep."""
    for name, value in (("max_words", max_words), ("max_sentences", max_sentences)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if min_words is not None and min_words < 0:
        raise ValueError(f"min_words must not be negative, not {min_words}")
    if min_words is not None and max_words is not None and min_words > max_words:
        raise ValueError(f"min_words {min_words} is more than max_words {max_words}")


def _eligible(table: Table, least: int) -> NDArray[np.bool_]:
    """Return which sentences [sentences] may be chosen.

    First choice are full sentences; where those hold too little of the text, as in a list, all
    lines of some words; where there are none of those either, everything. Of equal sentences
    only the first may be chosen.
    """
    first = _first_of_equals(table)
    total = int(table.words.sum())
    full, lines = _kinds(table)
    if table.words[full].sum() >= max(least, total // 5):
        return full & first
    return lines & first if lines.any() else first


def _first_of_equals(table: Table) -> NDArray[np.bool_]:
    """Return which sentences [sentences] have words that no sentence before them has exactly."""
    signs = np.bincount(table.rows, np.sin(table.buckets) * table.weights, len(table.words))
    _, first = np.unique(np.round(signs, 5) + table.words, return_index=True)
    found = np.zeros(len(table.words), bool)
    found[first] = True
    return found


def _kinds(table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which sentences are full sentences, and which are at least lines of words."""
    letters = (_column(table, "symbols") < 0.3) & (_column(table, "letters") > 0.5)
    lines = letters & (table.words >= 4)
    small = _column(table, "small_start") > 0
    full = letters & (table.words >= 6) & (_column(table, "stop_end") > 0)
    full &= _column(table, "item") == 0
    full &= (_column(table, "courtesy") == 0) | (table.words >= 12)
    return full & (~small | (table.words >= 12) | (small.mean() > 0.5)), lines


def _column(table: Table, name: str) -> Floats:
    """Return one feature [sentences]."""
    return table.dense[:, FEATURES.index(name)]


def _best(scores: Floats, allowed: NDArray[np.bool_]) -> int:
    """Return the allowed sentence with the highest score."""
    return int(np.where(allowed, scores, -np.inf).argmax())


def _fill(
    table: Table, scores: Floats, allowed: NDArray[np.bool_], limits: _Limits, chosen: list[int]
) -> list[int]:
    """Return a choice that reaches the least number of words, or the given one if none does.

    The greedy choice may leave a gap that no sentence fits. Of the best forty sentences this
    finds by dynamic programming the subset of highest rank up to the wished length, or else the
    shortest within the bounds.
    """
    order = [int(i) for i in np.argsort(-scores, kind="stable") if allowed[i]][:40]
    found: dict[int, tuple[int, list[int]]] = {0: (0, [])}
    for rank, sentence in enumerate(order):
        cost = int(table.words[sentence])
        for words, (worth, subset) in list(found.items()):
            more, value = words + cost, worth + len(order) - rank
            fits = more <= limits.most and len(subset) < limits.sentences
            if fits and value > found.get(more, (-1, []))[0]:
                found[more] = (value, [*subset, sentence])
    enough = {words: option for words, option in found.items() if words >= limits.least}
    wished = [option for words, option in enough.items() if words <= limits.soft]
    if wished:
        return max(wished)[1]
    return enough[min(enough)][1] if enough else chosen


def _without_marker(text: str, span: Span) -> Span:
    """Return the span without a bullet or number before a sentence that ends as one.

    A line without a full stop keeps its marker: in the summary it parts the line from the others.
    """
    match = _MARKER.match(text, *span)
    if match and match.end() < span[1] and text[span[1] - 1] in ".!?…。！？؟":
        return match.end(), span[1]
    return span


def _tell(text: str, spans: list[Span]) -> Generator[Step, None, Summary]:
    """Yield the chosen sentences in their order and return them as a summary."""
    parts: list[str] = []
    for start, end in spans:
        part = " ".join(text[start:end].split())
        yield Step(f" {part}" if parts else part, (start, end))
        parts.append(part)
    return Summary(" ".join(parts), tuple(spans))


def _cut(text: str, span: Span, most: int) -> Generator[Step, None, Summary]:
    """Yield and return the start of a sentence that is too long as a whole."""
    start = span[0]
    sentence = text[start : span[1]]
    end = start + cut_to_words(sentence, most)
    part = " ".join(text[start:end].split())
    yield Step(part, (start, end))
    return Summary(part, ((start, end),), truncated=True)


__all__ = ["Batch", "Config", "ExtractiveSummarizer", "Scorer", "Step", "Summary", "word_count"]
