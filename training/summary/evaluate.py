"""Measure the shipped summariser beside its baselines.

Run it by `python -m training.summary.evaluate --data DIR`.

Protocols (`rouge_score` with Porter stemming, F1, mean over the texts; every system chooses from
the same sentences and has the same budget, filled by its own order with whole sentences):

- wiki_articles test: 600 article bodies without headings; the lead section is the reference;
  at most 80 words; ROUGE-L is at summary level (`rougeLsum`, a sentence per line);
- scitldr test: 618 abstracts; exactly one sentence; the best of the references counts, for each
  measure by itself;
- scisummnet test: 190 papers (first 120 sentences); the human summary is the reference; at most
  150 words; ROUGE-L at summary level.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from training.report import Figure, table
from training.summary import baselines, data
from training.summary.data import Example
from training.summary.labels import Labelled, label
from wsproc.engine.models.extractive import ExtractiveSummarizer
from wsproc.engine.sentences import sentence_spans

System = Callable[[Labelled], list[str]]
Scores = dict[str, float]

WEIGHTS = Path(__file__).parents[2] / "wsproc" / "weights" / "summary"
BASELINES: Mapping[str, baselines.Order] = {
    "lead": baselines.lead,
    "TextRank": baselines.textrank,
    "LexRank": baselines.lexrank,
    "oracle": baselines.oracle,
}
TEST_SETS = {
    "wiki_articles": (data.wiki, "wiki_articles/test.jsonl.xz"),
    "scitldr": (data.abstracts, "scitldr/test.jsonl.xz"),
    "scisummnet": (data.papers, "scisummnet/test.jsonl.xz"),
}


def figures(data: Path, weights: Path) -> list[Figure]:
    """Return ROUGE-1, -2 and -L on each test set; the floor is the better of lead and TextRank."""
    model = ExtractiveSummarizer.from_pretrained(weights)
    found: list[Figure] = []
    for name, (read, path) in TEST_SETS.items():
        found += _test_set(name, read(data / path), model)
    return found


def _test_set(name: str, examples: Iterable[Example], model: ExtractiveSummarizer) -> list[Figure]:
    """Return the figures of one test set, the baselines' in the note."""
    texts = [label(example, model.idf) for example in examples]
    ours = _mean(texts, lambda text: _shipped(model, text.example))
    others = {key: _mean(texts, _baseline(order)) for key, order in BASELINES.items()}
    return [
        Figure(
            model="summary",
            test_set=f"{name} test",
            metric=metric,
            value=ours[metric],
            items=len(texts),
            floor=max(others["lead"][metric], others["TextRank"][metric]),
            note=", ".join(f"{key} {scores[metric]:.3f}" for key, scores in others.items()),
        )
        for metric in ours
    ]


def _shipped(model: ExtractiveSummarizer, example: Example) -> list[str]:
    """Return the sentences of the shipped summariser's summary."""
    limit = example.max_words or len(example.text)
    summary = model.summarize(example.text, max_words=limit, max_sentences=example.sentences)
    return [example.text[start:end] for start, end in summary.spans]


def _baseline(order: baselines.Order) -> System:
    """Return the system that fills the budget by an order."""

    def summarize(text: Labelled) -> list[str]:
        spans = sentence_spans(text.example.text)
        chosen = baselines.fill(order(text), text)
        return [text.example.text[start:end] for start, end in (spans[i] for i in chosen)]

    return summarize


def _mean(texts: list[Labelled], system: System) -> Scores:
    """Return the mean scores of a system."""
    scorer = RougeScorer(["rouge1", "rouge2", "rougeLsum"], use_stemmer=True)
    scores = [_best(scorer, text.example, system(text)) for text in texts]
    return {metric: float(np.mean([score[metric] for score in scores])) for metric in scores[0]}


def _best(scorer: RougeScorer, example: Example, sentences: list[str]) -> Scores:
    """Return the scores of one summary, each against the reference that is best for it."""
    summary = "\n".join(" ".join(sentence.split()) for sentence in sentences)
    found = [scorer.score(_lines(reference), summary) for reference in example.references]
    names = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeLsum"}
    return {name: max(float(score[key].fmeasure) for score in found) for name, key in names.items()}


def _lines(reference: str) -> str:
    """Return a reference with each sentence on a line of its own."""
    return "\n".join(
        " ".join(reference[start:end].split()) for start, end in sentence_spans(reference)
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    print(table(figures(arguments.data, arguments.weights)))


if __name__ == "__main__":
    main()
