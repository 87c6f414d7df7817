"""Train the embedded summariser: `python -m training.summary.train --data DIR --out DIR`.

Recipe: (1) document frequencies of hashed words from the training articles; (2) a listwise start,
where the softmax of the scores of a text learns the softmax of what its sentences are worth
(ListNet, Cao et al. 2007); (3) a finish on the measure itself, where summaries are sampled within
the budget and the better ones made likelier (BanditSum, Dong et al. 2018: policy gradient with
the other samples' mean as the baseline). `evaluate.py` measures what this writes.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from training.summary import data
from training.summary.data import Example
from training.summary.labels import Labelled, label
from wsproc.engine.models.extractive import IDF_SCALE, Batch, Config, Scorer
from wsproc.engine.models.sentence_features import BUCKETS, FEATURES, Floats, text_buckets

ARTICLES = 5000
FORMS: tuple[tuple[int, dict[str, bool]], ...] = (
    (400, {"opened": True}),
    (400, {"opened": True, "short": True}),
    (400, {"short": True}),
    (300, {"flat": True}),
)
BATCH = 16
SAMPLES = 6
PAIRS_WEIGHT = 1.5
LISTWISE_SHARE = 0.3


def main() -> None:
    """Train and write `config.json` and `model.safetensors`."""
    arguments = _arguments()
    random.seed(arguments.seed)
    np.random.seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    began = time.monotonic()
    idf = _idf(arguments.data)
    train, held = _examples(arguments.data, arguments.articles)
    texts = [_progress(index, label(example, idf), began) for index, example in enumerate(train)]
    held_texts = [label(example, idf) for example in held]
    config = Config(hidden=96)
    scorer = Scorer(config, dropout=0.2)
    _normalise(scorer, texts)
    _fit(scorer, texts, held_texts, arguments.listwise, rate=2e-3, sample=False)
    _fit(scorer, texts, held_texts, arguments.bandit, rate=3e-4, sample=True)
    _save(arguments.out, config, scorer, idf)
    print(f"done after {time.monotonic() - began:.0f} s")


def _arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--articles", type=int, default=ARTICLES)
    parser.add_argument("--listwise", type=int, default=3, help="epochs of the listwise start")
    parser.add_argument("--bandit", type=int, default=5, help="epochs of the finish on ROUGE")
    return parser.parse_args()


def _progress(index: int, text: Labelled, began: float) -> Labelled:
    """Say now and then how many texts are read."""
    if index % 500 == 0:
        print(f"read {index} texts, {time.monotonic() - began:.0f} s", flush=True)
    return text


def _idf(folder: Path) -> Floats:
    """Return the inverse document frequency [BUCKETS] of hashed words, as it will be stored."""
    counts = np.zeros(BUCKETS, np.int64)
    texts = 0
    for example in _background(folder):
        counts[sorted(text_buckets(example.text))] += 1
        texts += 1
    idf = np.log((texts + 1) / (counts + 1))
    return (np.round(idf * IDF_SCALE).clip(0, 255) / IDF_SCALE).astype(np.float32)


def _background(folder: Path) -> Iterator[Example]:
    """Yield the texts whose words are counted."""
    yield from islice(data.wiki(folder / "wiki_articles/train.jsonl.xz"), 6000)
    yield from data.abstracts(folder / "scitldr/train.jsonl.xz")


def _examples(folder: Path, articles: int) -> tuple[list[Example], list[Example]]:
    """Return the examples to learn from and those held out to watch the progress.

    Most articles come as bodies, which is what is measured, and some in other forms, so that the
    scorer learns more kinds of text; each article comes in one form only.
    """
    path = folder / "wiki_articles/train.jsonl.xz"
    train = list(islice(data.wiki(path), articles))
    used = articles
    for count, form in FORMS:
        train += islice(data.wiki(path, **form), used, used + count)
        used += count
    papers, held = data.split_off(list(data.papers(folder / "scisummnet/train.jsonl.xz")), 0.2, 1)
    train += [*data.abstracts(folder / "scitldr/train.jsonl.xz"), *papers]
    held += islice(data.wiki(folder / "wiki_articles/dev.jsonl.xz"), 300)
    held += data.abstracts(folder / "scitldr/dev.jsonl.xz")
    return train, held


def _normalise(scorer: Scorer, texts: Sequence[Labelled]) -> None:
    """Set the mean and deviation of the features from every fourth text."""
    dense = np.concatenate([text.table.dense for text in texts[::4]])
    scorer.mean.copy_(torch.from_numpy(dense.mean(axis=0)))
    scorer.deviation.copy_(torch.from_numpy(dense.std(axis=0) + 1e-2))


def _fit(
    scorer: Scorer,
    texts: Sequence[Labelled],
    held: Sequence[Labelled],
    epochs: int,
    *,
    rate: float,
    sample: bool,
) -> None:
    """Train for some epochs, by sampled summaries or listwise."""
    steps = epochs * sum(1 for _ in _batches(texts))
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps + 1, pct_start=0.1)
    for epoch in range(epochs):
        began = time.monotonic()
        scorer.train()
        for batch in _batches(texts):
            scores = scorer(Batch.of([text.table.dense for text in batch]))
            parts = scores.split([len(text.lengths) for text in batch])
            losses = [_loss(part, text, sample) for part, text in zip(parts, batch, strict=True)]
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(scorer.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        kind = "bandit" if sample else "listwise"
        spent = time.monotonic() - began
        print(f"{kind} epoch {epoch}, {spent:.0f} s: {_watch(scorer, held)}", flush=True)


def _batches(texts: Sequence[Labelled]) -> Iterator[list[Labelled]]:
    """Yield the texts in a new order, some at a time; those of the small sources come twice."""
    twice = [index for index, text in enumerate(texts) if text.example.source != "wiki"]
    order = [*range(len(texts)), *twice]
    random.shuffle(order)
    for start in range(0, len(order), BATCH):
        yield [texts[index] for index in order[start : start + BATCH]]


def _loss(scores: Tensor, text: Labelled, sample: bool) -> Tensor:
    """Return the loss of one text whose sentences have `scores` [sentences].

    Where the summary is one sentence, each sentence's worth is the reward itself, so that there
    is nothing to sample.
    """
    wanted = torch.softmax(torch.from_numpy(text.worth()), 0)
    listwise = -(wanted * torch.log_softmax(scores, 0)).sum()
    if not sample or text.example.sentences:
        return listwise
    return LISTWISE_SHARE * listwise + _bandit(scores, text)


def _bandit(scores: Tensor, text: Labelled) -> Tensor:
    """Return the policy-gradient loss of some sampled summaries of a text.

    A summary is an order drawn from the scores (by Gumbel noise) and filled up to the budget; its
    likelihood is the product of each choice among the sentences that then still fitted.
    """
    values = scores.detach().numpy().astype(np.float64)
    drawn = [_fill(values + np.random.gumbel(size=len(values)), text) for _ in range(SAMPLES)]
    rewards = np.array([text.reward([i for i, _ in choices], PAIRS_WEIGHT) for choices in drawn])
    gains = rewards - (rewards.sum() - rewards) / (SAMPLES - 1)
    steps = [
        (sentence, fitting, gain)
        for choices, gain in zip(drawn, gains, strict=True)
        for sentence, fitting in choices
    ]
    if not steps:
        return scores.sum() * 0
    chosen = torch.tensor([sentence for sentence, _, _ in steps])
    open_ = torch.from_numpy(np.stack([fitting for _, fitting, _ in steps]))
    weight = torch.tensor([gain for _, _, gain in steps], dtype=torch.float32)
    among = scores[None].masked_fill(~open_, -torch.inf).logsumexp(1)
    return -10 * (weight * (scores[chosen] - among)).sum() / SAMPLES


def _fill(worth: NDArray[np.float64], text: Labelled) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return sentences by worth while they fit, each with what [sentences] fitted then."""
    words = text.table.words
    room = text.example.max_words or int(words.sum())
    open_ = np.ones(len(words), bool)
    choices: list[tuple[int, NDArray[np.bool_]]] = []
    while len(choices) < (text.example.sentences or len(words)):
        open_ = open_ & (words <= room)
        if not open_.any():
            break
        best = int(np.where(open_, worth, -np.inf).argmax())
        choices.append((best, open_))
        open_ = open_.copy()
        open_[best] = False
        room -= int(words[best])
    return choices


@torch.inference_mode()
def _watch(scorer: Scorer, held: Iterable[Labelled]) -> str:
    """Return the mean reward (ROUGE-1 + ROUGE-2, in hundredths) on each held-out source."""
    scorer.eval()
    rewards: dict[str, list[float]] = {}
    for text in held:
        scores = scorer(Batch.of([text.table.dense])).numpy().astype(np.float64)
        chosen = [sentence for sentence, _ in _fill(scores, text)] or [int(scores.argmax())]
        rewards.setdefault(text.example.source, []).append(text.reward(chosen, 1.0))
    return ", ".join(f"{name} {100 * np.mean(values):.2f}" for name, values in rewards.items())


def _save(out: Path, config: Config, scorer: Scorer, idf: Floats) -> None:
    """Write the weights in half precision and the configuration."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in scorer.state_dict().items()}
    tensors = {
        name: value if name in ("mean", "deviation") else value.half()
        for name, value in tensors.items()
    }
    tensors["idf"] = torch.from_numpy(np.round(idf * IDF_SCALE).astype(np.uint8))
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    values = {**asdict(config), "features": list(FEATURES)}
    (out / "config.json").write_text(json.dumps(values, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
