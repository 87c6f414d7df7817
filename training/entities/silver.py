"""Silver annotation of encyclopaedia articles: two teachers, the articles' titles, and a vote.

An article's first sentence says what its title is ("... was an American politician"); that type is
given to every mention of the title, and for persons of the surname, in the article. Elsewhere the
teachers decide: where they agree the span stands, where they differ the label that the same name
bears most often decides, and if there is none the tokens are marked as unknown, which training
passes over. The idea of typed titles is that of Nothman et al., Learning multilingual named entity
recognition from Wikipedia, 2013; the agreement of teachers is that of tri-training.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from training import corpora
from training.entities.labels import place

_NOUNS = {
    "PERSON": """politician actor actress singer songwriter player footballer writer author
    poet composer musician painter artist lawyer scientist physicist chemist
    mathematician economist philosopher historian journalist businessman
    businesswoman entrepreneur admiral officer soldier king queen emperor
    prince princess president bishop priest saint athlete swimmer boxer
    wrestler cricketer golfer coach manager director producer novelist
    playwright architect engineer inventor explorer rapper comedian activist
    judge theologian missionary professor psychologist biologist botanist
    astronomer sculptor photographer guitarist drummer pianist dancer
    programmer statesman nobleman pope skater cyclist pitcher quarterback
    filmmaker screenwriter revolutionary diplomat physician surgeon aviator
    criminal murderer serial-killer broadcaster presenter violinist trumpeter
    saxophonist dramatist critic sociologist linguist anthropologist geologist
    naturalist preacher evangelist""",
    "GPE": """city town village municipality country state province county district
    capital commune republic kingdom borough hamlet suburb neighborhood
    neighbourhood township parish settlement region territory
    census-designated emirate prefecture community colony""",
    "LOC": """river lake mountain island islands sea ocean bay peninsula valley volcano
    desert range strait archipelago continent planet moon creek glacier peak
    cape gulf""",
    "FAC": """airport building stadium bridge castle skyscraper highway street road
    tower palace cathedral church abbey prison fort fortress lighthouse
    railway motorway theatre theater arena monument dam tunnel hotel temple
    mosque""",
    "ORG": """company band organization organisation party university college school
    team club newspaper agency corporation association army regiment airline
    label network ministry bank manufacturer publisher institute society
    league orchestra church-denomination brigade squadron duo trio retailer
    foundation parliament legislature department magazine charity think-tank
    institution conglomerate chain brewery airforce consortium academy""",
    "WORK_OF_ART": """album song film novel book opera musical poem comic sitcom movie episode
    show soundtrack painting anime manga sculpture symphony ballet""",
    "EVENT": """war battle tournament election festival conference siege massacre
    revolution uprising campaign olympics hurricane earthquake championship
    crusade rebellion""",
    "PRODUCT": """aircraft car automobile smartphone camera rifle locomotive motorcycle
    missile helicopter console operating-system airliner fighter tank
    submarine""",
}
_TYPE_OF = {noun: label for label, nouns in _NOUNS.items() for noun in nouns.split()}
_BORN = re.compile(
    r"\(.{0,150}\d{3,4} [–-] .{0,40}\d{3,4}\)"
    r"|\((?:[^()]*[,;] )?(?:born|b\.|c\.|\w+ \d{1,2}, \d{4} [–-]|\d{1,2} \w+ \d{4} [–-])"
)
_IS = re.compile(r"\b(?:is|was|are|were) (?:an?|the|one of the|two) (.*)")
_STOP = re.compile(
    r"\b(?:who|which|that|in|of|from|by|for|at|on|based|located|and|to|with|founded)\b|[,;.(]"
)
_SHORT_TITLES = ("PERSON", "GPE", "LOC")
_TITLE = re.compile(r" \(.*\)$|, .*$")


@dataclass(frozen=True)
class Article:
    """The parts of an article that are annotated; `label` is the guessed type of its title."""

    name: str
    label: str | None
    text: tuple[str, ...]


def title_type(name: str, lead: str) -> str | None:
    """Return the entity label that an article's first sentence gives to its title, if any.

    A title whose longer words are not all capitalised, or that the sentence does not use, has none.
    """
    begin = lead[:400]
    words = name.split()
    if words[0] not in begin[:150] or words[-1] not in begin[:150]:
        return None
    if any(word[0].islower() for word in words if len(word) > 3) or not name[0].isupper():
        return None
    label = _noun_type(begin)
    if _BORN.search(begin[:250]) and label not in ("ORG", "EVENT", "GPE", "WORK_OF_ART", "LOC"):
        return "PERSON"
    if place(name) != "GPE":
        return place(name)
    if len(words) == 1 and (label not in _SHORT_TITLES or f" {name.lower()}" in lead):
        return None
    return label


def _noun_type(begin: str) -> str | None:
    match = _IS.search(begin)
    if match is None:
        return None
    phrase = _STOP.split(match.group(1), maxsplit=1)[0]
    for word in reversed(phrase.lower().split()):
        if word in _TYPE_OF:
            return _TYPE_OF[word]
    return None


def articles(data: Path, plain: int, words: int, seed: int) -> list[Article]:
    """Return the training articles whose title has a type, and `plain` others.

    Each is cut to its first paragraphs of about `words` words.
    """
    chosen = list(corpora.records(data / "wiki_articles" / "train.jsonl.xz"))
    random.Random(seed).shuffle(chosen)
    kept = []
    for record in chosen:
        name = _TITLE.sub("", record["title"])
        label = title_type(name, record["lead"][0])
        if label is None and plain == 0:
            continue
        plain -= label is None
        texts = list(record["lead"]) + [p for _, body in record["body"] for p in body]
        kept.append(Article(name, label, tuple(_cut(texts, words))))
    return kept


def _cut(texts: Iterable[str], words: int) -> Iterator[str]:
    seen = 0
    for text in texts:
        if seen >= words:
            return
        seen += len(text.split())
        yield re.sub(r"\s+", " ", text).strip()


def annotate(teachers: tuple[Language, Language], chosen: list[Article]) -> list[Doc]:
    """Return the articles' paragraphs with silver entities, unknown stretches marked as missing."""
    texts = [text for article in chosen for text in article.text]
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    pairs: list[tuple[Doc, Doc]] = []
    for first, second in zip(*(teacher.pipe(texts) for teacher in teachers), strict=True):
        pairs.append((first, second))
        for doc in (first, second):
            for ent in doc.ents:
                votes[ent.text][ent.label_] += 1
    typed = {a.name: a.label for a in chosen if a.label and " " in a.name}
    docs = []
    position = 0
    for article in chosen:
        for first, second in pairs[position : position + len(article.text)]:
            docs.append(_merge(first, second, article, typed, votes))
        position += len(article.text)
    return docs


