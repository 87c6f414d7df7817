"""The ideal offline loop: no server; all chunks are there at once and are sorted by their length.

A process of it takes its share of the chunks, tokenizes them, sorts them and classifies them in
batches, as often as there is time. It is told what to do by lines on its input (`rows 32 1.5` for
batches of 32 for 1.5 seconds, `tokens 2048 1.5` for batches of that many tokens with padding), and
answers each with its chunks a second.

    python -m benchmarks.offline SHARE SHARES LEAST MOST REPEATS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import torch

from benchmarks.peers.model import LONGEST, Classifier
from benchmarks.workload import chunks_of, sample_texts


def batches(lengths: Sequence[int], kind: str, most: int) -> Iterator[list[int]]:
    """Yield indices by length, longest first, in batches of so many rows or padded tokens."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        size = (
            len(batch) + 1
            if kind == "rows"
            else (len(batch) + 1) * lengths[batch[0]]
            if batch
            else 0
        )
        if size > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def one_pass(classifier: Classifier, chunks: Sequence[str], kind: str, most: int) -> int:
    """Classify all chunks; return how many answers there are."""
    rows = classifier.tokenizer(list(chunks), truncation=True, max_length=LONGEST)["input_ids"]
    answers: dict[int, tuple[str, float]] = {}
    for batch in batches([len(row) for row in rows], kind, most):
        tokens = classifier.tokenizer.pad(
            {"input_ids": [rows[index] for index in batch]}, return_tensors="pt"
        )
        best = classifier.model(**tokens).logits.softmax(-1).max(-1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        for index, (label, probability) in zip(batch, pairs, strict=True):
            answers[index] = classifier.labels[label], probability
    return len(answers)


def main() -> None:
    """Do what the input says until it ends."""
    share, shares, least, most, repeats = map(int, sys.argv[1:])
    texts = sample_texts(least, most) * repeats
    chunks = [chunk for text in texts for chunk in chunks_of(text)][share::shares]
    classifier = Classifier()
    one_pass(classifier, chunks[:64], "rows", 32)
    print("ready", flush=True)
    for line in sys.stdin:
        kind, limit, seconds = line.split()
        began, done = time.monotonic(), 0
        while time.monotonic() - began < float(seconds):
            done += one_pass(classifier, chunks, kind, int(limit))
        print(done / (time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main()
