"""The annotated corpora as spaCy documents under one label scheme."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span

from training import corpora
from training.corpora import TaggedSentence
from training.entities.gazetteer import NOT_PEOPLE_ALONE, PEOPLES
from training.entities.labels import normalise, trimmed

TRAIN = {
    "gmb": ("gmb_ner/train",),
    "btc": tuple(f"btc_ner/{part}" for part in "abegh"),
    "crossner": tuple(
        f"crossner/{domain}.{part}"
        for part in ("train", "dev")
        for domain in ("ai", "literature", "music", "politics", "science")
    ),
    "wnut": ("wnut17/train", "wnut17/dev"),
    "ewt": ("uner_ewt/dev",),
    "gmb_dev": ("gmb_ner/dev",),
}
"""Files of each group; the test splits, wikigold and part f of BTC are never read here."""

LINE_BREAKS = {"gmb": 0.1, "gmb_dev": 0.1, "crossner": 0.1, "btc": 0.8, "wnut": 0.8, "ewt": 0.8}
"""How often a group's sentences stand on lines of their own: tweets and mail have no full stops."""

_HELD_OUT_FROM = (".dev", "/dev", "btc_ner/g")
_BLOCK = 50


@dataclass(frozen=True)
class Mention:
    """A labelled stretch of tokens [start, end); the label None means "not known"."""

    start: int
    end: int
    label: str | None


def mentions(sentence: TaggedSentence) -> Iterator[Mention]:
    """Yield the sentence's entities under our labels, and the stretches whose label is unknown."""
    tokens = sentence.tokens
    for start, end, source in spans(sentence.tags):
        if "@" in tokens[max(start - 1, 0) : start + 1]:
            yield Mention(start, end, None)
            continue
        start += trimmed(source, list(tokens[start:end]))
        label = normalise(source, " ".join(tokens[start:end])) if start < end else None
        if label is not None:
            yield Mention(start, end, label)
    for index, token in enumerate(tokens):
        known_people = token in PEOPLES and token not in NOT_PEOPLE_ALONE
        if known_people and sentence.tags[index] == "O":
            yield Mention(index, index + 1, "NORP")


def spans(tags: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (first token, end token, label) of each entity of a BIO sequence."""
    start, label = 0, ""
    index = -1
    for index, tag in enumerate(tags):
        if label and not (tag.startswith("I-") and tag[2:] == label):
            yield start, index, label
            label = ""
        if tag != "O" and not label:
            start, label = index, tag[2:]
    if label:
        yield start, index + 1, label


def document(nlp: Language, sentences: list[TaggedSentence], separator: str = " ") -> Doc:
    """Return the sentences as one document, tokenised by `nlp` as running text would be.

    `separator` is one character, a blank or a line break, between sentences.
    """
    words: list[str] = []
    found: list[Mention] = []
    for sentence in sentences:
        base = len(words)
        words.extend(sentence.tokens)
        found.extend(Mention(base + m.start, base + m.end, m.label) for m in mentions(sentence))
    starts = offsets(words)
    doc = nlp.make_doc(separator.join(" ".join(sentence.tokens) for sentence in sentences))
    known: list[Span] = []
    missing: list[Span] = []
    for mention in found:
        last = mention.end - 1
        begin, finish = starts[mention.start], starts[last] + len(words[last])
        span = None
        if mention.label is not None:
            span = doc.char_span(begin, finish, label=mention.label)
        if span is not None:
            known.append(span)
        else:
            wide = doc.char_span(begin, finish, alignment_mode="expand")
            missing.extend([wide] if wide is not None else [])
    taken = {token.i for span in known for token in span}
    missing = [span for span in missing if not any(token.i in taken for token in span)]
    doc.set_ents(known, missing=missing)
    return doc


def offsets(words: Iterable[str]) -> list[int]:
    """Return the character offset of each word when joined by single blanks."""
    starts, position = [], 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    return starts


def sentences(data: Path, group: str, held_out: bool) -> list[TaggedSentence]:
    """Return the training part of a group, or the third of its dev files kept for tuning.

    Held out are every third block of 50 sentences of the dev files and of part g of BTC.
    """
    kept = []
    for name in TRAIN[group]:
        splits = any(mark in name for mark in _HELD_OUT_FROM)
        for index, sentence in enumerate(corpora.sentences(data / f"{name}.conll.xz")):
            if (splits and index // _BLOCK % 3 == 0) == held_out:
                kept.append(sentence)
    return kept


def documents(
    nlp: Language, data: Path, group: str, rng: random.Random, held_out: bool = False
) -> list[Doc]:
    """Return a group's sentences as documents of one to four consecutive sentences each."""
    left = sentences(data, group, held_out)
    docs = []
    position = 0
    while position < len(left):
        size = rng.randint(1, 4)
        separator = "\n" if rng.random() < LINE_BREAKS[group] else " "
        docs.append(document(nlp, left[position : position + size], separator))
        position += size
    return docs
