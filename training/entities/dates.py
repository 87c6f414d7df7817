"""Dates for the training documents, marked by the rules and by what stands before a month.

The component learns them from here, and so also finds what no rule can say without its context:
"in May", but not "May I".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from training.entities import rules

LABEL = "DATE"
_BEFORE_MONTH = frozenset(
    "in since until till by of during from between for through and to".split()
)
_LONE_MONTHS = ("May", "March")


def add_dates(nlp: Language, docs: Sequence[Doc]) -> None:
    """Add DATE spans to the documents in place, where they have no other entity."""
    ruler: Any = spacy.blank("en", vocab=nlp.vocab).add_pipe("entity_ruler")
    ruler.add_patterns(rules.certain() + rules.possible())
    for doc in docs:
        bare = Doc(nlp.vocab, words=[token.text for token in doc])
        found = [(ent.start, ent.end) for ent in ruler(bare).ents if ent.label_ == LABEL]
        found.extend(_lone_months(doc))
        taken = {token.i for token in doc if token.ent_iob_ != "O"}
        spans = [
            Span(doc, start, end, label=LABEL)
            for start, end in found
            if not taken.intersection(range(start, end))
        ]
        doc.set_ents(filter_spans([*doc.ents, *spans]), default="unmodified")


def _lone_months(doc: Doc) -> Iterator[tuple[int, int]]:
    for token in doc[1:]:
        if token.text in _LONE_MONTHS and doc[token.i - 1].lower_ in _BEFORE_MONTH:
            yield token.i, token.i + 1
