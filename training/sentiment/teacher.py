"""The n-gram teacher: multinomial logistic regression on words, characters, negation and lexicons.

A bag of n-grams with lexicon and negation features is hard to beat with this little labelled text
(NRC-Canada, Mohammad et al. 2013; NB-SVM, Wang and Manning 2012), but it is too wide to ship, so
its probabilities become the targets of the small transformer. Each feature group also exists once
per register (tweets, forum, lists of merits, reviews), so that a word may weigh differently there
("frustratingly easy domain adaptation", Daume 2007).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.special import logsumexp  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

from training import corpora

Floats = npt.NDArray[np.float64]
NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "nowhere", "cannot"}
    | {"hardly", "barely", "scarcely", "without", "lack", "lacks", "lacking"}
    | {"aint", "isnt", "arent", "wasnt", "werent", "dont", "doesnt", "didnt", "wont", "wouldnt"}
    | {"cant", "couldnt", "shouldnt", "hasnt", "havent", "hadnt"}
)
_STOP = re.compile(r"[.!?;:,]+|but|however|although")
REGISTERS = ("tweets", "reddit", "pros and cons", "reviews")
COPY_SCALE = 0.5
LEXICON_SCALE = 0.5
_REACH = 4  # words that a negation governs


@dataclass(frozen=True)
class Lexicon:
    """Valence of words in [-4, 4]: VADER's mean rating, else -2 or 2 from the opinion lexicon."""

    valence: dict[str, float]

    @classmethod
    def read(cls, data: Path) -> Lexicon:
        """Read the two lexicons of the NLTK corpora."""
        folder = data / "nltk_sentiment"
        valence = dict.fromkeys(corpora.lines(folder / "positive-words.txt.xz"), 2.0)
        valence |= dict.fromkeys(corpora.lines(folder / "negative-words.txt.xz"), -2.0)
        valence.pop("", None)
        for word, mean, *_ in corpora.rows(folder / "vader_lexicon.txt.xz"):
            valence[word.strip().lower()] = float(mean)
        return cls(valence)

    def features(self, words: Sequence[str]) -> list[float]:
        """Return the lexicon features of one text (order fixed, all roughly in [-2, 2])."""
        scores = [
            self.valence.get(word, 0.0) * (-0.7 if negated else 1.0)
            for word, negated in zip(words, negation(words), strict=True)
        ]
        hits = [score for score in scores if score]
        up = sum(score for score in hits if score > 0)
        down = -sum(score for score in hits if score < 0)
        total = up - down
        return [
            total / (total * total + 15.0) ** 0.5,
            np.log1p(up),
            np.log1p(down),
            max(hits, default=0.0) / 2,
            min(hits, default=0.0) / 2,
            (hits[-1] if hits else 0.0) / 2,
            float(not hits),
            float(up > 0 and down > 0),
            up / (1 + len(words)) * 5,
            down / (1 + len(words)) * 5,
            sum(negation(words)) / 5,
            words.count("!!") / 2 + words.count("!") / 2,
            float("?" in words or "??" in words),
            np.log1p(len(words)) / 4,
        ]


def negation(words: Sequence[str]) -> list[bool]:
    """Tell for each word whether one of the few words before it, in its clause, negates it."""
    flags, left = [], 0
    for word in words:
        if _STOP.fullmatch(word):
            left = 0
        flags.append(left > 0)
        left = max(left - 1, 0)
        if word.replace("'", "") in NEGATIONS:
            left = _REACH
    return flags


def _marked(words: Sequence[str]) -> list[str]:
    return [
        f"not_{word}" if negated else word
        for word, negated in zip(words, negation(words), strict=True)
    ]


def _grams(words: Sequence[str]) -> list[str]:
    """Return word 1- to 3-grams and, behind a negation, marked words and their pairs."""
    grams = list(words)
    grams += [f"{a} {b}" for a, b in pairwise(words)]
    grams += [f"{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)]
    marked = _marked(words)
    return grams + [word for word in marked if word.startswith("not_")]


def _same(value: Any) -> Any:
    return value


class Features:
    """Sparse features of texts that are already split into normalised words."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._words = TfidfVectorizer(
            analyzer=_grams, min_df=3, sublinear_tf=True, dtype=np.float32
        )
        self._characters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), min_df=6, sublinear_tf=True, dtype=np.float32
        )

    def fit(self, texts: Sequence[Sequence[str]]) -> Features:
        """Learn the n-grams to count and their inverse document frequencies."""
        self._words.fit(texts)
        self._characters.fit([" ".join(text) for text in texts])
        return self

    def __call__(
        self, texts: Sequence[Sequence[str]], registers: Sequence[str]
    ) -> sparse.csr_matrix:
        """Return [texts, features]: shared features, then a copy in the text's own register.

        A text of no known register gets a third of three copies: the registers' mean judgement.
        """
        words = self._words.transform(texts)
        characters = self._characters.transform([" ".join(text) for text in texts])
        lexicon = LEXICON_SCALE * np.array(
            [self._lexicon.features(text) for text in texts], dtype=np.float32
        )
        own = sparse.hstack(
            [words, sparse.csr_matrix(np.c_[lexicon, np.ones(len(texts), dtype=np.float32)])],
            format="csr",
        )
        copies = [
            sparse.diags_array(np.array([_share(name, here) for here in registers], np.float32))
            @ own
            for name in REGISTERS
        ]
        return sparse.hstack([words, characters, sparse.csr_matrix(lexicon), *copies], format="csr")


def _share(copy: str, register: str) -> float:
    """Return how strongly a text of `register` fills the feature copy of register `copy`."""
    if register in REGISTERS:
        return COPY_SCALE * (copy == register)
    return COPY_SCALE / 3 * (copy != "pros and cons")


class Regression:
    """Multinomial logistic regression with an L2 penalty, fitted by L-BFGS to soft targets."""

    def __init__(self, strength: float, iterations: int = 60) -> None:
        self._strength = strength
        self._iterations = iterations
        self._weights: npt.NDArray[np.float32] = np.zeros((0, 3), dtype=np.float32)

    def fit(self, features: sparse.csr_matrix, targets: Floats, weights: Floats) -> Regression:
        """Fit to `targets` [texts, 3], rows weighted by `weights` [texts] (mean about 1)."""
        width, count = features.shape[1], features.shape[0]
        turned = features.T.tocsr()
        penalty = 1.0 / (self._strength * count)
        scale = (weights / count).astype(np.float32)[:, None]
        goals = targets.astype(np.float32)

        def loss(flat: Floats) -> tuple[float, Floats]:
            matrix = flat.reshape(width, 3).astype(np.float32)
            scores = features @ matrix
            logs = scores - logsumexp(scores, axis=1, keepdims=True)
            slope = turned @ ((np.exp(logs) - goals) * scale)
            value = -float((scale * goals * logs).sum()) + penalty / 2 * float(flat @ flat)
            return value, (slope.astype(np.float64).ravel() + penalty * flat)

        found = minimize(
            loss,
            np.zeros(width * 3),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self._iterations, "maxcor": 6},
        )
        self._weights = found.x.reshape(width, 3).astype(np.float32)
        return self

    def __call__(self, features: sparse.csr_matrix) -> Floats:
        """Return class probabilities [texts, 3]."""
        scores = (features @ self._weights).astype(np.float64)
        return np.asarray(np.exp(scores - logsumexp(scores, axis=1, keepdims=True)))
