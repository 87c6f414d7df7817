"""Texts for the sentiment model: labelled examples, unlabelled pools and the held-out sets.

Labels are 0 negative, 1 neutral, 2 positive. Nothing of SST or NewsMTSC is read for training, and
a film sentence whose text occurs in SST's dev or test part is dropped (the two share a source).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training import corpora

LABELS = ("negative", "neutral", "positive")
HELD_OUT_PRODUCTS = (
    "Canon_PowerShot_SD500.txt",
    "Diaper_Champ.txt",
    "Nokia_6610.txt",
    "norton.txt",
)
HELD_OUT_DOCUMENTS = 10  # one film review in ten is kept for the test
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+")
_NO_SPACE_BEFORE = re.compile(r" ([.,!?;:%)\]]|n't\b|'(?:s|re|ve|ll|d|m)\b)")


@dataclass(frozen=True)
class Example:
    """One labelled text; `domain` names the corpus that it comes from."""

    text: str
    label: int
    domain: str


@dataclass(frozen=True)
class Splits:
    """Labelled examples to train on and to tune on, and unlabelled texts by domain."""

    train: list[Example]
    dev: list[Example]
    pools: dict[str, list[str]]


def key(text: str) -> str:
    """Return the letters and digits of a text, for comparing texts across corpora."""
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def load(data: Path, seed: int) -> Splits:
    """Read every training corpus and split off development parts where a corpus has none."""
    rng = random.Random(seed)
    train = _labelled(data / "tweeteval_sentiment" / "train_semeval.tsv.xz", "tweets")
    dev = _labelled(data / "tweeteval_sentiment" / "dev.tsv.xz", "tweets")
    train += _labelled(data / "goemotions" / "train.tsv.xz", "reddit")
    dev += _labelled(data / "goemotions" / "dev.tsv.xz", "reddit")
    for corpus, share in (
        (_products(data, held_out=False), 0.1),
        (_pros_cons(data), 0.02),
        (_films(data), 0.05),
        (_plots(data), 0.05),
    ):
        rng.shuffle(corpus)
        cut = int(len(corpus) * share)
        dev += corpus[:cut]
        train += corpus[cut:]
    train += _documents(data, held_out=False)
    return Splits(train, dev, _pools(data, rng))


def test_sets(data: Path) -> dict[str, list[Example]]:
    """Return the held-out sets by name; they are for the final figures only."""
    news = data / "newsmtsc"
    return {
        "tweeteval": _labelled(data / "tweeteval_sentiment" / "test.tsv.xz", "tweets"),
        "goemotions": _labelled(data / "goemotions" / "test.tsv.xz", "reddit"),
        "product reviews (4 products)": _products(data, held_out=True),
        "sst": _labelled(data / "sst" / "test.tsv.xz", "films"),
        "newsmtsc": [
            *_labelled(news / "devtest_mt.tsv.xz", "news"),
            *_labelled(news / "devtest_rw.tsv.xz", "news"),
        ],
    }


def test_documents(data: Path) -> list[Example]:
    """Return the held-out film reviews, several thousand characters each (no neutral ones)."""
    return _documents(data, held_out=True)


def chunks(text: str, size: int) -> list[str]:
    """Cut a text every `size` characters, in mid-word where that falls so."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def sentences(text: str) -> list[str]:
    """Split plain prose at sentence ends."""
    return [part for part in _SENTENCE_END.split(text) if part]


def _labelled(path: Path, domain: str) -> list[Example]:
    found = []
    for label, text, *_ in corpora.rows(path):
        if label != "-1" and text.strip():
            found.append(Example(_clean(text), int(label), domain))
    return found


def _clean(text: str) -> str:
    """Undo the doubled quotes that some distributions of the corpora carry."""
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return re.sub(r'\\?"{2,}', '"', text).replace("\\u2019", "'").replace("\\u002c", ",")


def _products(data: Path, held_out: bool) -> list[Example]:
    path = data / "nltk_sentiment" / "product_reviews.tsv.xz"
    return [
        Example(_joined(text), int(label), "products")
        for label, text, product in corpora.rows(path)
        if label != "-1" and (product in HELD_OUT_PRODUCTS) == held_out
    ]


