"""Proves the engine by passing work through it: the thin room around `health.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from wsproc.engine import CallStream, EngineError, Failure, WorkerState
from wsproc.events import HealthChanged, Reader, WorkerProbed
from wsproc.health import Verdict, Watch

LOOK_S = 0.5
"""How often is looked who is to be probed: how much later than its interval a probe may come."""


class Probed(Protocol):
    """The part of the engine that is looked at."""

    @property
    def workers(self) -> Mapping[str, WorkerState]:
        """The workers' states by name."""
        ...

    def probe(self, worker: str, deadline: float) -> CallStream | None:
        """Open a call that tries one worker; see `wsproc.engine.Engine.probe`."""
        ...


class Prober:
    """Probes the workers that have finished nothing for `interval_s`, and judges them all."""

    def __init__(self, engine: Probed, interval_s: float, patience_s: float, tell: Reader) -> None:
        self._engine = engine
        self._watch = Watch(interval_s, patience_s)
        self._tell = tell
        self._was_well = True
        self._look_s = min(LOOK_S, interval_s / 4 or LOOK_S)
        self._under_way: set[asyncio.Task[None]] = set()

    def judge(self) -> Verdict:
        """Say whether the engine is healthy now."""
        return self._watch.judge(self._engine.workers, time.monotonic())

    async def run(self) -> None:
        """Probe who is due, and tell when the verdict changes, until cancelled."""
        try:
            while True:
                for worker in self._watch.due(self._engine.workers, time.monotonic()):
                    task = asyncio.create_task(self._probe(worker))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                self._look()
                await asyncio.sleep(self._look_s)
        finally:
            for task in self._under_way:
                task.cancel()

    def _look(self) -> None:
        verdict = self.judge()
        if verdict.well != self._was_well:
            self._was_well = verdict.well
            self._tell(HealthChanged(verdict.reasons))

    async def _probe(self, worker: str) -> None:
        """Pass one item through a worker; the first thing that comes of it is proof enough."""
        began = time.monotonic()
        try:
            stream = self._engine.probe(worker, began + self._watch.patience_s)
            if stream is None:
                self._watch.mute(worker)
                return
            error = await _first(stream)
        except EngineError as raised:
            error = raised.message
        took_s = time.monotonic() - began
        if error is None:
            self._watch.proved(worker, time.monotonic(), took_s)
        else:
            self._watch.failed(worker)
        self._tell(WorkerProbed(worker, took_s, error))


async def _first(stream: CallStream) -> str | None:
    """Return None at the first thing that comes of a call, or why nothing does."""
    async with stream:
        async for outcome in stream.outcomes():
            return outcome.error.message if isinstance(outcome, Failure) else None
    return "nothing came of it"
