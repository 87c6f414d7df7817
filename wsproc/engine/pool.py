"""The engine: workers started, watched and started again, and each call's way to one of them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from wsproc.engine.call import (
    DEFAULT_PRIORITY,
    Call,
    End,
    EndReason,
    EngineError,
    Failure,
    Item,
    ModelUnavailable,
    Outcome,
    Result,
    WorkerLost,
)
from wsproc.engine.config import EngineConfig
from wsproc.engine.local import LocalWorker
from wsproc.engine.messages import (
    Broken,
    Cancel,
    Loading,
    Message,
    Open,
    Outcomes,
    Ping,
    Ready,
)
from wsproc.engine.stream import CallStream

logger = logging.getLogger("wsproc.engine")

Report = Callable[[str], None]

BACKOFF_S = (0.5, 30.0)
"""The first and the longest pause before a dead worker is started again; doubled each time."""


@dataclass(eq=False)
class _Slot:
    """A place for one worker: the same stages, whichever process serves them at the moment."""

    name: str
    stages: Mapping[str, Mapping[str, Any]]
    threads: int
    worker: LocalWorker | None = None
    serving: bool = False
    ready: asyncio.Future[Mapping[str, Mapping[str, Any]]] | None = None
    deaths: int = 0
    open: dict[int, CallStream] = field(default_factory=dict)
    unfinished: dict[int, set[int]] = field(default_factory=dict)


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
        self._slots = [_Slot(*group) for group in self.config.groups()]
        self._slot_of = {stage: slot for slot in self._slots for stage in slot.stages}
        self._tasks: set[asyncio.Task[None]] = set()
        self._report: Report = lambda text: None
        self._closing = False

    def __repr__(self) -> str:
        slots = ", ".join(
            f"{slot.name}: {'up' if slot.serving else 'down'}, {len(slot.open)} open"
            for slot in self._slots
        )
        return f"<Engine {slots}>"

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
        return tuple(self._slot_of)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the workers by name, without those that are down."""
        return {
            slot.name: slot.worker.pid
            for slot in self._slots
            if slot.worker is not None and slot.worker.pid is not None
        }

    async def start(self, report: Report | None = None) -> None:
        """Start the workers and return when all stages are loaded.

        `report` gets a line for each thing that is loaded. Raises `ModelUnavailable` when a model
        cannot be had; nothing is left running then.
        """
        self._report = report or self._report
        starts = [asyncio.create_task(self._start(slot)) for slot in self._slots]
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
        """End the workers; calls that are open end as lost."""
        self._closing = True
        for slot in self._slots:
            slot.serving = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        await asyncio.gather(*(worker.close() for worker in workers))
        await asyncio.gather(*tasks, return_exceptions=True)
        for slot in self._slots:
            self._fail_open(slot, WorkerLost("the engine was shut down"))

    def unavailable(self, stage: str) -> str | None:
        """Say in words why a stage cannot be called now; None where it can."""
        slot = self._slot_of.get(stage)
        if slot is None:
            served = ", ".join(self.stages) or "none"
            return f"this server has no {stage} model; it serves {served}"
        if slot.serving:
            return None
        if self._closing:
            return "the engine is shut down"
        return f"the {stage} worker is being started"

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
        seconds of `time.monotonic`. Raises `ModelUnavailable` for a stage that is not served now,
        and TypeError for items that are no JSON.
        """
        reason = self.unavailable(stage)
        if reason is not None:
            raise ModelUnavailable(reason)
        slot = self._slot_of[stage]
        call = Call(next(self._ids), stage, tuple(items), owner, priority, deadline)
        stream = CallStream(call, lambda call_id: self._cancel(slot, call_id))
        if not call.items:
            stream.feed(End(call.id, EndReason.COMPLETED, 0.0, 0.0))
            return stream
        self._send(slot, Open(call))
        slot.open[call.id] = stream
        slot.unfinished[call.id] = set(range(len(call.items)))
        return stream

    # --- to the worker --------------------------------------------------------------------------

    def _send(self, slot: _Slot, message: Message) -> None:
        if slot.worker is not None:
            slot.worker.send(message)

    def _cancel(self, slot: _Slot, call_id: int) -> None:
        if call_id in slot.open:
            self._send(slot, Cancel(call_id))

    # --- from the worker ------------------------------------------------------------------------

    def _receive(self, slot: _Slot, message: Message) -> None:
        match message:
            case Outcomes(outcomes):
                for outcome in outcomes:
                    self._deliver(slot, outcome)
            case Loading(text):
                self._report(text)
            case Ready(facts) if slot.ready is not None and not slot.ready.done():
                slot.ready.set_result(facts)
            case Broken(error) if slot.ready is not None and not slot.ready.done():
                slot.ready.set_exception(_unavailable(error))

    def _deliver(self, slot: _Slot, outcome: Outcome) -> None:
        """Hand an outcome to its stream; one for a call that is over is dropped."""
        stream = slot.open.get(outcome.call)
        if stream is None:
            return
        if isinstance(outcome, Result | Failure):
            slot.unfinished[outcome.call].discard(outcome.item)
        elif isinstance(outcome, End):
            del slot.open[outcome.call], slot.unfinished[outcome.call]
        stream.feed(outcome)

    # --- life and death -------------------------------------------------------------------------

    async def _start(self, slot: _Slot) -> Mapping[str, Mapping[str, Any]]:
        loop = asyncio.get_running_loop()
        slot.ready = loop.create_future()
        worker = LocalWorker(
            slot.name,
            lambda message: self._receive(slot, message),
            lambda: self._lost(slot, worker),
        )
        slot.worker = worker
        try:
            await worker.start(slot.stages, threads=slot.threads, niceness=self.config.niceness)
            facts = await slot.ready
            if slot.worker is not worker:
                raise _died_loading(slot)
        except BaseException:
            slot.worker = None  # first, so that its death starts no other
            await worker.close()
            raise
        slot.serving = True
        self._spawn(self._watch(slot, worker))
        return facts

    def _lost(self, slot: _Slot, worker: LocalWorker) -> None:
        """Answer what a dead worker had open, and start another."""
        if slot.worker is not worker or self._closing:
            return
        slot.worker = None
        if not slot.serving:  # `_start` is waiting for it, and whoever called that goes on
            if slot.ready is not None and not slot.ready.done():
                slot.ready.set_exception(_died_loading(slot))
            return
        slot.serving = False
        message = f"the {slot.name} worker died; send the job again"
        self._fail_open(slot, WorkerLost(message))
        logger.error("worker died, starting another", extra={"worker": slot.name})
        self._spawn(self._restart(slot, worker))

    async def _restart(self, slot: _Slot, dead: LocalWorker) -> None:
        await dead.close()
        first, longest = BACKOFF_S
        while not self._closing:
            await asyncio.sleep(min(longest, first * 2 ** min(slot.deaths, 32)))
            slot.deaths += 1
            try:
                await self._start(slot)
            except (ModelUnavailable, OSError) as error:
                logger.error("worker cannot be started again: %s", error)
            else:
                slot.deaths = 0
                return

    async def _watch(self, slot: _Slot, worker: LocalWorker) -> None:
        """Ping a worker; kill one that has not been heard of for `stall_s`."""
        stall_s = self.config.stall_s
        for n in itertools.count():
            await asyncio.sleep(stall_s / 4)
            if slot.worker is not worker:
                return
            if time.monotonic() - worker.heard_at > stall_s:
                logger.error("worker hangs, killing it", extra={"worker": slot.name})
                worker.kill()
                return
            worker.send(Ping(n))

    def _fail_open(self, slot: _Slot, error: EngineError) -> None:
        for call_id in list(slot.open):
            for item in sorted(slot.unfinished[call_id]):
                self._deliver(slot, Failure(call_id, item, error))
            self._deliver(slot, End(call_id, EndReason.COMPLETED, 0.0, 0.0))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unavailable(error: EngineError) -> ModelUnavailable:
    return error if isinstance(error, ModelUnavailable) else ModelUnavailable(error.message)


def _died_loading(slot: _Slot) -> ModelUnavailable:
    return ModelUnavailable(f"the {slot.name} worker died as it loaded")
