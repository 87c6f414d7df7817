"""Unlabelled text for the word vectors and the silver annotation, as spaCy tokenises it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language

from training import corpora

CONLL_TEXTS = (
    "gmb_ner/train.conll.xz",
    "btc_ner/a.conll.xz",
    "btc_ner/b.conll.xz",
    "btc_ner/e.conll.xz",
    "btc_ner/g.conll.xz",
    "btc_ner/h.conll.xz",
    "wnut17/train.conll.xz",
)


def paragraphs(data: Path) -> Iterator[str]:
    """Yield the paragraphs of the encyclopaedia's training articles, of the speeches and tweets."""
    for article in corpora.records(data / "wiki_articles" / "train.jsonl.xz"):
        yield from article["lead"]
        for _, body in article["body"]:
            yield from body
    yield from corpora.lines(data / "us_speeches" / "speeches.txt.xz")
    yield from corpora.lines(data / "tweets_unlabelled" / "tweets.txt.xz")


def write_tokens(nlp: Language, data: Path, path: Path) -> int:
    """Write one tokenised paragraph or sentence per line to `path`; return the number of tokens."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for text in paragraphs(data):
            words = [token.text for token in nlp.make_doc(text) if not token.is_space]
            count += len(words)
            file.write(" ".join(words) + "\n")
        for name in CONLL_TEXTS:
            for sentence in corpora.sentences(data / name):
                count += len(sentence.tokens)
                file.write(" ".join(sentence.tokens) + "\n")
    return count