def _merge(
    first: Doc,
    second: Doc,
    article: Article,
    typed: dict[str, str],
    votes: dict[str, Counter[str]],
) -> Doc:
    """Write the settled spans into `first` and return it."""
    certain = list(_titles(first, article, typed))
    taken = {token.i for span in certain for token in span}
    sure, doubtful = [], []
    other = {(e.start, e.end): e.label_ for e in second.ents}
    mine = {(e.start, e.end): e.label_ for e in first.ents}
    for (start, end), label in {**other, **mine}.items():
        if taken.intersection(range(start, end)):
            continue
        agreed = mine.get((start, end)) == other.get((start, end))
        settled = label if agreed and not _outvoted(votes, first[start:end].text, label) else None
        if settled is None and ((start, end) in mine) and ((start, end) in other):
            settled = _winner(votes, first[start:end].text)
        if settled is None:
            doubtful.append(first[start:end])
        else:
            sure.append(Span(first, start, end, label=settled))
    known = filter_spans(certain + sure)
    taken = {token.i for span in known for token in span}
    missing = [span for span in doubtful if not taken.intersection(range(span.start, span.end))]
    first.set_ents(known, missing=filter_spans(missing))
    return first


def _winner(votes: dict[str, Counter[str]], text: str) -> str | None:
    """Return the label that at least three of four mentions of a name bear."""
    (label, count), *_ = votes[text].most_common(1)
    return label if count >= 0.75 * votes[text].total() and count >= 6 else None


def _outvoted(votes: dict[str, Counter[str]], text: str, label: str) -> bool:
    winner = _winner(votes, text)
    return winner is not None and winner != label


def _titles(doc: Doc, article: Article, typed: dict[str, str]) -> Iterator[Span]:
    """Yield the mentions of the article's own title, of its surname, and of other long titles."""
    words = [token.text for token in doc]
    if article.label is not None:
        name = article.name.split()
        yield from _occurrences(doc, words, name, article.label)
        if article.label == "PERSON" and 2 <= len(name) <= 3 and name[-1].istitle():
            covered = {i for e in doc.ents if len(e) > 1 for i in range(e.start, e.end)}
            for span in _occurrences(doc, words, name[-1:], "PERSON"):
                if span.start not in covered:
                    yield span
    for ent in doc.ents:
        label = typed.get(ent.text)
        if label is not None and ent.text != article.name:
            yield Span(doc, ent.start, ent.end, label=label)


def _occurrences(doc: Doc, words: list[str], name: list[str], label: str) -> Iterator[Span]:
    if not name or not name[0][:1].isupper() or (len(name) == 1 and len(name[0]) < 3):
        return
    for start, word in enumerate(words):
        if word == name[0] and words[start : start + len(name)] == name:
            yield Span(doc, start, start + len(name), label=label)
