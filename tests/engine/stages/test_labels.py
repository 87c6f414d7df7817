"""From a checkpoint's labels to three sentiments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.stages.labels import Head, LabelReader, label_reader


def _reader(labels: Sequence[str], **settings: Any) -> LabelReader:
    return label_reader(labels, model="m", **settings)


def _refusal(labels: Sequence[str], **settings: Any) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        _reader(labels, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        (("negative", "neutral", "positive"), (0, 1, 2)),
        (("POSITIVE", "NEGATIVE"), (2, 0)),
        (("NEG", "NEU", "POS"), (0, 1, 2)),
        (("neutral", "Positive", "negative"), (1, 2, 0)),
        (
            ("Very Negative", "Negative", "Neutral", "Positive", "Very Positive"),
            (0, 0, 1, 2, 2),
        ),
        (("sentiment_neg", "sentiment_pos"), (0, 2)),
        (("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), (0, 0, 1, 2, 2)),
        (("5 Stars", "4 Stars", "3 Stars", "2 Stars", "1 Star"), (2, 2, 1, 0, 0)),
        (("LABEL_0", "LABEL_1", "LABEL_2"), (0, 1, 2)),
    ],
)
def test_labels_that_say_what_they_are_are_read(
    labels: Sequence[str], targets: tuple[int, ...]
) -> None:
    """The customary names need no option, in any order."""
    assert _reader(labels) == LabelReader(Head.SOFTMAX, targets)


@pytest.mark.parametrize(
    "labels",
    [
        ("LABEL_0", "LABEL_1"),
        ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"),
        ("joy", "anger"),
        ("positive", "other"),
        ("positive", "neutral"),
        ("not negative", "positive negative"),
        ("1 star", "1 star", "3 stars", "4 stars", "5 stars"),
        ("1 star", "2 stars"),
        ("entailment", "neutral", "contradiction"),
    ],
)
def test_labels_that_say_nothing_are_refused_with_the_way_out(labels: Sequence[str]) -> None:
    """No label is guessed: a wrong guess would answer every text wrongly."""
    assert _refusal(labels) == (
        f"the sentiment model m has the labels {', '.join(labels)}, which say nothing about"
        f' NEGATIVE, NEUTRAL, POSITIVE: set label_map, such as {{"{labels[0]}": "NEGATIVE", ...,'
        f' "{labels[-1]}": "POSITIVE"}}, or give --sentiment another model'
    )


def test_a_label_map_wins_over_the_names() -> None:
    """The user knows better, in any case of letters."""
    mapping = {"joy": "positive", "anger": "NEGATIVE", "fear": "negative", "calm": "Neutral"}
    assert _reader(tuple(mapping), label_map=mapping).targets == (2, 0, 0, 1)
    turned = {"negative": "POSITIVE", "positive": "NEGATIVE"}
    assert _reader(("negative", "positive"), label_map=turned).targets == (2, 0)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"joy": "POSITIVE"},
            "label_map must name each label of the sentiment model m once: it has joy, anger; the"
            " difference is anger",
        ),
        (
            {"joy": "POSITIVE", "angre": "NEGATIVE", "anger": "NEGATIVE"},
            "label_map must name each label of the sentiment model m once: it has joy, anger; the"
            " difference is angre",
        ),
        (
            {"joy": "good", "anger": "NEGATIVE"},
            "label_map: joy is 'good'; give one of NEGATIVE, NEUTRAL, POSITIVE",
        ),
        (
            ["NEGATIVE"],
            'label_map: an object such as {"joy": "NEGATIVE", ..., "anger": "POSITIVE"} is needed',
        ),
    ],
)
def test_a_label_map_that_does_not_fit_is_refused(mapping: Mapping[str, str], message: str) -> None:
    """The message names the label."""
    assert _refusal(("joy", "anger"), label_map=mapping) == message


def test_probabilities_of_one_kind_are_summed() -> None:
    """Four and five stars are both POSITIVE."""
    reader = _reader(("1 star", "2 stars", "3 stars", "4 stars", "5 stars"))
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.2, 0.2]]).log()
    assert reader.read(logits)[0].tolist() == pytest.approx([0.3, 0.3, 0.4])


def test_a_model_without_neutral_never_says_it() -> None:
    """The third probability is zero, and the other two are the model's own."""
    reader = _reader(("POSITIVE", "NEGATIVE"))
    logits = torch.tensor([[0.25, 0.75]]).log()
    assert reader.read(logits)[0].tolist() == pytest.approx([0.75, 0.0, 0.25])


@pytest.mark.parametrize(
    ("rating", "scores"),
    [
        (1.0, [1.0, 0.0, 0.0]),
        (2.0, [0.5, 0.5, 0.0]),
        (3.0, [0.0, 1.0, 0.0]),
        (4.5, [0.0, 0.25, 0.75]),
        (9.0, [0.0, 0.0, 1.0]),
        (-9.0, [1.0, 0.0, 0.0]),
    ],
)
def test_a_rating_leans_from_neutral_to_a_pole(rating: float, scores: list[float]) -> None:
    """A regression head's number on the scale 1 to 5 becomes three shares."""
    reader = _reader(("LABEL_0",), scale=(1.0, 5.0))
    assert reader.head is Head.RATING
    assert reader.read(torch.tensor([[rating]]))[0].tolist() == pytest.approx(scores)


def test_a_scale_may_run_down() -> None:
    """Where the lower number is the better one, the scale is given so."""
    reader = _reader(("score",), scale=(5.0, 1.0))
    assert reader.read(torch.tensor([[1.0]]))[0].tolist() == pytest.approx([0.0, 0.0, 1.0])
    assert _refusal(("score",), scale=(1.0, 1.0)) == (
        "m: scale [1.0, 1.0]: its two ratings must differ"
    )


def test_a_binary_head_is_a_probability() -> None:
    """One logit of a head that was trained on yes and no is the log odds of POSITIVE."""
    reader = _reader(("LABEL_0",), problem_type="multi_label_classification")
    read = reader.read(torch.tensor([[math.log(3)]]))
    assert read[0].tolist() == pytest.approx([0.25, 0.0, 0.75])


def test_independent_labels_are_made_comparable() -> None:
    """Sigmoids that do not add up to one are scaled until they do."""
    reader = _reader(("negative", "positive"), problem_type="multi_label_classification")
    odds = torch.tensor([[0.6 / 0.4, 0.2 / 0.8]]).log()
    assert reader.read(odds)[0].tolist() == pytest.approx([0.75, 0.0, 0.25])


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5),
    st.sampled_from([Head.SOFTMAX, Head.SIGMOID, Head.RATING]),
)
def test_scores_are_probabilities(logits: list[float], head: Head) -> None:
    """Whatever the logits, the three are not negative and add up to one."""
    width = 1 if head is Head.RATING else 5
    reader = LabelReader(head, (0, 0, 1, 2, 2)[:width])
    scores = reader.read(torch.tensor([logits[:width]]))[0]
    assert scores.sum().item() == pytest.approx(1)
    assert scores.min() >= 0
