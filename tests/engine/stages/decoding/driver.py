"""Drives a stage as a worker might: joins, leaves, cancels and partial steps in a random order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wsproc.engine.call import EngineError


@dataclass
class Told:
    """What one item gave: its deltas, and its result, its error, or neither where cancelled."""

    run: Any = None
    deltas: list[str] = field(default_factory=list)
    result: Mapping[str, Any] | None = None
    error: EngineError | None = None


def drive(
    stage: Any,
    items: Sequence[Mapping[str, Any]],
    rng: random.Random,
    *,
    together: int = 7,
    cancel: float = 0.0,
    partial: float = 0.3,
) -> list[Told]:
    """Run all items, up to `together` at a time; `cancel` and `partial` are chances a step."""
    told = [Told() for _ in items]
    waiting, live = list(range(len(items))), []
    while waiting or live:
        joiners = [waiting.pop(0) for _ in range(rng.randint(0, together - len(live))) if waiting]
        for index, run in zip(joiners, stage.begin([items[at] for at in joiners]), strict=True):
            assert not isinstance(run, EngineError), run
            told[index].run = run
            live.append(index)
        if not live:
            continue
        chosen = rng.sample(live, rng.randint(1, len(live))) if rng.random() < partial else live
        _step(stage, told, list(chosen))
        over = [at for at in live if told[at].result or told[at].error]
        left = [at for at in live if at not in over and rng.random() < cancel]
        stage.release([told[at].run for at in over + left])
        stage.release([told[at].run for at in left])
        live = [at for at in live if at not in over + left]
    return told


def _step(stage: Any, told: Sequence[Told], chosen: Sequence[int]) -> None:
    emissions = stage.step([told[at].run for at in chosen])
    for at, emission in zip(chosen, emissions, strict=True):
        told[at].deltas += [delta["text"] for delta in emission.deltas]
        told[at].result, told[at].error = emission.result, emission.error
