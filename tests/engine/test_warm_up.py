"""The first pass through a stage before it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from wsproc.engine.call import EngineError, InvalidItem
from wsproc.engine.models.source import STAGES
from wsproc.engine.stages.registry import StageSettings, build_stage
from wsproc.engine.stages.stage import Emission, StepBudget
from wsproc.engine.warm_up import STEPS, warm_up


class Probe:
    """A stage that notes what is done with it; `ends` is the step that finishes a run."""

    name = "probe"
    budget = StepBudget(4, 100)

    def __init__(self, item: Any = None, ends: int = 100, trouble: Exception | None = None) -> None:
        self.warm_up_item = item
        self.done: list[str] = []
        self._ends = ends
        self._trouble = trouble

    def weigh(self, item: Any) -> int:
        """One."""
        return 1

    def begin(self, items: Sequence[Any]) -> list[Any]:
        """A run is its item; the item "refused" is refused."""
        self.done.append(f"begin {items}")
        return [InvalidItem("no") if item == "refused" else item for item in items]

    def step(self, runs: Sequence[Any]) -> list[Emission]:
        """Raise, fail, finish or go on."""
        self.done.append("step")
        if isinstance(self._trouble, EngineError):
            return [Emission(error=self._trouble)]
        if self._trouble is not None:
            raise self._trouble
        return [Emission(result={} if self.done.count("step") == self._ends else None)]

    def release(self, runs: Sequence[Any]) -> None:
        """Note it."""
        self.done.append(f"release {runs}")


def test_a_run_that_ends_is_released() -> None:
    """It takes the steps that it needs."""
    stage = Probe("item", ends=2)
    warm_up("probe", stage)
    assert stage.done == ["begin ['item']", "step", "step", "release ['item']"]


def test_a_long_run_is_left_after_a_few_steps() -> None:
    """The start does not wait for a whole answer."""
    stage = Probe("item")
    warm_up("probe", stage)
    assert stage.done == ["begin ['item']", *["step"] * STEPS, "release ['item']"]


def test_a_stage_without_an_item_is_left_alone() -> None:
    """A stage of one's own need not know of this."""
    stage = Probe(None)
    warm_up("probe", stage)
    assert stage.done == []


@pytest.mark.parametrize(
    ("stage", "calls"),
    [
        (Probe("refused"), ["begin ['refused']"]),
        (Probe("a", trouble=ValueError("no")), ["begin ['a']", "step", "release ['a']"]),
        (Probe("a", trouble=EngineError("no")), ["begin ['a']", "step", "release ['a']"]),
    ],
)
def test_what_goes_wrong_is_logged_and_stops_nothing(
    stage: Probe, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a run held is released, and the log names the stage."""
    warm_up("probe", stage)
    assert stage.done == calls
    assert [record.getMessage() for record in caplog.records] == [
        "the stage probe could not be warmed up"
    ]


@pytest.mark.parametrize("name", STAGES)
def test_the_packages_own_stages_are_warmed_up(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each has an item that it can read, and goes at least one step with it."""
    stage = build_stage(name, StageSettings(threads=1), lambda line: None)
    steps: list[int] = []
    take = stage.step

    def counted(runs: Sequence[Any]) -> Sequence[Emission]:
        steps.append(len(runs))
        return take(runs)

    stage.step = counted  # type: ignore[method-assign]
    warm_up(name, stage)
    assert not caplog.records
    assert steps
    assert set(steps) == {1}
