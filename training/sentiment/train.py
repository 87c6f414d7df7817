"""Train the sentiment model that ships.

    python -m training.sentiment.train --data DIR --out DIR

Steps: a tokenizer; PPMI-SVD word vectors; an n-gram teacher, cross-fitted; a small ModernBERT on
the teacher's targets mixed with the labels, over labelled and unlabelled text; calibration on the
development parts. Everything is seeded. `--work DIR` keeps the teacher's targets between runs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped]
from transformers import ModernBertForSequenceClassification, PreTrainedTokenizerFast

from training.sentiment import data as corpora
from training.sentiment import everyday, student, targets, tokenizer, vectors
from training.sentiment.data import Example, Splits
from training.sentiment.metrics import accuracy, calibration_error, macro_recall
from training.sentiment.student import Floats, Recipe, softmax
from training.sentiment.targets import Item
from training.sentiment.teacher import Lexicon
from training.sentiment.vectors import Vectors

VOCABULARY = 24_000
WIDTH = 128
SEED = 13
HARD = 0.5  # share of the label, against the teacher's probabilities, in a labelled text's target
# Shares of the unlabelled texts in each epoch; the second generation starts from the first one's
# weights and learns from targets that the first one has helped to set.
FIRST = (0.35,)
SECOND = (0.7, 0.2)
LAST, LAST_RATE = (0.08,), 4e-4  # a short run at a low rate, over little but the labelled texts
SHARES = {"tweets": 100_000, "wiki": 14_000, "novels": 9_000, "speeches": 4_000, "news": 24_000}


def main() -> None:
    """Train, calibrate and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    splits, tokens, start, items = _material(options.data, options.work)
    items += _made_up(splits, tokens, Lexicon.read(options.data))
    print(f"{len(items)} training texts", flush=True)
    model = student.build(tokens, start)
    print("first generation", flush=True)
    ids = student.encode(tokens, [item.text for item in items])
    model = _fit(model, splits, tokens, ids, items, FIRST)
    items = targets.renew(items, softmax(student.predict(model, ids)))
    print("second generation", flush=True)
    model = _fit(model, splits, tokens, ids, items, SECOND)
    model = _fit(model, splits, tokens, ids, items, LAST, LAST_RATE)
    _calibrate(model, tokens, splits.dev)
    save(model, tokens, options.out)


def _material(
    data: Path, work: Path | None
) -> tuple[Splits, PreTrainedTokenizerFast, Vectors, list[Item]]:
    """Return splits, tokenizer, word vectors and training items, from `work` where it has them."""
    if work is not None and (work / "items.pickle").exists():
        splits, start, items = pickle.loads((work / "items.pickle").read_bytes())
        return splits, tokenizer.load(work / "tokenizer"), start, items
    rng = random.Random(SEED)
    splits = corpora.load(data, SEED)
    print("tokenizer", flush=True)
    tokens = tokenizer.build(_tokenizer_texts(splits), VOCABULARY)
    print("word vectors", flush=True)
    start = vectors.embed(_all_ids(splits, tokens), len(tokens), WIDTH, SEED)
    print("teacher", flush=True)
    items = _items(splits, tokens, Lexicon.read(data), rng)
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        tokens.save_pretrained(work / "tokenizer")
        (work / "items.pickle").write_bytes(pickle.dumps((splits, start, items)))
    return splits, tokens, start, items


def _tokenizer_texts(splits: Splits) -> list[str]:
    """Return the texts that decide the vocabulary: opinions first, and a share of plain prose."""
    pools = splits.pools
    reviews = [e.text for e in splits.train if e.domain == "film reviews"][::3]
    texts = [e.text for e in splits.train if e.domain != "film reviews"] + reviews
    prose = pools["wiki"][:15_000] + pools["novels"][:10_000]
    return texts + pools["tweets"] + pools["news"] + pools["reddit"] + prose


def _all_ids(splits: Splits, tokens: PreTrainedTokenizerFast) -> list[list[int]]:
    texts = [example.text for example in splits.train]
    texts += [text for pool in splits.pools.values() for text in pool]
    encode = tokens.backend_tokenizer.encode_batch
    ids: list[list[int]] = []
    for begin in range(0, len(texts), 5000):
        batch = encode(texts[begin : begin + 5000], add_special_tokens=False)
        ids += [encoding.ids for encoding in batch]
    return ids


def _items(
    splits: Splits, tokens: PreTrainedTokenizerFast, lexicon: Lexicon, rng: random.Random
) -> list[Item]:
    labelled = [example for example in splits.train if example.domain != "film reviews"]
    teach = targets.Teacher(tokens, lexicon, labelled)
    goals = HARD * np.eye(3)[[e.label for e in labelled]] + (1 - HARD) * teach.out_of_fold
    weights = targets.balance(labelled)
    items = [
        Item(example.text, goal, float(weight), example.domain, labelled=True)
        for example, goal, weight in zip(labelled, goals, weights, strict=True)
    ]
    for name, pool in splits.pools.items():
        texts = pool[: SHARES.get(name, len(pool))]
        items += _pseudo(texts, teach(texts, name), name, targets.POOL_WEIGHTS[name])
    for name, texts in targets.fragments(splits, rng).items():
        items += _pseudo(texts, teach(texts, name), name, 0.7)
    documents = [example for example in splits.train if example.domain == "film reviews"]
    cut = targets.review_chunks(documents, rng)[:12_000]
    bent = np.array([[1.6, 1.0, 0.6], [1, 1, 1], [0.6, 1.0, 1.6]])[[e.label for e in cut]]
    guesses = targets.lean(teach([e.text for e in cut], "film reviews"), bent)
    items += [Item(e.text, guess, 0.7, e.domain) for e, guess in zip(cut, guesses, strict=True)]
    return items


