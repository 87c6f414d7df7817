"""Measure the shipped entity pipeline on the held-out test sets.

Run `python -m training.entities.evaluate --data DIR` for the table. The whole pipeline reads each
test sentence as text (its tokens joined by blanks) and is compared by exact character offsets and
class; GPE, LOC and FAC count as LOC, and labels that a set does not have are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from training import corpora
from training.corpora import TaggedSentence
from training.entities import gold
from training.entities.labels import COARSE, LEARNED
from training.entities.scoring import CLASSES, CoarseSpan, Score, coarse, compare
from training.report import Figure, table

WEIGHTS = Path(__file__).parents[2] / "wsproc" / "weights" / "entities"
FLOORS = {"wikigold": 0.60}
_OURS = "labels of the set brought to our scheme"
_RAW = {
    "PER": "PER", "LOC": "LOC", "ORG": "ORG", "person": "PER", "location": "LOC",
    "corporation": "ORG", "group": "ORG",
}  # fmt: skip

Reader = Callable[[TaggedSentence], set[CoarseSpan]]


def raw_spans(sentence: TaggedSentence) -> set[CoarseSpan]:
    """Return the spans of a set that has person, location and organisation labels of its own."""
    found = gold.spans(sentence.tags)
    return _placed(sentence, ((start, end, _RAW.get(label)) for start, end, label in found))


def mapped_spans(sentence: TaggedSentence) -> set[CoarseSpan]:
    """Return the spans of a set whose labels and titles must first be brought to our scheme."""
    found = gold.mentions(sentence)
    return _placed(sentence, ((m.start, m.end, COARSE.get(m.label or "")) for m in found))


def fine_spans(sentence: TaggedSentence) -> set[CoarseSpan]:
    """Return the spans under our scheme, each with its own label."""
    return _placed(sentence, ((m.start, m.end, m.label) for m in gold.mentions(sentence)))


def _placed(
    sentence: TaggedSentence, found: Iterable[tuple[int, int, str | None]]
) -> set[CoarseSpan]:
    offsets = gold.offsets(sentence.tokens)
    return {
        (offsets[start], offsets[end - 1] + len(sentence.tokens[end - 1]), label)
        for start, end, label in found
        if label is not None
    }


TEST_SETS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "wikigold": (("wikigold/wikigold",), raw_spans),
    "uner_ewt test": (("uner_ewt/test",), raw_spans),
    "wnut17 test": (("wnut17/test",), raw_spans),
    "btc f": (("btc_ner/f",), raw_spans),
    "gmb test": (("gmb_ner/test",), mapped_spans),
    "crossner test": (
        tuple(
            f"crossner/{name}.test" for name in ("ai", "literature", "music", "politics", "science")
        ),
        mapped_spans,
    ),
}


def measure(
    nlp: Language,
    sentences: list[TaggedSentence],
    reader: Reader,
    answer: Callable[[Doc], set[CoarseSpan]] = coarse,
    labels: Iterable[str] = CLASSES,
) -> dict[str, Score]:
    """Return the score of each class on the sentences, and their sum under "all"."""
    texts = [" ".join(sentence.tokens) for sentence in sentences]
    docs = nlp.pipe(texts, batch_size=256)
    pairs = ((reader(s), answer(doc)) for s, doc in zip(sentences, docs, strict=True))
    return compare(pairs, labels)


def figures(data: Path, weights: Path) -> list[Figure]:
    """Measure the pipeline in `weights` on every test set under `data`, and its speed and size."""
    nlp = spacy.load(weights)
    return [*_scores(nlp, data), *_fine_scores(nlp, data), _speed(nlp, data), _size(weights)]


def _scores(nlp: Language, data: Path) -> Iterator[Figure]:
    for name, (_, reader) in TEST_SETS.items():
        sentences = _sentences(data, name)
        scores = measure(nlp, sentences, reader)
        whole = scores["all"]
        note = f"P {whole.precision:.3f} R {whole.recall:.3f}; " + " ".join(
            f"{label} {scores[label].f1:.3f}" for label in ("PER", "LOC", "ORG")
        )
        if reader is mapped_spans:
            note += f"; {_OURS}"
        floor = FLOORS.get(name)
        yield Figure(
            "entities", name, "F1 PER/LOC/ORG", whole.f1, len(sentences), floor=floor, note=note
        )


def _fine_scores(nlp: Language, data: Path) -> Iterator[Figure]:
    """Measure each learned label by itself on the sets that have about all of them."""
    for name in ("crossner test", "gmb test"):
        sentences = _sentences(data, name)
        scores = measure(nlp, sentences, fine_spans, learned, LEARNED)
        note = " ".join(
            f"{label} {value.f1:.2f} ({value.annotated})"
            for label, value in scores.items()
            if label != "all" and value.annotated
        )
        note += f"; {_OURS}"
        f1 = scores["all"].f1
        yield Figure("entities", name, "F1 learned labels", f1, len(sentences), note=note)


def learned(doc: Doc) -> set[CoarseSpan]:
    """Return the document's entities of the learned labels."""
    return {(e.start_char, e.end_char, e.label_) for e in doc.ents if e.label_ in LEARNED}


def _sentences(data: Path, name: str) -> list[TaggedSentence]:
    files, _ = TEST_SETS[name]
    return [s for file in files for s in corpora.sentences(data / f"{file}.conll.xz")]


def _speed(nlp: Language, data: Path) -> Figure:
    """Measure words per second of processor time on running text, after a warm-up."""
    texts = [
        paragraph
        for article in list(corpora.records(data / "wiki_articles" / "dev.jsonl.xz"))[:150]
        for paragraph in article["lead"]
    ]
    list(nlp.pipe(texts[:50]))
    begun = time.process_time()
    words = sum(len(doc) for doc in nlp.pipe(texts))
    seconds = time.process_time() - begun
    note = "per second of one core; items are words"
    return Figure(
        "entities", "wiki_articles dev leads", "words/s", words / seconds, words, note=note
    )


def _size(weights: Path) -> Figure:
    files = [path for path in weights.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    return Figure("entities", "weights folder", "MB", total / 1e6, len(files))


def main() -> None:
    """Print the table of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    print(table(figures(options.data, options.weights)))


if __name__ == "__main__":
    main()
