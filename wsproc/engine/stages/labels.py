"""From a checkpoint's own labels to NEGATIVE, NEUTRAL and POSITIVE.

A checkpoint's logits become three probabilities in one of these ways, the first that fits:

1. `label_map`: the user says which of the three each label is;
2. one logit: a probability of POSITIVE (a binary head) or a rating on a scale (a regression head);
3. names that say it (`negative`, `Very Positive`, `pos`, ...), of which each kind is summed;
4. ratings of one to five stars: one and two are NEGATIVE, three is NEUTRAL, four and five POSITIVE;
5. LABEL_0, LABEL_1, LABEL_2: NEGATIVE, NEUTRAL, POSITIVE, the order of the tweet-eval models.

A checkpoint that has no neutral label never says NEUTRAL: its probability is 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.transfer import onto

SENTIMENTS = ("NEGATIVE", "NEUTRAL", "POSITIVE")
"""The three sentiments, in the order of every score vector here."""

_KINDS = {"neg": 0, "negative": 0, "neu": 1, "neutral": 1, "pos": 2, "positive": 2}
_STAR = re.compile(r"([1-5]) ?stars?", re.ASCII | re.IGNORECASE)
_GENERIC = ("LABEL_0", "LABEL_1", "LABEL_2")


class Head(StrEnum):
    """How a checkpoint's logits are read."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class LabelReader:
    """Turns logits into the probabilities of `SENTIMENTS`.

    `targets` has for each label the index of its sentiment. `scale` holds the ratings, of a
    `Head.RATING`, that are wholly NEGATIVE and wholly POSITIVE.
    """

    head: Head
    targets: tuple[int, ...]
    scale: tuple[float, float] = (-1.0, 1.0)

    def read(self, logits: Tensor) -> Tensor:
        """Return [rows, 3] probabilities, in float32, for [rows, labels] logits.

        A rating r between low and high, s = (r - low) / (high - low) clipped to 0..1, is read as
        POSITIVE max(0, 2s - 1), NEGATIVE max(0, 1 - 2s) and the rest NEUTRAL.
        """
        logits = logits.float()
        if self.head is Head.RATING:
            return self._rated(logits[:, 0])
        if len(self.targets) == 1:
            positive = logits[:, 0].sigmoid()
            return torch.stack([1 - positive, torch.zeros_like(positive), positive], dim=1)
        each = logits.softmax(1) if self.head is Head.SOFTMAX else logits.sigmoid()
        targets = onto(self.targets, logits.device)
        summed = each.new_zeros(len(each), 3).index_add_(1, targets, each)
        return summed / summed.sum(1, keepdim=True)

    def _rated(self, rating: Tensor) -> Tensor:
        low, high = self.scale
        lean = 2 * ((rating - low) / (high - low)).clamp(0, 1) - 1
        negative, positive = (-lean).clamp(min=0), lean.clamp(min=0)
        return torch.stack([negative, 1 - lean.abs(), positive], dim=1)


def label_reader(
    labels: Sequence[str],
    *,
    model: str,
    problem_type: str | None = None,
    label_map: Mapping[str, str] | None = None,
    scale: tuple[float, float] = (-1.0, 1.0),
) -> LabelReader:
    """Return the reader for a checkpoint's labels, in the order of its logits.

    `problem_type` is the checkpoint's own. `label_map` gives NEGATIVE, NEUTRAL or POSITIVE for
    each label and overrides all guessing; `scale` is for regression heads. `model` is for the
    message of `ModelUnavailable`, which is raised if the labels say nothing and for a `label_map`
    or a `scale` that does not fit.
    """
    many = problem_type == "multi_label_classification"
    head = Head.SIGMOID if many else Head.SOFTMAX
    if label_map is not None:
        return LabelReader(head, _mapped(labels, label_map, model))
    if len(labels) == 1:
        if scale[0] == scale[1]:
            raise ModelUnavailable(f"{model}: scale {list(scale)}: its two ratings must differ")
        return LabelReader(head if many else Head.RATING, (2,), scale)
    for guess in (_by_name, _by_stars, _by_order):
        targets = guess(labels)
        if targets is not None:
            return LabelReader(head, targets)
    raise ModelUnavailable(
        f"the sentiment model {model} has the labels {', '.join(labels)}, which say nothing about"
        f" {', '.join(SENTIMENTS)}: set label_map, such as {_example(labels)}, or give --sentiment"
        " another model"
    )


def _mapped(labels: Sequence[str], label_map: Mapping[str, str], model: str) -> tuple[int, ...]:
    if not isinstance(label_map, Mapping):
        raise ModelUnavailable(f"label_map: an object such as {_example(labels)} is needed")
    wrong = sorted(set(labels) ^ set(label_map))
    if wrong:
        raise ModelUnavailable(
            f"label_map must name each label of the sentiment model {model} once:"
            f" it has {', '.join(labels)}; the difference is {', '.join(wrong)}"
        )
    upper = {label: str(label_map[label]).upper() for label in labels}
    bad = next((label for label in labels if upper[label] not in SENTIMENTS), None)
    if bad is not None:
        raise ModelUnavailable(
            f"label_map: {bad} is {label_map[bad]!r}; give one of {', '.join(SENTIMENTS)}"
        )
    return tuple(SENTIMENTS.index(upper[label]) for label in labels)


def _by_name(labels: Sequence[str]) -> tuple[int, ...] | None:
    """Read labels of which each holds the name of exactly one sentiment, and both poles occur."""
    found = [{_KINDS[word] for word in _words(label) if word in _KINDS} for label in labels]
    if any(len(kinds) != 1 for kinds in found) or not {0, 2} <= set().union(*found):
        return None
    return tuple(kinds.pop() for kinds in found)


def _words(label: str) -> list[str]:
    return re.findall(r"[a-z]+", label.lower())


def _by_stars(labels: Sequence[str]) -> tuple[int, ...] | None:
    stars = [_STAR.fullmatch(label.strip()) for label in labels]
    if len(labels) != 5:
        return None
    counts = [int(match[1]) for match in stars if match is not None]
    return tuple((0, 0, 1, 2, 2)[n - 1] for n in counts) if len(set(counts)) == 5 else None


def _by_order(labels: Sequence[str]) -> tuple[int, ...] | None:
    return (0, 1, 2) if tuple(label.upper() for label in labels) == _GENERIC else None


def _example(labels: Sequence[str]) -> str:
    first, last = labels[0], labels[-1]
    return f'{{"{first}": "NEGATIVE", ..., "{last}": "POSITIVE"}}'
