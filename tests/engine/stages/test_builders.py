"""Sizes and places that the package's own stages get."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.load import LoadedModel
from wsproc.engine.models.source import STAGES, Kind, Source
from wsproc.engine.stages.builders import BUILDERS, CPU, GPU, _budget, _step_tokens
from wsproc.engine.stages.registry import StageSettings, build_stage
from wsproc.engine.stages.stage import StepBudget


def test_each_stage_has_a_builder_and_sizes_for_each_kind_of_device() -> None:
    """No stage is forgotten on a device that nobody here has."""
    assert set(BUILDERS) == set(STAGES)
    for stage in STAGES:
        for kind in (CPU, GPU):
            budget = _budget(stage, kind, StageSettings())
            assert budget.tokens >= budget.rows > 0


def test_what_is_asked_for_wins_over_the_usual() -> None:
    """Rows and tokens may be set one without the other."""
    usual = _budget("summary", GPU, StageSettings())
    assert _budget("summary", GPU, StageSettings(rows=3)) == StepBudget(3, usual.tokens)
    assert _budget("summary", GPU, StageSettings(tokens=99)) == StepBudget(usual.rows, 99)


def _sized(width: int) -> LoadedModel:
    """Return a model whose one layer has `width` squared weights, and no memory behind them."""
    layer = nn.Linear(width, width, device="meta")
    source = Source("sentiment", Kind.FOLDER, "/models/mine", "mine")
    return LoadedModel(source, layer, None, torch.device("cpu"), torch.float32, 512)


@pytest.mark.parametrize(
    ("width", "threads", "tokens"),
    [(100, 1, 4096), (2000, 1, 1250), (2000, 2, 2500), (9000, 2, 256)],
)
def test_a_step_of_a_classifier_is_as_long_as_a_cpu_can_afford(
    width: int, threads: int, tokens: int
) -> None:
    """Fewer tokens for a larger model, more for more threads, within bounds."""
    assert _step_tokens(_sized(width), threads, 4096) == tokens


def test_entities_stay_on_the_cpu_unless_told() -> None:
    """The device of the other stages is not spaCy's, which needs more than a driver for it."""
    stage: Any = build_stage("entities", StageSettings(device="cuda:99"), lambda line: None)
    assert stage.facts["device"] == "cpu"
    settings = StageSettings(device="cuda:99", options={"gpu": True})
    with pytest.raises(ModelUnavailable, match="--device cuda:99: "):
        build_stage("entities", settings, lambda line: None)
