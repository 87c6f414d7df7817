"""int8 on a CPU: tried where it pays, kept where the labels are, never a surprise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.checkpoints import save_classifier
from wsproc.engine.models import precision
from wsproc.engine.models.linear import Int8Linear, PackedLinear
from wsproc.engine.models.load import LoadedModel, load_classifier
from wsproc.engine.models.precision import SENTENCES, compare, suit_classifier
from wsproc.engine.models.source import Kind, Source


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier."""
    return save_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture
def loaded(folder: Path) -> LoadedModel:
    """It, loaded anew."""
    source = Source("sentiment", Kind.FOLDER, str(folder), "tiny")
    return load_classifier(source, torch.device("cpu"), torch.float32, lambda line: None)


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor and a model for which int8 pays."""
    monkeypatch.setattr(precision, "has_fast_int8", lambda: True)
    monkeypatch.setattr(precision, "LEAST_WEIGHTS", 1)


def kinds(loaded: LoadedModel) -> set[type]:
    """Return the kinds of linear layers in a model's body."""
    modules = loaded.model.base_model.modules()
    return {type(one) for one in modules if "Linear" in type(one).__name__}


@pytest.mark.usefixtures("_fast")
def test_int8_is_taken_where_it_pays_and_labels_are_kept(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is told; only texts of equal length may share a batch; the head stays.

    Random weights are as wild as no trained ones, so the bounds are wider here.
    """
    monkeypatch.setattr(precision, "LEAST_AGREEMENT", 0.5)
    monkeypatch.setattr(precision, "MOST_CHANGE", 0.5)
    lines: list[str] = []
    suited = suit_classifier(loaded, "auto", lines.append)
    assert kinds(suited.loaded) == {Int8Linear}
    assert suited.apart
    assert suited.unpadded is not None
    assert suited.facts["dtype"] == "int8"
    assert suited.facts["agreement"] >= precision.LEAST_AGREEMENT
    assert lines == [f"sentiment runs in int8: {lines[0].split(': ', 1)[1]}"]
    assert not any(isinstance(one, Int8Linear) for one in suited.loaded.model.classifier.modules())


@pytest.mark.usefixtures("_fast")
def test_a_model_that_int8_harms_stays_in_float32(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so; what was tried leaves no trace in it."""
    lines: list[str] = []
    monkeypatch.setattr(precision, "compare", lambda one, other: (0.5, 0.4))
    suited = suit_classifier(loaded, "auto", lines.append)
    assert suited.loaded is loaded
    assert (suited.facts, suited.apart) == ({}, False)
    assert kinds(loaded) == {PackedLinear}
    assert lines == [
        "sentiment stays in float32, int8 changes too much: 50% of 24 labels kept, probabilities"
        " within 0.400"
    ]


@pytest.mark.parametrize("why", ["slow processor", "small model", "asked for float32"])
def test_int8_is_not_tried_where_it_does_not_pay(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """float32 with packed layers is what remains."""
    monkeypatch.setattr(precision, "has_fast_int8", lambda: why != "slow processor")
    monkeypatch.setattr(precision, "LEAST_WEIGHTS", 10**9 if why == "small model" else 1)
    asked = "float32" if why == "asked for float32" else "auto"
    suited = suit_classifier(loaded, asked, pytest.fail)
    assert kinds(suited.loaded) == {PackedLinear}


def test_int8_that_is_asked_for_is_obeyed(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does to the labels: the facts tell."""
    monkeypatch.setattr(precision, "compare", lambda one, other: (0.5, 0.4))
    suited = suit_classifier(loaded, "int8", lambda line: None)
    assert kinds(suited.loaded) == {Int8Linear}
    assert suited.facts == {"dtype": "int8", "agreement": 0.5, "change": 0.4}


def test_other_formats_are_left_as_they_are(loaded: LoadedModel) -> None:
    """bfloat16, and everything on a GPU."""
    half = replace(loaded, dtype=torch.bfloat16)
    assert suit_classifier(half, "auto", pytest.fail).loaded is half
    there = replace(loaded, device=torch.device("meta"))
    assert suit_classifier(there, "auto", pytest.fail).loaded is there


def test_models_are_compared_label_by_label(loaded: LoadedModel, folder: Path) -> None:
    """A model agrees with itself; one that gives no numbers agrees with none."""
    assert compare(loaded, loaded) == (1.0, 0.0)
    broken = load_classifier(loaded.source, loaded.device, loaded.dtype, lambda line: None)
    for parameter in broken.model.classifier.parameters():
        parameter.data.fill_(float("nan"))
    assert compare(loaded, broken)[1] == float("inf")


def test_the_sentences_are_of_all_kinds() -> None:
    """Enough of them that one label is within the floor, and none twice."""
    assert len(set(SENTENCES)) == len(SENTENCES)
    assert 1 / len(SENTENCES) < 1 - precision.LEAST_AGREEMENT
