"""The seam between the worker's loop and a model: four methods, called from one thread.

A stage turns items into runs and advances runs by steps. A one-shot model (a classifier) finishes
a run in its first step; a decoder takes a step a token; a long document takes a step a piece.
The loop never blocks longer than one step, so a step is bounded work: that is what makes a cancel
felt. The same interface serves a model of one's own (see `docs` on plugging in a stage).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wsproc.engine.call import EngineError, Item, Value


@dataclass(frozen=True, slots=True)
class StepBudget:
    """The most that one step may hold: `rows` runs, and `tokens` of items that join in it."""

    rows: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Emission:
    """What one run gave in one step.

    The run is finished when `result` or `error` is set; the loop then releases it.
    """

    deltas: tuple[Value, ...] = ()
    result: Value | None = None
    error: EngineError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more of this run will come."""
        return self.result is not None or self.error is not None


@dataclass(slots=True)
class TokenCount:
    """Tokens that a stage computed since it was built: `useful` ones, and all with the padding."""

    useful: int = 0
    computed: int = 0


class Stage(Protocol):
    """One capability on one device. All methods are called from the worker's one thread.

    A stage may also have `counted`, a `TokenCount` that it keeps up to date, for the metrics,
    `facts`, a JSON object about its model, for people, and `warm_up_item`, a small item to be
    tried before it serves, and now and then while it does, to see that it still can. A stage whose
    deltas have `RESUME` (see `engine.call`) is given an item again, after its worker's death, with
    what they had under that key, and goes on behind them; others do it all again, and need to give
    the same.
    """

    name: str
    budget: StepBudget

    def weigh(self, item: Item) -> int:
        """Return the tokens that one step of this item takes, estimated cheaply (no tokenizer).

        Never raises: an item that cannot be read weighs 1 and fails in `begin`.
        """
        ...

    def begin(self, items: Sequence[Item]) -> Sequence[Any]:
        """Admit items to the device and return, in order, a run for each or an `EngineError`.

        A run is the stage's own object; the loop only hands it back. An item that cannot be read
        comes back as `InvalidItem`; any exception fails all of `items`.
        """
        ...

    def step(self, runs: Sequence[Any]) -> Sequence[Emission]:
        """Advance each run by one step and return one emission for each, in order.

        An exception fails all of `runs`. A step that would read or write the results of a run
        depending on its neighbours is a defect: results are the same in any company.
        """
        ...

    def release(self, runs: Sequence[Any]) -> None:
        """Free whatever the runs hold on the device: finished, failed or cancelled ones alike."""
        ...
