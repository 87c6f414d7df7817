"""Train the entity pipeline from the raw corpora, in one command.

Usage: `python -m training.entities.train --data DIR --out DIR [--work DIR]`. Stages: word vectors
(about 12 minutes on one core), two teachers on the annotated corpora, their silver annotation of
encyclopaedia articles, and the shipped student on gold and silver together. With `--work`, the
results of finished stages are kept there and used again.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import floret  # type: ignore[import-untyped]
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from training.entities import assemble, card, gold, pipeline, scoring, silver, text, vectors
from training.entities.dates import add_dates

SEED = 1
VECTOR_EPOCHS = 4
TEACHER_EPOCHS = 1.4
STUDENT_EPOCHS = 2.0
GMB_DOCUMENTS = 6000
PLAIN_ARTICLES = 500
WORDS_PER_ARTICLE = 120
LOWER_CASED = 0.05
TUNING_GROUPS = ("crossner", "ewt", "btc", "wnut", "gmb_dev")


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="keep the results of the stages here")
    options = parser.parse_args()
    if options.work is None:
        with tempfile.TemporaryDirectory() as folder:
            run(options.data, options.out, Path(folder))
    else:
        options.work.mkdir(parents=True, exist_ok=True)
        run(options.data, options.out, options.work)


def run(data: Path, out: Path, work: Path) -> None:
    """Train everything that is not in `work` yet and write the pipeline to `out`."""
    model = word_vectors(data, work)
    compact = with_vectors(model, vectors.ROWS)
    first = teacher(data, work / "teacher_a", compact, seed=SEED)
    second = teacher(data, work / "teacher_b", with_vectors(model, vectors.KEYS), seed=SEED + 1)
    articles = silver_documents(data, work / "silver.spacy", (first, second), compact)
    nlp = student(data, compact, first, articles)
    assemble.add_rules(nlp)
    assemble.save(nlp, out, card.META)
    report(spacy.load(out), data)
    print(f"{assemble.size(out) / 1e6:.2f} MB in {out}")


def word_vectors(data: Path, work: Path) -> floret.floret._floret:
    """Return the full fastText model."""
    path = work / "vectors.bin"
    if not path.exists():
        tokens = work / "tokens.txt"
        print(f"{text.write_tokens(spacy.blank('en'), data, tokens)} words of raw text", flush=True)
        vectors.train(tokens, epochs=VECTOR_EPOCHS).save_model(str(path))
    return floret.load_model(str(path))


def with_vectors(model: floret.floret._floret, rows: int) -> Language:
    """Return an empty pipeline whose vocabulary has the vectors, pruned to `rows` rows."""
    nlp = spacy.blank("en")
    vectors.install(nlp.vocab, model, rows)
    return nlp


def teacher(data: Path, folder: Path, base: Language, *, seed: int) -> Language:
    """Return a component trained on the annotated corpora alone."""
    if not folder.exists():
        nlp = pipeline.blank(base)
        docs = gold_documents(nlp, data, crossner=3, web=2, seed=seed)
        print(f"teacher {folder.name}: {sum(map(len, docs))} words", flush=True)
        pipeline.fit(nlp, docs, epochs=TEACHER_EPOCHS, seed=seed)
        nlp.to_disk(folder)
        report(nlp, data)
    return spacy.load(folder)


def gold_documents(nlp: Language, data: Path, *, crossner: int, web: int, seed: int) -> list[Doc]:
    """Return the training documents; the small encyclopaedia and web sets are repeated."""
    rng = random.Random(seed)
    docs = {
        group: gold.documents(nlp, data, group, rng)
        for group in ("gmb", "btc", "crossner", "wnut", "ewt")
    }
    return [
        *docs["gmb"][:GMB_DOCUMENTS],
        *docs["btc"],
        *docs["crossner"] * crossner,
        *docs["wnut"],
        *docs["ewt"] * web,
    ]


def silver_documents(
    data: Path, path: Path, teachers: tuple[Language, Language], base: Language
) -> list[Doc]:
    """Return the silver documents."""
    if not path.exists():
        chosen = silver.articles(data, PLAIN_ARTICLES, WORDS_PER_ARTICLE, SEED)
        DocBin(docs=silver.annotate(teachers, chosen)).to_disk(path)
    docs = list(DocBin().from_disk(path).get_docs(base.vocab))
    print(f"silver: {len(docs)} paragraphs, {sum(map(len, docs))} words", flush=True)
    return docs


def student(data: Path, base: Language, first: Language, articles: list[Doc]) -> Language:
    """Return the component that ships: the first teacher's encoder, trained on everything."""
    nlp = pipeline.blank(base, extra_labels=("DATE",))
    docs = gold_documents(nlp, data, crossner=2, web=4, seed=SEED + 2) + articles
    add_dates(nlp, docs)
    docs += lower_cased(nlp, docs, LOWER_CASED, SEED)
    print(f"student: {sum(map(len, docs))} words", flush=True)
    pipeline.fit(nlp, docs, epochs=STUDENT_EPOCHS, seed=SEED, start=first)
    return nlp


def lower_cased(nlp: Language, docs: list[Doc], share: float, seed: int) -> list[Doc]:
    """Return lower-cased copies of a random share of the documents, entities kept."""
    chosen = random.Random(seed).sample(docs, int(share * len(docs)))
    return [pipeline.copy_with_words(nlp, doc, [token.lower_ for token in doc]) for doc in chosen]


def report(nlp: Language, data: Path) -> None:
    """Print the scores on the parts of the dev files that were held out of training."""
    rng = random.Random(SEED)
    for group in TUNING_GROUPS:
        docs = gold.documents(spacy.blank("en"), data, group, rng, held_out=True)
        scores = scoring.score(nlp, docs)
        print(group, {label: round(value.f1, 3) for label, value in scores.items()}, flush=True)


if __name__ == "__main__":
    main()
