"""The engine: places for workers, and each call's way to one of them."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from wsproc.engine.call import (
    DEFAULT_PRIORITY,
    Call,
    End,
    EndReason,
    Item,
    ModelUnavailable,
    Outcome,
)
from wsproc.engine.config import EngineConfig
from wsproc.engine.place import Place, Report
from wsproc.engine.stream import CallStream
from wsproc.engine.tally import StageTally, Tally

PROBE_PRIORITY = 9

PROBER = "probe"
"""The owner of calls that try a worker."""


class WorkerState(NamedTuple):
    """How a worker stands.

    Whether it serves, how many calls it has open, how often it died; `worked_at` is when it gave a
    caller something last, in seconds of `time.monotonic`; `refuses` says in words why it takes no
    calls, None where it does.
    """

    serving: bool
    calls: int
    deaths: int
    worked_at: float = -math.inf
    refuses: str | None = None


class Engine:
    """Models behind calls. Use it with `async with`, or `start` and `close` it.

        async with Engine(EngineConfig()) as engine:
            async with engine.call("sentiment", [{"text": "I like it."}]) as outcomes:
                async for outcome in outcomes:
                    print(outcome.value)

    All methods are to be called on one event loop.
    """

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self.facts: dict[str, Mapping[str, Any]] = {}
        self._ids = itertools.count(1)
        self._open: dict[int, CallStream] = {}
        self._tally = Tally()
        self._places = [self._place(*group) for group in self.config.groups()]
        self._places_of: dict[str, list[Place]] = {}
        for place in self._places:
            for stage in place.stages:
                self._places_of.setdefault(stage, []).append(place)

    def __repr__(self) -> str:
        return f"<Engine {', '.join(map(repr, self._places))}>"

    async def __aenter__(self) -> Engine:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that this engine serves."""
        return tuple(self._places_of)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the workers by name, without those that are down."""
        return {place.name: place.pid for place in self._places if place.pid is not None}

    @property
    def down(self) -> tuple[str, ...]:
        """The names of the workers that serve nothing at the moment."""
        return tuple(place.name for place in self._places if not place.serving)

    @property
    def tally(self) -> Mapping[str, StageTally]:
        """What the steps of all workers were made of since the engine was built, by stage."""
        return self._tally.stages

    @property
    def workers(self) -> dict[str, WorkerState]:
        """The workers' states by name."""
        return {
            place.name: WorkerState(
                place.serving, place.load, place.deaths, place.worked_at, place.unavailable()
            )
            for place in self._places
        }

    async def start(self, report: Report | None = None) -> None:
        """Start the workers and return when all stages are loaded.

        `report` gets a line for each thing that is loaded. Raises `ModelUnavailable` when a model
        cannot be had; nothing is left running then.
        """
        for place in self._places:
            place.report = report or place.report
        starts = [asyncio.create_task(place.start()) for place in self._places]
        try:
            for facts in await asyncio.gather(*starts):
                self.facts.update(facts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.close()
            raise

    async def close(self) -> None:
        """End the workers; calls that are open fail as lost."""
        await asyncio.gather(*(place.close() for place in self._places))

    def kill(self) -> None:
        """Kill the workers, so that a `close` has nothing to wait for."""
        for place in self._places:
            place.kill()

    def unavailable(self, stage: str) -> str | None:
        """Say in words why a stage cannot be called now; None where it can.

        A worker that died and is coming back is no reason: calls wait for it.
        """
        if stage not in self._places_of:
            served = ", ".join(self.stages) or "none"
            return f"this server has no {stage} model; it serves {served}"
        return self._choose(stage).unavailable()

    def call(
        self,
        stage: str,
        items: Iterable[Item],
        *,
        owner: str = "",
        priority: int = DEFAULT_PRIORITY,
        deadline: float | None = None,
    ) -> CallStream:
        """Open a call and return its stream; use that with `async with`.

        `owner` shares fairly with other owners; `priority` is 0 to 9, 9 first; `deadline` is in
        seconds of `time.monotonic`. Raises `ModelUnavailable` for a stage that is not served, and
        TypeError for items that are no JSON.
        """
        reason = self.unavailable(stage)
        if reason is not None:
            raise ModelUnavailable(reason)
        call = Call(next(self._ids), stage, tuple(items), owner, priority, deadline)
        return self._open_at(self._choose(stage), call)

    def probe(self, worker: str, deadline: float) -> CallStream | None:
        """Open a call that tries one worker by a small item; None where none of its stages has one.

        `deadline` is in seconds of `time.monotonic`. The worker takes it before anybody else's, and
        another stage of its with each call.
        """
        place = next(place for place in self._places if place.name == worker)
        sample = place.sample()
        if sample is None:
            return None
        stage, item = sample
        call = Call(next(self._ids), stage, (item,), PROBER, PROBE_PRIORITY, deadline)
        return self._open_at(place, call)

    def _open_at(self, place: Place, call: Call) -> CallStream:
        stream = CallStream(call, place.cancel)
        if not call.items:
            stream.feed(End(call.id, EndReason.COMPLETED, 0.0, 0.0))
            return stream
        place.open(call)
        self._open[call.id] = stream
        return stream

    def _choose(self, stage: str) -> Place:
        """Return the place that serves a stage and has the least to do."""
        places = self._places_of[stage]
        return min(
            places, key=lambda one: (one.unavailable() is not None, not one.serving, one.load)
        )

    def _place(self, name: str, stages: Mapping[str, Mapping[str, Any]], threads: int) -> Place:
        return Place(
            name,
            stages,
            threads,
            niceness=self.config.niceness,
            stall_s=self.config.stall_s,
            new_id=lambda: next(self._ids),
            deliver=self._deliver,
            count=self._tally.add,
        )

    def _deliver(self, outcome: Outcome) -> None:
        """Hand an outcome to its stream."""
        if isinstance(outcome, End):
            self._open.pop(outcome.call).feed(outcome)
        else:
            self._open[outcome.call].feed(outcome)
