"""From a name and settings to a stage."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.checkpoints import save_causal_lm, save_classifier, save_seq2seq
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.stages.registry import StageSettings, build_stage
from wsproc.engine.stages.stage import StepBudget

TINY = StageSettings(device="cpu", rows=2, tokens=128)


def _silent(line: str) -> None:
    """Report to nobody."""


def _refusal(name: str, settings: StageSettings) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        build_stage(name, settings, _silent)
    return str(caught.value)


def test_settings_survive_json() -> None:
    """They cross to the worker process and are the same there."""
    settings = StageSettings(
        model="owner/model", device="cuda:1", rows=4, options={"label_map": {"a": "NEGATIVE"}}
    )
    assert StageSettings(**json.loads(json.dumps(settings.to_json()))) == settings


def test_naming_stages_loads_no_model_library() -> None:
    """The server's process may hold settings without paying for torch."""
    code = "import sys, wsproc.engine.stages.registry; print({'torch', 'spacy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "save", "options", "item"),
    [
        ("sentiment", save_classifier, {"normalize": True}, {"text": "a good day"}),
        ("summary", save_seq2seq, {"target": 12}, {"text": "a good day"}),
        ("generation", save_causal_lm, {"context": 30}, {"prompt": "a", "max_tokens": 3}),
    ],
)
def test_a_stage_is_built_from_a_folder_and_runs(
    tmp_path: Path, name: str, save: Any, options: dict[str, Any], item: dict[str, Any]
) -> None:
    """The stage has the budget asked for, tells of its model, and finishes an item."""
    lines: list[str] = []
    settings = replace(TINY, model=str(save(tmp_path / "tiny")), options=options)
    stage: Any = build_stage(name, settings, lines.append)
    assert stage.name == name
    assert stage.budget.rows == 2
    assert stage.facts["model"] == "tiny"
    assert stage.facts["device"] == "cpu"
    assert stage.facts["dtype"] == "float32"
    assert [line.split()[0] for line in lines[:2]] == ["loading", name]
    runs = stage.begin([item])
    for _ in range(100):
        (emission,) = stage.step(runs)
        if emission.finished:
            break
    assert emission.result is not None
    stage.release(runs)


@pytest.mark.parametrize("name", ["summary", "entities"])
def test_an_embedded_stage_is_the_default(name: str) -> None:
    """With no settings at all the package's own weights are loaded."""
    stage: Any = build_stage(name, StageSettings(device="cpu"), _silent)
    assert stage.facts["model"] == f"embedded {name} model"
    (run,) = stage.begin([{"text": "Alice flew to Paris on Monday. It rained all day there."}])
    for _ in range(100):
        (emission,) = stage.step([run])
        if emission.finished:
            break
    assert emission.result is not None


def test_a_step_on_a_cpu_is_sized_by_the_model(tmp_path: Path) -> None:
    """A model without much work in it may take many tokens at once, up to a bound."""
    settings = StageSettings(model=str(save_classifier(tmp_path)), device="cpu")
    assert build_stage("sentiment", settings, _silent).budget == StepBudget(64, 2048)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "sentimant",
            StageSettings(),
            "there is no stage 'sentimant': the package has sentiment, summary, entities,"
            " generation; one of your own is named by its factory, package.module:factory",
        ),
        (
            "summary",
            StageSettings(model="none"),
            "the stage summary is switched off (--summary none)",
        ),
        (
            "sentiment",
            StageSettings(model="owner/model", rows=0),
            "rows of the stage sentiment: give a number from 1 up, not 0",
        ),
        (
            "generation",
            StageSettings(kv_cache_mb=0.5),
            "kv_cache_mb of the stage generation: give a number from 1 up, not 0.5",
        ),
        (
            "sentiment",
            StageSettings(model="owner/model", options={"labelmap": {}}),
            "the stage sentiment with the model owner/model has no option 'labelmap'; it has"
            " label_map, scale, normalize",
        ),
        (
            "sentiment",
            StageSettings(model="owner/model", options={"scale": 5}),
            "option scale: two numbers are needed, not 5",
        ),
        (
            "entities",
            StageSettings(options={"piece_characters": 0}),
            "the stage entities cannot run the model embedded: piece_characters must be at least"
            " 1, not 0 (ValueError)",
        ),
        (
            "summary",
            StageSettings(options={"target": 3}),
            "the stage summary with the model embedded has no option 'target'; it has none",
        ),
        (
            "generation",
            StageSettings(device="tpu"),
            "--device tpu: unknown device; give auto, cpu, mps, cuda or cuda:N",
        ),
    ],
)
def test_what_cannot_be_built_is_one_sentence(
    name: str, settings: StageSettings, message: str
) -> None:
    """Each message names the setting and what it may be."""
    assert _refusal(name, settings) == message


class Shout:
    """A stage of one's own."""

    name = "shout"

    def __init__(self, mark: str) -> None:
        self.budget = StepBudget(8, 100)
        self.mark = mark

    def weigh(self, item: Any) -> int:
        """Everything weighs the same."""
        return 1

    begin = step = release = weigh


def make_shout(settings: StageSettings, report: Any) -> Shout:
    """Build the stage as its deployment would."""
    report("making shout")
    return Shout(settings.options["mark"])


def make_nothing(settings: StageSettings, report: Any) -> object:
    """Return what is no stage."""
    return object()


def make_unavailable(settings: StageSettings, report: Any) -> object:
    """Refuse with a sentence of one's own."""
    raise ModelUnavailable("the licence has run out")


HERE = "tests.engine.stages.test_registry"


@pytest.mark.parametrize(
    ("name", "model"), [("shout", f"{HERE}:make_shout"), (f"{HERE}:make_shout", "embedded")]
)
def test_a_stage_of_ones_own_is_built_by_its_factory(name: str, model: str) -> None:
    """The factory gets the settings and the callback, whichever way it is named."""
    lines: list[str] = []
    stage = build_stage(name, StageSettings(model=model, options={"mark": "!"}), lines.append)
    assert type(stage).__name__ == "Shout"
    assert getattr(stage, "mark", None) == "!"
    assert lines == ["making shout"]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            f"{HERE}:make_shout",
            f"the stage {HERE}:make_shout cannot be built: 'mark' (KeyError)",
        ),
        (
            f"{HERE}:make_nothing",
            f"what {HERE}:make_nothing returns is no Stage: it has no name, budget, weigh, begin,"
            " step, release (see wsproc.engine.stages.stage)",
        ),
        (f"{HERE}:make_unavailable", "the licence has run out"),
        (
            "no_such_package.stages:make",
            "the stage no_such_package.stages:make cannot be built: No module named"
            " 'no_such_package' (ModuleNotFoundError)",
        ),
        (
            "json:make",
            "the stage json:make cannot be built: module 'json' has no attribute 'make'"
            " (AttributeError)",
        ),
    ],
)
def test_a_factory_that_fails_is_one_sentence(factory: str, message: str) -> None:
    """Its own `ModelUnavailable` is passed on; anything else is named with its error."""
    assert _refusal("shout", StageSettings(model=factory)) == message
