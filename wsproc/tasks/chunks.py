"""How a text is split into chunks, and what its chunks' sentiments add up to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from wsproc.engine import SettledSentences, sentence_spans
from wsproc.frames.server import ChunkResult, Sentiment, SentimentResult

Split = Literal["fixed", "sentence"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text: `text[start:end]`, in code points."""

    start: int
    end: int
    text: str


def split_text(text: str, size: int, split: Split = "fixed") -> list[Chunk]:
    """Split a text into chunks of at most `size` characters, in order.

    `fixed` cuts every `size` characters; `sentence` packs whole sentences and cuts only a sentence
    that is longer than `size`. Either way the chunks joined are the whole text.
    """
    cuts = _fixed_cuts(0, len(text), size) if split == "fixed" else _sentence_cuts(text, size)
    return [Chunk(start, end, text[start:end]) for start, end in pairwise(cuts)]


def _fixed_cuts(start: int, end: int, size: int) -> list[int]:
    return [*range(start, end, size), end]


def _sentence_cuts(text: str, size: int) -> list[int]:
    """Return the cuts of a greedy packing; white space between sentences goes to the earlier."""
    starts = [start for start, _ in sentence_spans(text)]
    return [0, *_packed(0, starts[1:], len(text), size), len(text)] if text else [0]


def _packed(cut: int, starts: Iterable[int], end: int, size: int) -> list[int]:
    """Return the cuts after `cut` that the sentences from there to `end` need; `starts` are those
    of all sentences between.

    They do not depend on where the last sentence ends, if not before `end`.
    """
    cuts = [cut]
    for start, stop in pairwise([cut, *starts, end]):
        if stop - cuts[-1] <= size:
            continue
        if start > cuts[-1]:
            cuts.append(start)
        cuts += _fixed_cuts(cuts[-1], stop, size)[1:-1]
    return cuts[1:]


class GrowingChunks:
    """The chunks of a text that is still growing: those of `split_text`, as soon as each is sure.

    Read the text again whenever it has grown; each chunk is returned once. A fixed chunk is sure
    when all its characters are there, one of sentences when the sentence behind it does not fit.
    """

    def __init__(self, size: int, split: Split) -> None:
        self._size = size
        self._sentences = SettledSentences() if split == "sentence" else None
        self._cut = 0
        self._seen = 0

    def read(self, text: str, *, final: bool = False) -> list[Chunk]:
        """Return the chunks that have become sure; `final` where nothing will follow."""
        if final:
            cuts = [*self._rest(text), len(text)] if len(text) > self._cut else []
        else:
            cuts = self._sure(text)
        chunks = [Chunk(start, end, text[start:end]) for start, end in pairwise([self._cut, *cuts])]
        self._cut = cuts[-1] if cuts else self._cut
        return chunks

    def _rest(self, text: str) -> list[int]:
        if self._sentences is None:
            return _fixed_cuts(self._cut, len(text), self._size)[1:-1]
        starts = [start for start, _ in sentence_spans(text)]
        return _packed(self._cut, self._behind(starts), len(text), self._size)

    def _sure(self, text: str) -> list[int]:
        if self._sentences is None:
            return [*range(self._cut + self._size, len(text) + 1, self._size)]
        if len(text) - self._cut <= self._size or not self._has_grown(text):
            return []
        self._sentences.read(text)
        starts = self._behind(self._sentences.starts)
        return _packed(self._cut, starts, self._sentences.until, self._size)

    def _behind(self, starts: list[int]) -> list[int]:
        """Return the starts behind the last cut; the first one of a text is no place to cut."""
        return [start for start in starts[1:] if start > self._cut]

    def _has_grown(self, text: str) -> bool:
        """Whether so much has come that looking again is worth it: what is looked at is long where
        a paragraph is, and may grow by a character at a time.
        """
        assert self._sentences is not None
        if len(text) - self._seen < (len(text) - self._sentences.open_since) // 256:
            return False
        self._seen = len(text)
        return True


def overall(chunks: Sequence[ChunkResult]) -> SentimentResult:
    """Count the chunks' sentiments; the overall one is the most frequent, NEUTRAL on a tie of
    POSITIVE and NEGATIVE, and the coloured one on a tie with NEUTRAL.
    """
    counts = {kind: sum(one.sentiment == kind for one in chunks) for kind in _KINDS}
    return SentimentResult(
        overall_sentiment=_majority(counts),
        chunk_sentiments=list(chunks),
        positive_chunks=counts["POSITIVE"],
        negative_chunks=counts["NEGATIVE"],
        neutral_chunks=counts["NEUTRAL"],
    )


_KINDS: tuple[Sentiment, ...] = ("POSITIVE", "NEGATIVE", "NEUTRAL")


def _majority(counts: dict[Sentiment, int]) -> Sentiment:
    positive, negative, neutral = counts["POSITIVE"], counts["NEGATIVE"], counts["NEUTRAL"]
    if neutral > max(positive, negative) or positive == negative:
        return "NEUTRAL"
    return "POSITIVE" if positive > negative else "NEGATIVE"
