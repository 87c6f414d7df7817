"""What a sentence is worth as part of a summary: overlaps with the reference, ready for sums.

Words are made exactly as `rouge_score` makes them (lower case, `[a-z0-9]+`, Porter stems of words
longer than three letters), so that the ROUGE-1 and ROUGE-2 of a choice of sentences agree with it
but for pairs of words across sentences. The final figures are taken with `rouge_score` itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from nltk.stem import porter
from numpy.typing import NDArray

from training.summary.data import Example
from wsproc.engine.models.sentence_features import Floats, Reader, Table
from wsproc.engine.sentences import sentence_spans

Counts = NDArray[np.int32]

_STEMMER = porter.PorterStemmer()
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Overlap:
    """The n-grams of a reference: `wanted` [kinds] counts them, `held` [sentences, kinds] too."""

    wanted: Counts
    held: NDArray[np.uint8]

    def f1(self, chosen: Sequence[int], length: int) -> float:
        """Return the F1 of the chosen sentences, which have `length` n-grams together."""
        common = np.minimum(self.held[list(chosen)].sum(axis=0), self.wanted).sum()
        return float(2 * common / max(1, length + self.wanted.sum()))

    def alone(self) -> Floats:
        """Return how many n-grams [sentences] each sentence has in common with the reference."""
        common: Floats = np.minimum(self.held, self.wanted).sum(axis=1).astype(np.float32)
        return common


@dataclass(frozen=True)
class Labelled:
    """A text read for training: features, overlaps per reference (words, pairs), stems."""

    example: Example
    table: Table
    overlaps: tuple[tuple[Overlap, Overlap], ...]
    lengths: Counts

    def reward(self, chosen: Sequence[int], pairs_weight: float) -> float:
        """Return ROUGE-1 plus weighted ROUGE-2 of a choice, against the best reference."""
        length = int(self.lengths[list(chosen)].sum())
        return max(
            one.f1(chosen, length) + pairs_weight * two.f1(chosen, length - len(chosen))
            for one, two in self.overlaps
        )

    def worth(self) -> Floats:
        """Return the worth [sentences] of each sentence, standardised within the text.

        Where a summary is one sentence it is the sentence's own ROUGE-1 + ROUGE-2; within a
        budget of words it is what a word of the sentence earns (eight words are added to each
        length, so that a very short sentence is no bargain).
        """
        each = [self._against(one, two) for one, two in self.overlaps]
        values = np.max(each, axis=0)
        standard = (values - values.mean()) / (values.std() + 1e-6)
        return np.asarray(standard.clip(max=4), np.float32)

    def _against(self, one: Overlap, two: Overlap) -> Floats:
        if self.example.sentences:
            total = self.lengths + one.wanted.sum()
            return np.asarray((one.alone() + two.alone()) / total, np.float32)
        return np.asarray((one.alone() + 2 * two.alone()) / (self.lengths + 8), np.float32)


def label(example: Example, idf: Floats) -> Labelled:
    """Read an example with its sentences found as at run time."""
    text = example.text
    spans = sentence_spans(text)
    reader = Reader(idf)
    end = 0
    for start, stop in spans:
        reader.add(text[start:stop], text[end:start])
        end = stop
    sentences = [stems(text[start:stop]) for start, stop in spans]
    references = [stems(reference) for reference in example.references]
    overlaps = tuple(
        (_overlap(sentences, reference, list), _overlap(sentences, reference, _pairs))
        for reference in references
    )
    lengths = np.array([len(words) for words in sentences], np.int32)
    return Labelled(example, reader.finish(), overlaps, lengths)


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    """Return the neighbouring pairs of words."""
    return list(pairwise(words))


def _overlap(
    sentences: list[list[str]], reference: list[str], grams: Callable[[list[str]], list[Any]]
) -> Overlap:
    """Count the n-grams of the reference in it and in each sentence."""
    wanted = Counter(grams(reference))
    place = {gram: index for index, gram in enumerate(wanted)}
    held = np.zeros((len(sentences), len(place)), np.uint8)
    for row, words in enumerate(sentences):
        for gram in grams(words):
            column = place.get(gram)
            if column is not None and held[row, column] < 255:
                held[row, column] += 1
    return Overlap(np.array(list(wanted.values()), np.int32), held)


@lru_cache(maxsize=1 << 18)
def _stem(word: str) -> str:
    """Return the stem of a word as `rouge_score` has it."""
    stem: str = _STEMMER.stem(word) if len(word) > 3 else word
    return stem


def stems(text: str) -> list[str]:
    """Return the stemmed words of a text."""
    return [_stem(word) for word in _WORD.findall(text.lower())]
