"""Sizes and places that the package's own stages get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.engine.checkpoints import save_causal_lm, save_classifier, save_seq2seq
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.load import LoadedModel
from wsproc.engine.models.source import STAGES, Kind, Source
from wsproc.engine.stages.builders import BUILDERS, CPU, GPU, _budget, _capture, _step_tokens
from wsproc.engine.stages.decoding import cuda_graph
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


@pytest.mark.parametrize(("dtype", "computed"), [("float32", 8), ("int8", 5)])
def test_a_small_classifier_on_a_cpu_has_lengths_that_attention_likes(
    tmp_path: Path, dtype: str, computed: int
) -> None:
    """Not in int8, where a text's padding would reach its results."""
    settings = StageSettings(model=str(save_classifier(tmp_path)), device="cpu", dtype=dtype)
    stage: Any = build_stage("sentiment", settings, lambda line: None)
    stage.step(stage.begin([{"text": "abc"}]))
    assert (stage.counted.useful, stage.counted.computed) == (5, computed)


def test_a_step_of_generation_has_room_for_a_prompt_however_large_the_model() -> None:
    """A large model reads no fewer tokens in a step, only longer."""
    assert _step_tokens(_sized(9000), 1, 256, 128) == 128
    assert _step_tokens(_sized(100), 1, 256, 128) == 256


def test_one_short_generation_finds_a_slot_beside_64_long_ones() -> None:
    """And its prompt a place in the step."""
    budget = _budget("generation", CPU, StageSettings())
    assert budget.rows > 64
    assert budget.tokens - 64 > 128


def _kv(size: int, **options: Any) -> StageSettings:
    """Return the settings of a stage on the CPU that has `size` bytes for keys and values."""
    return StageSettings(device="cpu", kv_cache_mb=10, kv_shares=10**7 // size, options=options)


@pytest.fixture
def tiny_lm(tmp_path: Path) -> str:
    """A Llama whose row of 40 tokens takes 41 positions of 256 bytes."""
    return str(save_causal_lm(tmp_path / "lm"))


@pytest.mark.parametrize(
    ("size", "options", "rows", "context"),
    [
        (10**7, {}, 72, 40),
        (50_000, {}, 4, 40),
        (50_000, {"context": 20}, 9, 20),
    ],
)
def test_generation_has_the_rows_that_fit_into_its_memory(
    tiny_lm: str, size: int, options: dict[str, Any], rows: int, context: int
) -> None:
    """The budget that the scheduler sees, the slots and what people are told are the same."""
    settings = replace(_kv(size, **options), model=tiny_lm)
    stage: Any = build_stage("generation", settings, lambda line: None)
    assert stage.budget.rows == stage._slots.capacity == stage.facts["rows"] == rows
    assert stage.context == stage.facts["context"] == context
    assert stage.facts["kv_cache_mb"] == round(rows * (context + 1) * 256 / 1e6, 1)


def test_summaries_have_the_rows_that_fit_into_their_memory(tmp_path: Path) -> None:
    """One row is less than all of it, so that most wait."""
    model = str(save_seq2seq(tmp_path / "bart"))
    roomy, tight = (
        build_stage("summary", replace(_kv(size), model=model), lambda line: None)
        for size in (10**7, 200_000)
    )
    assert (roomy.budget.rows, tight.budget.rows) == (16, 3)
    facts: Any = tight
    assert facts.facts["rows"] == 3
    assert facts.facts["context"] == 48


def test_a_context_that_was_asked_for_is_not_cut(tiny_lm: str) -> None:
    """Who asks for it is told that there is no memory for it."""
    settings = replace(_kv(7_000, context=40), model=tiny_lm)
    with pytest.raises(ModelUnavailable, match=r"of 40 tokens, .* --kv-cache-mb"):
        build_stage("generation", settings, lambda line: None)


def test_entities_stay_on_the_cpu_unless_told() -> None:
    """The device of the other stages is not spaCy's, which needs more than a driver for it."""
    stage: Any = build_stage("entities", StageSettings(device="cuda:99"), lambda line: None)
    assert stage.facts["device"] == "cpu"
    settings = StageSettings(device="cuda:99", options={"gpu": True})
    with pytest.raises(ModelUnavailable, match="--device cuda:99: "):
        build_stage("entities", settings, lambda line: None)


def test_steps_are_captured_on_cuda_unless_they_are_not_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The option `graphs` is for the builder alone; elsewhere there is nothing to capture with."""
    monkeypatch.setattr(cuda_graph, "CudaCapture", lambda device: f"captures on {device}")
    cuda, cpu = torch.device("cuda", 1), torch.device("cpu")
    for graphs, device, wanted in [
        ({}, cuda, "captures on cuda:1"),
        ({"graphs": True}, cuda, "captures on cuda:1"),
        ({"graphs": False}, cuda, None),
        ({"graphs": True}, cpu, None),
    ]:
        options: dict[str, Any] = {"context": 9, **graphs}
        assert _capture(device, options) == wanted
        assert options == {"context": 9}
