"""Training material of the student: labels softened by the teacher, and pseudo-labelled text."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerFast

from training.sentiment import teacher
from training.sentiment.data import Example, Splits, chunks
from training.sentiment.teacher import Features, Floats, Lexicon, Regression
from training.sentiment.tokenizer import words

DOMAIN_WEIGHTS = {"pros and cons": 0.3}
POOL_WEIGHTS = {
    "tweets": 0.6,
    "wiki": 0.5,
    "news": 0.5,
    "novels": 0.4,
    "speeches": 0.5,
    "reddit": 0.6,
}
# An encyclopedia is neutral far oftener than the teacher, trained on opinions, expects.
NEUTRAL_ODDS = {"wiki": 2.0, "news": 1.0, "novels": 1.3, "speeches": 1.3}
_REGISTERS = {"tweets": "tweets", "reddit": "reddit", "pros and cons": "pros and cons"}
_FOLDS = 3


@dataclass(frozen=True)
class Item:
    """One training text: the wanted probabilities, its weight in the loss, and where it is from.

    `labelled` tells whether people judged it; the others have the teacher's opinion alone, or, if
    `made_up`, a target by construction.
    """

    text: str
    target: Floats
    weight: float
    source: str
    labelled: bool = False
    made_up: bool = False


def registers(domains: Sequence[str]) -> list[str]:
    """Return the teacher's register of each domain; texts of no opinion corpus have none."""
    opinions = {"products", "films", "plots", "film reviews"}
    return [_REGISTERS.get(name, "reviews" if name in opinions else "none") for name in domains]


def balance(examples: Sequence[Example]) -> Floats:
    """Return weights (mean about 1) that make the classes of each domain equally heavy."""
    labels = np.array([example.label for example in examples])
    domains = np.array([example.domain for example in examples])
    weights = np.zeros(len(examples))
    for name in np.unique(domains):
        inside = domains == name
        present = np.unique(labels[inside])
        for label in present:
            chosen = inside & (labels == label)
            share = inside.sum() / (chosen.sum() * len(present))
            weights[chosen] = share * DOMAIN_WEIGHTS.get(str(name), 1.0)
    return np.asarray(weights / weights.mean())


class Teacher:
    """Regressions fitted on all but one fold each; each judges the fold that it has not seen."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, lexicon: Lexicon, examples: Sequence[Example]
    ) -> None:
        self._tokenizer = tokenizer
        split = words(tokenizer, [example.text for example in examples])
        self._features = Features(lexicon).fit(split)
        matrix = self._features(split, registers([example.domain for example in examples]))
        goals = np.eye(3)[[example.label for example in examples]]
        weights = balance(examples)
        fold = np.random.default_rng(0).integers(_FOLDS, size=len(examples))
        self.out_of_fold = np.zeros_like(goals)
        self._models: list[Regression] = []
        for number in range(_FOLDS):
            kept, left = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            model = Regression(strength=1.0, iterations=40)
            model.fit(matrix[kept], goals[kept], weights[kept])
            self.out_of_fold[left] = model(matrix[left])
            self._models.append(model)
            print(f"  teacher fold {number + 1} of {_FOLDS}", flush=True)

    def __call__(self, texts: Sequence[str], domain: str) -> Floats:
        """Return the mean probabilities [texts, 3] of the folds' models."""
        found = []
        for start in range(0, len(texts), 20_000):
            part = words(self._tokenizer, texts[start : start + 20_000])
            matrix = self._features(part, registers([domain]) * len(part))
            found.append(np.mean([model(matrix) for model in self._models], axis=0))
        return np.concatenate(found)


def fragments(splits: Splits, rng: random.Random) -> dict[str, list[str]]:
    """Return pieces of 50 to 400 characters, cut in mid-word from runs of each domain's texts."""
    runs: dict[str, list[str]] = {}
    for example in splits.train:
        if example.domain in ("tweets", "reddit", "products", "films"):
            runs.setdefault(example.domain, []).append(example.text)
    runs |= {name: splits.pools[name][:8000] for name in ("news", "wiki", "novels")}
    limits = {"tweets": 6000, "reddit": 4000, "products": 3000, "films": 2000, "news": 3000}
    cut: dict[str, list[str]] = {}
    for name, texts in runs.items():
        pieces = _cut(" ".join(rng.sample(texts, len(texts))), rng)
        cut[name] = pieces[: limits.get(name, 2000)]
    return cut


def _cut(text: str, rng: random.Random) -> list[str]:
    pieces, start = [], 0
    while start < len(text):
        size = rng.randint(50, 400)
        pieces.append(text[start : start + size])
        start += size
    return pieces


def review_chunks(documents: Sequence[Example], rng: random.Random) -> list[Example]:
    """Cut film reviews as the product would; the chunk carries its document's label."""
    cut = [
        Example(piece, document.label, document.domain)
        for document in documents
        for piece in chunks(document.text, rng.randint(100, 400))
    ]
    return rng.sample(cut, len(cut))


def lean(probabilities: Floats, odds: Floats) -> Floats:
    """Multiply the class odds and normalise: [texts, 3] by [3] or [texts, 3]."""
    shifted = probabilities * odds
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def renew(items: Sequence[Item], guesses: Floats) -> list[Item]:
    """Mix the guesses [items, 3] of a first student into the targets: more where nobody judged."""
    renewed = []
    for item, guess in zip(items, guesses, strict=True):
        share = 0.25 if item.labelled else 0.6
        mixed = item.target if item.made_up else (1 - share) * item.target + share * guess
        renewed.append(replace(item, target=mixed))
    return renewed


def from_lexicon(lexicon: Lexicon, neutral: Sequence[str], rng: random.Random) -> list[Item]:
    """Return single words and short frames around them, with targets from the words' valence."""
    frames = (
        "{}",
        "{}",
        "it was {}.",
        "this is {}",
        "very {}",
        "i feel {}",
        "the {} one",
        "so {}!",
    )
    items = []
    for word, valence in lexicon.valence.items():
        if abs(valence) < 0.8 or not word.replace("-", "").replace("'", "").isalpha():
            continue
        force = min(abs(valence) / 3.0, 1.0)
        strong = 0.45 + 0.5 * force
        target = np.array([0.04, 0.96 - strong, strong])
        frame = rng.choice(frames)
        items.append(_item(frame.format(word), target if valence > 0 else target[::-1]))
        if rng.random() < 0.3 and word not in teacher.NEGATIONS:
            turned = np.array([0.7, 0.22, 0.08]) if valence > 0 else np.array([0.15, 0.45, 0.4])
            items.append(
                _item(rng.choice(("not {}", "it was not {}.", "isn't {}")).format(word), turned)
            )
    plain = np.array([0.06, 0.88, 0.06])
    items += [_item(rng.choice(frames[:4]).format(word), plain) for word in neutral]
    return items


def rated_adjectives(splits: Splits, lexicon: Lexicon) -> tuple[list[str], list[str]]:
    """Return good and bad words of the lexicon that people put after "very"."""
    counts = Counter(
        word
        for example in splits.train
        for word in re.findall(r"\bvery ([a-z]+)", example.text.lower())
    )
    often = sorted(word for word, count in counts.items() if count >= 4 and not word.endswith("ly"))
    good = [word for word in often if lexicon.valence.get(word, 0.0) >= 1.2]
    return good, [word for word in often if lexicon.valence.get(word, 0.0) <= -1.2]


def _item(text: str, target: Floats) -> Item:
    return Item(text, target, 0.4, "lexicon", made_up=True)
