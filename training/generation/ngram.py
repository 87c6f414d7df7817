"""A trigram model with interpolated Kneser-Ney smoothing, the baseline of the language model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DISCOUNT = 0.75


class _Order:
    """Discounted counts of one order: a context and the token that follows it, as one key."""

    def __init__(self, keys: Ints, vocabulary: int) -> None:
        """`keys` are context * vocabulary + token, one for each time that it was seen."""
        self.vocabulary = vocabulary
        self.keys, self.counts = np.unique(keys, return_counts=True)
        self.contexts, first = np.unique(self.keys // vocabulary, return_index=True)
        self.totals = np.add.reduceat(self.counts, first)
        self.kinds = np.diff(np.append(first, len(self.keys)))

    def mixed(self, keys: Ints, lower: Floats) -> Floats:
        """Return the probability of each key's token, given that of the order below."""
        seen = _found(self.keys, self.counts, keys)
        total = _found(self.contexts, self.totals, keys // self.vocabulary)
        kinds = _found(self.contexts, self.kinds, keys // self.vocabulary)
        own = np.maximum(seen - DISCOUNT, 0) + DISCOUNT * kinds * lower
        return np.where(total > 0, own / np.maximum(total, 1), lower)


class Trigram:
    """Kneser-Ney over token ids (Kneser and Ney 1995, interpolated as in Chen and Goodman 1998)."""

    def __init__(self, tokens: Ints, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.counts = np.bincount(tokens, minlength=vocabulary)
        pair = tokens[:-1] * vocabulary + tokens[1:]
        self.third = _Order(pair[:-1] * vocabulary + tokens[2:], vocabulary)
        self.second = _Order(self.third.keys % vocabulary**2, vocabulary)
        self.first = _Order(self.second.keys % vocabulary, vocabulary)

    def probabilities(self, tokens: Ints) -> Floats:
        """Return the probability of each token from the third on, given the two before it."""
        pair = tokens[:-1] * self.vocabulary + tokens[1:]
        even = np.full(len(tokens) - 2, 1 / self.vocabulary)
        lower = self.second.mixed(pair[1:], self.first.mixed(tokens[2:], even))
        return self.third.mixed(pair[:-1] * self.vocabulary + tokens[2:], lower)

    def unigrams(self, tokens: Ints) -> Floats:
        """Return the probability of each token from the third on by its frequency, plus one."""
        share: Floats = (self.counts[tokens[2:]] + 1.0) / (self.counts.sum() + self.vocabulary)
        return share


def _found(known: Ints, values: Ints, wanted: Ints) -> Ints:
    """Return the value of each wanted key, 0 for one that is not known; `known` is sorted."""
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found: Ints = np.where(known[place] == wanted, values[place], 0)
    return found