def _joined(text: str) -> str:
    """Close the gaps that tokenising left before punctuation and contractions."""
    return _NO_SPACE_BEFORE.sub(r"\1", text).strip()


def _pros_cons(data: Path) -> list[Example]:
    return _labelled(data / "nltk_sentiment" / "pros_cons.tsv.xz", "pros and cons")


def _films(data: Path) -> list[Example]:
    sst = data / "sst"
    held_out = {
        key(row[1]) for part in ("dev", "test") for row in corpora.rows(sst / f"{part}.tsv.xz")
    }
    pieces = {text for text in held_out if len(text) >= 30}
    starts = {text[:24] for text in held_out} | {text[-24:] for text in held_out}
    found = _labelled(data / "nltk_sentiment" / "sentence_polarity.tsv.xz", "films")
    return [
        Example(_joined(example.text), example.label, example.domain)
        for example in found
        if not _shares(key(example.text), held_out, pieces, starts)
    ]


def _shares(text: str, whole: set[str], pieces: set[str], ends: set[str]) -> bool:
    """Tell whether a text equals, contains, begins or ends like a held-out one."""
    if text in whole or text[:24] in ends or text[-24:] in ends:
        return True
    return any(piece in text or text in piece for piece in pieces)


def _plots(data: Path) -> list[Example]:
    path = data / "nltk_sentiment" / "objective_plot_sentences.txt.xz"
    return [Example(_joined(text), 1, "plots") for text in corpora.lines(path)]


def _documents(data: Path, held_out: bool) -> list[Example]:
    path = data / "nltk_sentiment" / "movie_reviews_docs.tsv.xz"
    return [
        Example(_joined(row[1]), int(row[0]), "film reviews")
        for number, row in enumerate(corpora.rows(path))
        if (number % HELD_OUT_DOCUMENTS == 0) == held_out
    ]


def _pools(data: Path, rng: random.Random) -> dict[str, list[str]]:
    """Return unlabelled texts, none of which occurs in a held-out set."""
    pools = {
        "tweets": list(corpora.lines(data / "tweets_unlabelled" / "tweets.txt.xz")),
        "news": _news(data),
        "wiki": _sample(_wiki(data), 40_000, rng),
        "novels": _sample(_prose(data / "novels" / "train.txt.xz"), 30_000, rng),
        "speeches": _sample(_prose(data / "us_speeches" / "speeches.txt.xz"), 8_000, rng),
        "reddit": [
            _clean(row[1])
            for row in corpora.rows(data / "goemotions" / "train.tsv.xz")
            if row[0] == "-1"
        ],
    }
    seen = {key(example.text) for examples in test_sets(data).values() for example in examples}
    seen |= {key(row[1]) for row in corpora.rows(data / "tweeteval_sentiment" / "dev.tsv.xz")}
    return {
        name: [text for text in dict.fromkeys(texts) if text.strip() and key(text) not in seen]
        for name, texts in pools.items()
    }


def _news(data: Path) -> list[str]:
    path = data / "gmb_ner" / "train.conll.xz"
    return [_joined(" ".join(sentence.tokens)) for sentence in corpora.sentences(path)]


def _wiki(data: Path) -> Iterator[str]:
    """Yield paragraphs: the whole lead and the first body sections of every article."""
    for article in corpora.records(data / "wiki_articles" / "train.jsonl.xz"):
        yield from article["lead"]
        for _, paragraphs in article["body"][:3]:
            yield from paragraphs[:2]


def _prose(path: Path) -> Iterator[str]:
    """Yield the paragraphs of a plain text whose lines may be wrapped."""
    block: list[str] = []
    for line in corpora.lines(path):
        if line.strip() and not line.startswith("<<<"):
            block.append(line.strip())
            if len(block) < 40:
                continue
        if block:
            yield " ".join(block)
            block = []


def _sample(paragraphs: Iterable[str], count: int, rng: random.Random) -> list[str]:
    """Return `count` passages of one to three sentences, at most 500 characters each."""
    passages: list[str] = []
    for paragraph in paragraphs:
        parts = sentences(paragraph)
        while parts:
            size = rng.randint(1, 3)
            passage = " ".join(parts[:size])
            parts = parts[size:]
            if 20 <= len(passage) <= 500:
                passages.append(passage)
    rng.shuffle(passages)
    return passages[:count]
