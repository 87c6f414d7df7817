"""Word vectors: fastText skip-gram trained on the raw text, then pruned to a few thousand rows.

Recipe: Bojanowski et al., Enriching Word Vectors with Subword Information, 2017, with a narrow
window, which makes words of the same kind (rather than the same topic) alike. Pruning follows
spaCy's `prune_vectors`: a rarer word points to the row of the most similar frequent word.
"""

from __future__ import annotations

from pathlib import Path

import floret  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from spacy.vectors import Vectors
from spacy.vocab import Vocab

Floats = NDArray[np.float32]

DIMENSIONS = 64
ROWS = 14_000
"""Rows of the shipped table."""
KEYS = 80_000
"""Words that have a row, of their own or another's; the rarer ones have none."""
ALIASED = 25_000
SCALE = 3.0


def train(tokens: Path, *, epochs: int, threads: int = 1) -> floret.floret._floret:
    """Train vectors on a file of tokenised lines."""
    return floret.train_unsupervised(
        str(tokens), model="skipgram", mode="fasttext", dim=DIMENSIONS, ws=3, epoch=epochs,
        minCount=4, bucket=100_000, minn=3, maxn=5, neg=5, lr=0.05, thread=threads, verbose=1,
    )  # fmt: skip


def install(vocab: Vocab, model: floret.floret._floret, count: int) -> None:
    """Give `vocab` `count` vectors for KEYS words and the other spellings of frequent ones."""
    words = [word for word in model.get_words() if word != "</s>"][:KEYS]
    vectors = np.stack([model.get_word_vector(word) for word in words]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-8
    rows = nearest(vectors, count)
    vocab.vectors = Vectors(shape=(count, DIMENSIONS), strings=vocab.strings)
    vocab.vectors.data[:] = vectors[:count] * SCALE
    row_of = dict(zip(words, rows.tolist(), strict=True))
    for word in words[:ALIASED]:
        for other in (word.lower(), word.title(), word.upper()):
            row_of.setdefault(other, row_of[word])
    for word, row in row_of.items():
        vocab.vectors.add(word, row=row)


def nearest(vectors: Floats, count: int) -> NDArray[np.int64]:
    """Return for each unit vector the index of the most similar one among the first `count`."""
    rows = np.arange(len(vectors))
    for start in range(count, len(vectors), 1000):
        part = vectors[start : start + 1000]
        rows[start : start + 1000] = (part @ vectors[:count].T).argmax(axis=1)
    return rows
