"""The statistical component: its architecture and its training loop."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Adam, Model, fix_random_seed

from training.entities.labels import LEARNED

_TOK2VEC = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 96,
        "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
        "rows": [2000, 500, 1000, 500],
        "include_static_vectors": True,
    },
    "encode": {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 96,
        "depth": 4,
        "window_size": 1,
        "maxout_pieces": 3,
    },
}

_NER = {
    "model": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": _TOK2VEC,
    },
}


def blank(base: Language, extra_labels: Sequence[str] = ()) -> Language:
    """Return an untrained English pipeline with the `ner` component, sharing the base's vectors."""
    nlp = spacy.blank("en", vocab=base.vocab)
    ner: Any = nlp.add_pipe("ner", config=_NER)
    for label in (*LEARNED, *extra_labels):
        ner.add_label(label)
    return nlp


def fit(
    nlp: Language,
    docs: Sequence[Doc],
    *,
    epochs: float,
    seed: int,
    rate: float = 2e-3,
    words_per_batch: int = 1500,
    dropout: float = 0.15,
    start: Language | None = None,
) -> None:
    """Train `ner` on the documents' entities; the learning rate warms up, then falls to zero.

    Adam with averaged weights, as in spaCy's own recipes. With `start`, the token encoder begins
    from that pipeline's.
    """
    fix_random_seed(seed)
    rng = random.Random(seed)
    optimizer = Adam(
        rate, beta1=0.9, beta2=0.999, eps=1e-8, L2=0.01, L2_is_weight_decay=True, grad_clip=1.0,
        use_averages=True,
    )  # fmt: skip
    nlp.initialize(
        lambda: [Example(_unlabelled(nlp, doc), doc) for doc in docs[:50]], sgd=optimizer
    )
    model = _model(nlp)
    if start is not None:
        model.get_ref("tok2vec").from_bytes(_model(start).get_ref("tok2vec").to_bytes())
    total = int(epochs * sum(map(len, docs)))
    progress = _Progress(total)
    for step, batch in enumerate(_batches(docs, rng, words_per_batch)):
        if progress.share >= 1:
            break
        optimizer.learn_rate = rate * min((step + 1) / 100, 1 - progress.share)
        examples = [Example(_unlabelled(nlp, doc), doc) for doc in batch]
        losses = nlp.update(examples, sgd=optimizer, drop=dropout)
        progress.add(sum(map(len, batch)), losses["ner"])
    _use_averages(model, optimizer.averages)


def _model(nlp: Language) -> Model[Any, Any]:
    ner: Any = nlp.get_pipe("ner")
    model: Model[Any, Any] = ner.model
    return model


class _Progress:
    """How far training is, in words, and a line about it from time to time."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen = 0
        self._steps = 0
        self._loss = 0.0
        self._begun = time.monotonic()

    @property
    def share(self) -> float:
        """The share of the words that has been seen."""
        return self._seen / self._total

    def add(self, words: int, loss: float) -> None:
        """Count a batch; print a line at every hundredth."""
        self._seen += words
        self._steps += 1
        self._loss += loss
        if self._steps % 100 == 0:
            speed = self._seen / (time.monotonic() - self._begun)
            print(
                f"  {self.share:.0%}, {speed:.0f} words/s, loss {self._loss / 100:.1f}", flush=True
            )
            self._loss = 0.0


def copy_with_words(nlp: Language, doc: Doc, words: list[str]) -> Doc:
    """Return a document of other words, as many, with the same entities."""
    copy = Doc(nlp.vocab, words=words)
    missing = [Span(copy, token.i, token.i + 1) for token in doc if token.ent_iob == 0]
    known = [Span(copy, ent.start, ent.end, label=ent.label_) for ent in doc.ents]
    copy.set_ents(known, missing=missing)
    return copy


def _unlabelled(nlp: Language, doc: Doc) -> Doc:
    return Doc(nlp.vocab, words=[token.text for token in doc])


def _use_averages(model: Model[Any, Any], averages: dict[Any, Any]) -> None:
    """Replace the weights by their running averages, for good."""
    for node in model.walk():
        for name in node.param_names:
            if (node.id, name) in averages:
                node.set_param(name, averages[node.id, name])


def _batches(docs: Sequence[Doc], rng: random.Random, words: int) -> Iterator[list[Doc]]:
    """Yield batches of about `words` words for ever, in a new order each time round."""
    while True:
        order = list(docs)
        rng.shuffle(order)
        batch: list[Doc] = []
        for doc in order:
            batch.append(doc)
            if sum(map(len, batch)) >= words:
                yield batch
                batch = []