def _made_up(splits: Splits, tokens: PreTrainedTokenizerFast, lexicon: Lexicon) -> list[Item]:
    rng = random.Random(SEED)
    items = targets.from_lexicon(lexicon, _plain_words(splits, tokens, lexicon), rng)
    good, bad = targets.rated_adjectives(splits, lexicon)
    print(f"{len(good)} good and {len(bad)} bad adjectives", flush=True)
    made = everyday.sentences(good, bad, rng)
    return items + [Item(text, target, 0.8, "everyday", made_up=True) for text, target in made]


def _pseudo(texts: Sequence[str], guesses: Floats, name: str, weight: float) -> list[Item]:
    odds = np.array([1.0, targets.NEUTRAL_ODDS.get(name, 1.0), 1.0])
    bent = targets.lean(guesses, odds)
    return [Item(text, guess, weight, name) for text, guess in zip(texts, bent, strict=True)]


def _plain_words(splits: Splits, tokens: PreTrainedTokenizerFast, lexicon: Lexicon) -> list[str]:
    """Return frequent words of encyclopedic prose that no lexicon rates."""
    counts: dict[str, int] = {}
    for text in tokenizer.words(tokens, splits.pools["wiki"][:8000]):
        for word in text:
            if word.isalpha() and len(word) > 3 and word not in lexicon.valence:
                counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))[:5000]


def _fit(
    model: ModernBertForSequenceClassification,
    splits: Splits,
    tokens: PreTrainedTokenizerFast,
    ids: list[list[int]],
    items: Sequence[Item],
    pool_shares: Sequence[float],
    rate: float = 1.5e-3,
) -> ModernBertForSequenceClassification:
    dev = student.encode(tokens, [example.text for example in splits.dev])
    print(f"{sum(map(len, ids)) / 1e6:.1f} million tokens an epoch", flush=True)

    def report(epoch: int, average: ModernBertForSequenceClassification) -> None:
        print(
            f"epoch {epoch + 1}: {_by_domain(student.predict(average, dev), splits.dev)}",
            flush=True,
        )

    return student.train(
        model,
        ids,
        np.stack([item.target for item in items]),
        np.array([item.weight for item in items]),
        [_epoch(items, share, random.Random(number)) for number, share in enumerate(pool_shares)],
        Recipe(rate=rate, seed=SEED),
        report,
    )


def _epoch(items: Sequence[Item], pool_share: float, rng: random.Random) -> list[int]:
    """Return the places of an epoch's texts: a share of those that carry no label, all others."""
    return [
        place
        for place, item in enumerate(items)
        if item.labelled or item.made_up or rng.random() < pool_share
    ]


def _by_domain(logits: Floats, examples: Sequence[Example]) -> dict[str, tuple[float, float]]:
    """Return macro recall and accuracy of each domain."""
    labels = np.array([example.label for example in examples])
    domains = np.array([example.domain for example in examples])
    return {
        str(name): (
            round(macro_recall(logits[domains == name], labels[domains == name]), 4),
            round(accuracy(logits[domains == name], labels[domains == name]), 4),
        )
        for name in np.unique(domains)
    }


def _calibrate(
    model: ModernBertForSequenceClassification,
    tokens: PreTrainedTokenizerFast,
    dev: Sequence[Example],
) -> None:
    """Fit one temperature and a bias on the development texts, every domain's classes balanced."""
    logits = student.predict(model, student.encode(tokens, [example.text for example in dev]))
    labels = np.array([example.label for example in dev])
    weights = targets.balance(dev)

    def loss(parameters: Floats) -> float:
        probabilities = softmax(logits / np.exp(parameters[0]) + np.append(parameters[1:], 0.0))
        return -float((weights * np.log(probabilities[np.arange(len(labels)), labels])).mean())

    found = minimize(loss, np.zeros(3), method="Nelder-Mead").x
    bias = np.append(found[1:], 0.0)
    student.fold(model, float(np.exp(found[0])), (bias - bias.mean()).tolist())
    final = softmax(logits / np.exp(found[0]) + bias)
    print(f"temperature {np.exp(found[0]):.3f}, bias {np.round(bias - bias.mean(), 3)}")
    print(f"calibrated: {_by_domain(final, dev)}, ECE {calibration_error(final, labels):.4f}")


def save(
    model: ModernBertForSequenceClassification, tokens: PreTrainedTokenizerFast, out: Path
) -> None:
    """Write the folder that ships: half-precision weights, configuration and tokenizer."""
    weights = {name: value.half() for name, value in model.state_dict().items()}
    model.save_pretrained(out, state_dict=weights)
    tokens.backend_tokenizer.no_truncation()
    tokens.backend_tokenizer.no_padding()
    tokens.save_pretrained(out)
    _set(out / "tokenizer_config.json", "tokenizer_class", "PreTrainedTokenizerFast")
    _set(out / "config.json", "dtype", "float32")  # stored in half, computed in single precision


def _set(path: Path, name: str, value: str) -> None:
    """Set one entry of a JSON object in a file."""
    settings = json.loads(path.read_text())
    settings[name] = value
    for local in ("is_local", "local_files_only"):
        settings.pop(local, None)
    path.write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
