"""Stages of one's own for worker processes: no model, and every kind of trouble on request."""

from __future__ import annotations

import os
import random
import resource
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from wsproc.engine import InvalidItem
from wsproc.engine.models.source import Report
from wsproc.engine.stages.registry import StageSettings
from wsproc.engine.stages.stage import Emission, StepBudget

MB = 10**6


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


def wait_at(gate: str | None) -> None:
    """Wait while the FIFO `gate` is there, until somebody has opened it for writing and closed it.

    Opening it for writing waits for us in turn, so that a test knows where a worker is.
    """
    if gate is not None and os.path.exists(gate):
        Path(gate).read_bytes()


def crash() -> None:
    """Die the way a native library does that finds its memory in disorder; leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def address_space() -> int:
    """Return the bytes that this process has addresses for."""
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


class Reverse:
    """`{"text": "abc", "steps": 3}` gives the deltas 1 and 2, then the text backwards.

    `{"abort": true}` crashes in a step, `{"kill": true}` ends as if the kernel had killed it,
    `{"raise": true}` raises, `{"gate": path}` waits there in its second step; `{"weigh": x}` weighs
    x, and `{"value": x}` has x for its result. Options: `rows` of a step; `fits`, above which a
    step raises MemoryError; `room_mb`, so much memory the process may take from now on, of which
    each row of a step holds `row_mb`.
    """

    name = "reverse"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.budget = StepBudget(rows=options.get("rows", 16), tokens=1000)
        self._fits = options.get("fits", 1000)
        self._row = options.get("row_mb", 0) * MB
        if "room_mb" in options:
            limit = address_space() + options["room_mb"] * MB
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def weigh(self, item: Mapping[str, Any]) -> int:
        """As the item says, whatever that is."""
        return item.get("weigh", 1)

    def begin(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A run is a copy of its item."""
        return [{"at": 0, **item} for item in items]

    def step(self, runs: Sequence[dict[str, Any]]) -> list[Emission]:
        """Trouble first."""
        if len(runs) > self._fits:
            raise MemoryError
        if any("raise" in run for run in runs):
            raise RuntimeError("as asked")
        if any("abort" in run for run in runs):
            crash()
        if any("kill" in run for run in runs):
            os.kill(os.getpid(), signal.SIGKILL)
        held: list[bytes] = []
        for _ in runs:
            held.append(bytes(self._row))  # noqa: PERF401  # a frame's variable, as a model's are
        return [self._advance(run) for run, _ in zip(runs, held, strict=True)]

    def _advance(self, run: dict[str, Any]) -> Emission:
        run["at"] += 1
        if run["at"] == 2:
            wait_at(run.get("gate"))
        if run["at"] < run.get("steps", 1):
            return Emission(deltas=({"at": run["at"]},))
        value = {1, 2} if run.get("value") == "no JSON" else run["text"][::-1]
        return Emission(result={"text": value})

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def reverse(settings: StageSettings, report: Report) -> Reverse:
    """Build the stage; with the option `start` wait at that gate first."""
    report("building reverse")
    wait_at(settings.options.get("start"))
    return Reverse(settings.options)


class Draw:
    """A generation whose words are drawn by the item's seed; at the third it waits at the gate."""

    name = "generation"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._gate = options.get("gate")
        self._step_s = options.get("step_s", 0)
        self._width = options.get("width", 1)
        self.budget = StepBudget(rows=options.get("rows", 16), tokens=1000)

    def weigh(self, item: Mapping[str, Any]) -> int:
        """Every item is light."""
        return 1

    def begin(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A run is its item, its draw and its words."""
        return [{**item, "draw": random.Random(item["seed"]), "words": []} for item in items]

    def step(self, runs: Sequence[dict[str, Any]]) -> list[Emission]:
        """One word each."""
        time.sleep(self._step_s)
        return [self._advance(run) for run in runs]

    def _advance(self, run: dict[str, Any]) -> Emission:
        if len(run["words"]) == 3:
            wait_at(self._gate)
        run["words"].append(f" {run['draw'].randrange(10**6):0{self._width}}")
        deltas = ({"text": run["words"][-1]},)
        if len(run["words"]) < run["max_tokens"]:
            return Emission(deltas)
        return Emission(
            deltas,
            {
                "text": "".join(run["words"]),
                "finish_reason": "length",
                "prompt_tokens": 1,
                "completion_tokens": len(run["words"]),
                "prompt_truncated": False,
            },
        )

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def draw(settings: StageSettings, report: Report) -> Draw:
    """Build the stage; options: gates `start` and `gate`, `rows`, `step_s`, a word's `width`."""
    report("building draw")
    wait_at(settings.options.get("start"))
    return Draw(settings.options)


class Diary:
    """`{"words": 5}` gives five words, each with its writer's process, and goes on behind any.

    With `{"gate": path}` it waits there before its third.
    """

    name = "diary"
    budget = StepBudget(rows=16, tokens=1000)

    def weigh(self, item: Mapping[str, Any]) -> int:
        """Every item is light."""
        return 1

    def begin(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A run is its item and what was written before."""
        return [{**item, "written": list(item.get("resume", ()))} for item in items]

    def step(self, runs: Sequence[dict[str, Any]]) -> list[Emission]:
        """One word each."""
        return [self._advance(run) for run in runs]

    def _advance(self, run: dict[str, Any]) -> Emission:
        if len(run["written"]) == 2:
            wait_at(run.get("gate"))
        run["written"].append([len(run["written"]), os.getpid()])
        number, pid = run["written"][-1]
        deltas = ({"number": number, "pid": pid, "resume": run["written"][-1]},)
        over = len(run["written"]) == run["words"]
        return Emission(deltas, {"written": run["written"]} if over else None)

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def diary(settings: StageSettings, report: Report) -> Diary:
    """Build the stage."""
    report("building diary")
    return Diary()


class Cheerful:
    """A sentiment stage to which every text is positive; one with `abort` in it crashes it."""

    name = "sentiment"
    warm_up_item: ClassVar = {"text": "fine"}

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._step_s = options.get("step_s", 0)
        self._weight = options.get("weight", 1)
        self.budget = StepBudget(rows=options.get("rows", 16), tokens=10_000)

    def weigh(self, item: Mapping[str, Any]) -> int:
        """Every item is as light as the next."""
        return int(self._weight)

    def begin(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """A run is its text."""
        return [item["text"] for item in items]

    def step(self, runs: Sequence[str]) -> list[Emission]:
        """All in one step."""
        time.sleep(self._step_s)
        if any("abort" in text for text in runs):
            crash()
        return [Emission(result={"sentiment": "POSITIVE", "confidence": 0.9}) for _ in runs]

    def release(self, runs: Sequence[Any]) -> None:
        """Nothing is held."""


def cheerful(settings: StageSettings, report: Report) -> Cheerful:
    """Build the stage; its options are `rows`, an item's `weight` and a step's `step_s`."""
    report("building cheerful")
    return Cheerful(settings.options)
