"""The summarisation examples: a text, the reference summaries, and how long a summary may be."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from training import corpora
from wsproc.engine.sentences import sentence_spans

WIKI_WORDS = 80
PAPER_WORDS = 150
SHORT_CHARACTERS = 2000


@dataclass(frozen=True)
class Example:
    """A text with its references; a summary has `max_words`, or `sentences` where that is given."""

    source: str
    text: str
    references: tuple[str, ...]
    max_words: int | None
    sentences: int | None = None


def wiki(
    path: Path, *, opened: bool = False, short: bool = False, flat: bool = False
) -> Iterator[Example]:
    """Yield Wikipedia articles: the body is the text and the lead section the reference.

    Headings are left out. `opened` puts the first sentence of the lead before the body (training
    only: it shows what a text looks like that opens with its own summary, as news do); `short`
    ends the body after about 2,000 characters; `flat` joins the paragraphs by spaces instead of
    blank lines.
    """
    for record in corpora.records(path):
        paragraphs = [part for _, parts in record["body"] for part in parts]
        if opened:
            start, end = sentence_spans(record["lead"][0])[0]
            paragraphs = [record["lead"][0][start:end], *paragraphs]
        if short:
            paragraphs = _start(paragraphs)
        text = (" " if flat else "\n\n").join(paragraphs)
        yield Example("wiki", text, ("\n\n".join(record["lead"]),), WIKI_WORDS)


def _start(paragraphs: list[str]) -> list[str]:
    """Return the first paragraphs, up to and with the one that reaches the short length."""
    ends = list(accumulate(map(len, paragraphs)))
    return paragraphs[: bisect_left(ends, SHORT_CHARACTERS) + 1]


def abstracts(path: Path) -> Iterator[Example]:
    """Yield SciTLDR abstracts with all their one-sentence summaries."""
    for record in corpora.records(path):
        text = " ".join(record["sents"])
        yield Example("scitldr", text, tuple(record["summaries"]), None, 1)


def papers(path: Path) -> Iterator[Example]:
    """Yield the first 120 sentences of ScisummNet papers with the human summary."""
    for record in corpora.records(path):
        yield Example(
            "scisummnet", " ".join(record["sents"]), ("\n".join(record["summary"]),), PAPER_WORDS
        )


def split_off(
    examples: list[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Return the examples in two parts, the second with the given share of them."""
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    held = set(order[: round(share * len(examples))])
    return (
        [example for index, example in enumerate(examples) if index not in held],
        [example for index, example in enumerate(examples) if index in held],
    )
