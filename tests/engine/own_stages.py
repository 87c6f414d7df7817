"""Stages of one's own for worker processes: no model, and every kind of trouble on request."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsproc.engine import InvalidItem
from wsproc.engine.models.source import Report
from wsproc.engine.stages.registry import StageSettings
from wsproc.engine.stages.stage import Emission, StepBudget


class Countdown:
    """`{"n": 3}` counts down in three steps, `{"n": null}` never ends; the rest is trouble.

    `{"raise": true}` raises in a step, `{"die": true}` takes the process with it, `{"hang": true}`
    never returns from a step.
    """

    name = "countdown"
    budget = StepBudget(rows=16, tokens=1000)

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts

    def weigh(self, item: Mapping[str, Any]) -> int:
        """Every item is light."""
        return 1

    def begin(self, items: Sequence[Mapping[str, Any]]) -> list[Any]:
        """A run is a copy of its item; an empty item is refused."""
        return [dict(item) if "n" in item or len(item) else InvalidItem("empty") for item in items]

    def step(self, runs: Sequence[dict[str, Any]]) -> list[Emission]:
        """Do what the items ask for, the trouble first."""
        if any("raise" in run for run in runs):
            raise RuntimeError("as asked")
        if any("die" in run for run in runs):
            os._exit(7)
        if any("hang" in run for run in runs):
            threading.Event().wait()
        return [self._advance(run) for run in runs]

    def _advance(self, run: dict[str, Any]) -> Emission:
        if run["n"] is None:
            first = not run.get("told")
            run["told"] = True
            return Emission(deltas=({"running": True},) if first else ())
        run["n"] -= 1
        return Emission(result={"pid": os.getpid()}) if run["n"] <= 0 else Emission()

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def countdown(settings: StageSettings, report: Report) -> Countdown:
    """Build the stage; tell a line, and the settings as facts."""
    report("building countdown")
    return Countdown({"options": dict(settings.options), "threads": settings.threads})


def raising(settings: StageSettings, report: Report) -> Countdown:
    """Fail the way code of one's own fails."""
    report("building raising")
    raise ValueError("no such file")


def dying(settings: StageSettings, report: Report) -> Countdown:
    """Die the way a crashing library does."""
    os._exit(7)


def hanging(settings: StageSettings, report: Report) -> Countdown:
    """Take for ever to load."""
    report("building hanging")
    threading.Event().wait()
    raise AssertionError("unreachable")


def if_file(settings: StageSettings, report: Report) -> Countdown:
    """Build while the file in the options is there."""
    report("building if_file")
    if not Path(settings.options["file"]).exists():
        raise ValueError("the file is gone")
    return Countdown({})
