"""How predicted entities are compared with annotated ones: exact spans, three classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from spacy.language import Language
from spacy.tokens import Doc

from training.entities.labels import COARSE

CLASSES = ("PER", "LOC", "ORG")
CoarseSpan = tuple[int, int, str]
"""First character, end character, and PER, LOC or ORG."""


@dataclass(frozen=True)
class Score:
    """Counts of exact spans: right, predicted and annotated."""

    right: int = 0
    predicted: int = 0
    annotated: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.right + other.right,
            self.predicted + other.predicted,
            self.annotated + other.annotated,
        )

    @property
    def precision(self) -> float:
        """The share of predicted spans that are right."""
        return self.right / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """The share of annotated spans that were found."""
        return self.right / max(self.annotated, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.right / max(self.predicted + self.annotated, 1)


def coarse(doc: Doc) -> set[CoarseSpan]:
    """Return the document's entities of the three classes that all test sets share."""
    return {
        (ent.start_char, ent.end_char, COARSE[ent.label_])
        for ent in doc.ents
        if ent.label_ in COARSE
    }


def compare(
    pairs: Iterable[tuple[set[CoarseSpan], set[CoarseSpan]]], labels: Iterable[str] = CLASSES
) -> dict[str, Score]:
    """Return the score of each label over pairs of wanted and predicted spans, and "all"."""
    total: Counter[tuple[str, str]] = Counter()
    for wanted, found in pairs:
        sides = (("right", wanted & found), ("predicted", found), ("annotated", wanted))
        for name, spans in sides:
            total.update((label, name) for _, _, label in spans)
    scores = {
        label: Score(*(total[label, name] for name in ("right", "predicted", "annotated")))
        for label in labels
    }
    return scores | {"all": sum(scores.values(), Score())}


def score(nlp: Language, docs: Iterable[Doc]) -> dict[str, Score]:
    """Score a pipeline on annotated documents; spans in stretches of unknown label do not count."""
    gold = list(docs)
    found = nlp.pipe(doc.text for doc in gold)
    return compare(
        (coarse(doc), _outside(coarse(answer), _unknown(doc)))
        for doc, answer in zip(gold, found, strict=True)
    )


def _unknown(doc: Doc) -> set[int]:
    """Return the offsets of the characters whose label is not known."""
    missing = (token for token in doc if token.ent_iob == 0)
    return {offset for token in missing for offset in range(token.idx, token.idx + len(token))}


def _outside(spans: set[CoarseSpan], hidden: set[int]) -> set[CoarseSpan]:
    return {span for span in spans if not hidden.intersection(range(span[0], span[1]))}
