"""The model that all peers serve: a checkpoint in float32, called on batches of texts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from benchmarks.peers.counting import Counter

EMBEDDED = Path(__file__).parent.parent.parent / "wsproc" / "weights" / "sentiment"
ROWS = 32
"""The largest batch, customary in all of these servers."""
LONGEST = 256
"""Tokens at which a chunk would be cut; those of 200 characters have about 50."""


class Classifier:
    """A sequence classifier and its tokenizer.

    It is set up from the environment, since most servers build it in processes of their own:
    PEER_MODEL is `embedded` or a folder, PEER_THREADS the threads of torch (else its own choice).
    """

    def __init__(self) -> None:
        if threads := os.environ.get("PEER_THREADS"):
            torch.set_num_threads(int(threads))
        name = os.environ.get("PEER_MODEL", "embedded")
        folder = EMBEDDED if name == "embedded" else Path(name)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.labels = [
            str(self.model.config.id2label[index]).upper()
            for index in range(self.model.config.num_labels)
        ]
        self._counter = Counter()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return each text's label and its probability; one forward pass."""
        began = time.monotonic_ns()
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        best = self.model(**tokens).logits.softmax(-1).max(-1)
        answers = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        mask = tokens["attention_mask"]
        self._counter.step(texts, int(mask.sum()), mask.numel(), began)
        return [(self.labels[index], probability) for index, probability in answers]


class PipelineClassifier(Classifier):
    """The same through a transformers pipeline, a text a call, as most services begin."""

    def __init__(self) -> None:
        super().__init__()
        self._pipeline = pipeline("text-classification", model=self.model, tokenizer=self.tokenizer)

    def __call__(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return each text's label and its probability; a forward pass each."""
        answers = []
        for text in texts:
            began = time.monotonic_ns()
            (answer,) = self._pipeline(text, truncation=True, max_length=LONGEST)
            answers.append((answer["label"].upper(), float(answer["score"])))
            self._counter.step([text], 0, 0, began)  # its tokens are not seen; nothing is padded
        return answers
