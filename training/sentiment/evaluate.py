"""Figures of the shipped sentiment weights on held-out sets, and a test on everyday prose.

python -m training.sentiment.evaluate --data DIR [--weights DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from training.report import Figure, table
from training.sentiment import data as corpora
from training.sentiment.metrics import Ints, accuracy, calibration_error, macro_recall
from training.sentiment.student import Floats, encode, predict, softmax

FLOORS = {"tweeteval": 0.62}
CHUNK = 200  # characters, the size of a chunk in the document and speed measures
SMOKE: tuple[tuple[str, int], ...] = (
    ("The waiter was rude and the soup was cold.", 0),
    ("The train leaves at nine from platform four.", 1),
    ("I could not be happier with the service.", 2),
    ("Not bad at all.", 2),
    ("Terrible.", 0),
    ("Excellent!", 2),
    ("I love it.", 2),
    ("I hate it.", 0),
    ("This is not good.", 0),
    ("The room has two windows and a desk.", 1),
    ("My order arrived broken and nobody answered my emails.", 0),
    ("Thank you so much for your help!", 2),
    ("The committee will meet again on Tuesday.", 1),
    ("I would not recommend this hotel to anyone.", 0),
    ("We had a wonderful evening and the food was delicious.", 2),
    ("The recipe calls for two eggs and a cup of flour.", 1),
    ("The battery dies after an hour.", 0),
    ("It works perfectly and was easy to set up.", 2),
    ("Water boils at a lower temperature in the mountains.", 1),
    ("The film was boring and far too long.", 0),
    ("The museum is open from ten to five.", 1),
    ("What a waste of money.", 0),
    ("She smiled and said it was the best day of her life.", 2),
    ("The company said it would publish its results in March.", 1),
    ("The flight was cancelled and we lost our luggage.", 0),
    ("I'm really proud of what the team has achieved.", 2),
    ("The river flows through three countries before it reaches the sea.", 1),
    ("I have never been so disappointed.", 0),
    ("Nothing to complain about, everything was spotless.", 2),
    ("He was born in 1921 and studied law in Vienna.", 1),
    ("The new update keeps crashing my phone.", 0),
    ("Great value for the price.", 2),
    ("Please send the form to the office on the second floor.", 1),
    ("The staff were friendly and helpful.", 2),
    ("It wasn't worth the wait.", 0),
    ("The parliament has 120 members.", 1),
    ("I'm sick of these delays.", 0),
    ("There is a bus every twenty minutes.", 1),
    ("The garden looks beautiful in spring.", 2),
    ("The customer service is a joke.", 0),
    ("The meeting was moved to the large hall.", 1),
    ("I can't wait to see you again!", 2),
    ("The lift was out of order for the whole week.", 0),
    ("My grandmother makes the best apple cake in the world.", 2),
    ("The lecture covers the history of the region up to 1914.", 1),
    ("They overcharged me and refused to give a refund.", 0),
    ("Nobody was hurt and the dog was returned to its owner.", 2),
    ("The shop sells bread, milk and newspapers.", 1),
    ("I wish I had stayed at home.", 0),
    ("A pleasant surprise from start to finish.", 2),
    ("The second volume was published by the same press.", 1),
    ("No stars. Avoid.", 0),
    ("Could hardly be worse.", 0),
    ("It could have been a lot worse, we enjoyed ourselves.", 2),
    ("Turn left at the church and walk for two minutes.", 1),
    ("The children laughed and danced all afternoon.", 2),
    ("He lied to us and took the money.", 0),
    ("The printer uses standard A4 paper.", 1),
    ("This phone is not as good as my old one.", 0),
    ("Thanks, that solved my problem.", 2),
)


class Classifier:
    """The weights in `folder`, loaded as any user would load them."""

    def __init__(self, folder: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert isinstance(tokenizer, PreTrainedTokenizerFast)
        self._tokenizer = tokenizer
        self._model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32
        )
        self._model.train(False)

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return the class probabilities [texts, 3] of whole texts, cut at the model's length."""
        return softmax(predict(self._model, encode(self._tokenizer, texts)))

    def pace(self, texts: Sequence[str], batch: int) -> float:
        """Return texts per second of processor time, tokenising included, in batches of `batch`."""
        with torch.inference_mode():
            for _ in range(2):
                started = time.process_time()
                for start in range(0, len(texts), batch):
                    part = list(texts[start : start + batch])
                    inputs = self._tokenizer(
                        part, padding=True, truncation=True, return_tensors="pt"
                    )
                    self._model(
                        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
                    )
        return len(texts) / (time.process_time() - started)


def figures(data: Path, weights: Path) -> list[Figure]:
    """Measure the weights on every held-out set; quality only, see `pace` for speed."""
    classify = Classifier(weights)
    found: list[Figure] = []
    for name, examples in corpora.test_sets(data).items():
        labels = np.array([example.label for example in examples])
        guesses = classify([example.text for example in examples])
        found += _measures(name, guesses, labels)
    found += _documents(classify, data)
    guesses = classify([text for text, _ in SMOKE])
    right = accuracy(guesses, np.array([label for _, label in SMOKE]))
    return [*found, Figure("sentiment", "everyday sentences", "accuracy", right, len(SMOKE))]


def misread(weights: Path) -> list[str]:
    """Return a line for each everyday sentence that the model gets wrong."""
    guesses = Classifier(weights)([text for text, _ in SMOKE])
    return [
        f"{text}  wanted {corpora.LABELS[label]}, got {np.round(row, 2).tolist()}"
        for (text, label), row in zip(SMOKE, guesses, strict=True)
        if row.argmax() != label
    ]


def pace(data: Path, weights: Path, batch: int) -> float:
    """Return chunks per second of one thread, for chunks cut from the held-out film reviews."""
    torch.set_num_threads(1)
    documents = corpora.test_documents(data)[:25]
    texts = [chunk for document in documents for chunk in corpora.chunks(document.text, CHUNK)]
    return Classifier(weights).pace(texts[:256], batch)


def _measures(name: str, guesses: Floats, labels: Ints) -> list[Figure]:
    count, floor = len(labels), FLOORS.get(name)
    return [
        Figure("sentiment", name, "macro recall", macro_recall(guesses, labels), count, floor),
        Figure("sentiment", name, "accuracy", accuracy(guesses, labels), count),
        Figure("sentiment", name, "ECE", calibration_error(guesses, labels), count),
    ]


def _documents(classify: Classifier, data: Path) -> list[Figure]:
    """Score whole film reviews, positive against negative, by the mean over their chunks."""
    documents = corpora.test_documents(data)
    right = 0
    for document in documents:
        mean = classify(corpora.chunks(document.text, CHUNK)).mean(0)
        right += int((mean[2] > mean[0]) == (document.label == 2))
    share = right / len(documents)
    note = f"mean over {CHUNK}-character chunks"
    return [Figure("sentiment", "film reviews", "accuracy", share, len(documents), None, note)]


def main() -> None:
    """Print the figures, the misread sentences and the speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("wsproc/weights/sentiment"))
    options = parser.parse_args()
    print(table(figures(options.data, options.weights)))
    print("\n".join(misread(options.weights)))
    for batch in (1, 32):
        print(
            f"batch {batch}: {pace(options.data, options.weights, batch):.0f} chunks/s, one thread"
        )


if __name__ == "__main__":
    main()
