"""Systems to compare the summariser with; each orders the sentences, best first.

All of them choose among the same sentences, and `fill` gives all the same budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from training.summary.labels import Labelled
from wsproc.engine.models.sentence_features import FEATURES, Table

Order = Callable[[Labelled], Sequence[int]]


def lead(text: Labelled) -> Sequence[int]:
    """Order by place: the start of the text is its summary."""
    return range(len(text.lengths))


def textrank(text: Labelled) -> Sequence[int]:
    """Order by TextRank (Mihalcea and Tarau 2004).

    Sentences are joined by the number of words they share, stop words left out, over the sum of
    the logarithms of their lengths; fifty rounds of PageRank with damping 0.85.
    """
    table = text.table
    count = len(table.words)
    shared = _occurrence(table)
    lengths = np.log(np.maximum(table.words, 2))
    weights = shared @ shared.T / (lengths[:, None] + lengths[None, :])
    np.fill_diagonal(weights, 0)
    links = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    rank = np.full(count, 1 / count)
    for _ in range(50):
        rank = 0.15 / count + 0.85 * links.T @ rank
    return _descending(rank)


def _occurrence(table: Table) -> np.ndarray:
    """Return which sentence holds which word, [sentences, kinds of words]."""
    kinds, columns = np.unique(table.buckets, return_inverse=True)
    held = np.zeros((len(table.words), len(kinds)), np.float32)
    held[table.rows, columns] = 1
    return held


def lexrank(text: Labelled) -> Sequence[int]:
    """Order by LexRank with tf-idf cosines (Erkan and Radev 2004), one of the features."""
    return _descending(text.table.dense[:, FEATURES.index("rank")])


def oracle(text: Labelled) -> Sequence[int]:
    """Order by what each sentence adds to ROUGE-1 + ROUGE-2 against the reference itself.

    The greedy upper bound of choosing whole sentences; it sees what it is measured by.
    """
    limit = text.example.max_words or int(text.table.words.sum())
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < (text.example.sentences or len(text.lengths)):
        room = limit - int(text.table.words[chosen].sum())
        options = [i for i in np.flatnonzero(text.table.words <= room) if i not in chosen]
        gains = [(text.reward([*chosen, int(i)], 1.0), int(i)) for i in options]
        if not gains or max(gains)[0] <= best:
            break
        best, sentence = max(gains)
        chosen.append(sentence)
    return chosen


def _descending(worth: np.ndarray) -> list[int]:
    """Return the sentences by falling worth, the earlier first among equals."""
    return [int(index) for index in np.argsort(-worth, kind="stable")]


def fill(order: Sequence[int], text: Labelled) -> list[int]:
    """Return the sentences in their order in the text, taken by `order` while they fit."""
    room = text.example.max_words or int(text.table.words.sum())
    chosen: list[int] = []
    for sentence in order:
        if len(chosen) == text.example.sentences:
            break
        if text.table.words[sentence] <= room:
            chosen.append(sentence)
            room -= int(text.table.words[sentence])
    return sorted(chosen)
