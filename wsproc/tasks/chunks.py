"""How a text is split into chunks, and what its chunks' sentiments add up to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from wsproc.engine import sentence_spans
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
    starts = [0, *(start for start, _ in sentence_spans(text)[1:]), len(text)]
    cuts = [0]
    for start, end in pairwise(starts):
        if end - cuts[-1] <= size:
            continue
        if start > cuts[-1]:
            cuts.append(start)
        cuts += _fixed_cuts(cuts[-1], end, size)[1:-1]
    return [*cuts, len(text)]


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
