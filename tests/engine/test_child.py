"""How a worker process loads; that it serves, and how it ends, is in `test_pool`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from wsproc.engine.child import _load
from wsproc.engine.messages import Broken, Load, Message, Ready
from wsproc.engine.models.source import Report
from wsproc.engine.stages.registry import StageSettings
from wsproc.engine.stages.stage import Emission, StepBudget

EVENTS: list[object] = []
"""What happened, in order."""


class Noting:
    """A stage that notes its steps among the events."""

    name = "noting"
    budget = StepBudget(1, 1)

    def __init__(self, model: str) -> None:
        self.facts = {"model": model}
        self.warm_up_item = {"text": "first"}

    def weigh(self, item: Any) -> int:
        """One."""
        return 1

    def begin(self, items: Sequence[Any]) -> list[Any]:
        """A run is its item."""
        return list(items)

    def step(self, runs: Sequence[Any]) -> list[Emission]:
        """Over at once, or raise if the facts say so."""
        EVENTS.append(list(runs))
        if self.facts["model"] == "broken":
            raise ValueError("as asked")
        return [Emission(result={}) for _ in runs]

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def noting(settings: StageSettings, report: Report) -> Noting:
    """Build the stage; the option `model` is its fact."""
    return Noting(settings.options.get("model", "mine"))


class FakeLink:
    """A pool that asks for the stage and notes what it is told among the events."""

    def __init__(self, **options: Any) -> None:
        own = f"{__name__}:noting"
        self._load = Load({"noting": StageSettings(model=own, options=options).to_json()})

    def receive(self, wait: bool) -> list[Message]:
        """Ask for the stage."""
        return [self._load]

    def send(self, message: Message) -> None:
        """Note it."""
        EVENTS.append(message)


@pytest.fixture(autouse=True)
def _nothing_happened() -> None:
    EVENTS.clear()


@pytest.mark.parametrize("model", ["mine", "broken"])
def test_a_stage_takes_its_first_step_before_anybody_is_told_that_it_is_ready(model: str) -> None:
    """The first client does not pay for it; what goes wrong in it does not stop the start."""
    stages = _load(FakeLink(model=model))  # type: ignore[arg-type]  # all of a link that is used
    assert stages is not None
    first, told = EVENTS
    assert first == [{"text": "first"}]
    assert told == Ready({"noting": {"model": model}}, {"noting": {"text": "first"}})


def test_a_stage_that_cannot_be_built_takes_no_step() -> None:
    """The pool is told why instead."""
    link: Any = FakeLink()
    link._load.stages["noting"]["model"] = f"{__name__}:missing"
    assert _load(link) is None
    (told,) = EVENTS
    assert isinstance(told, Broken)
