"""A worker's place in the pool: a process is started in it, watched, and started again.

The calls of the place outlive the process: they stand in its ledger, wait while no worker serves,
and are assigned anew to the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wsproc.engine.call import (
    Call,
    Delta,
    EngineError,
    Item,
    ModelUnavailable,
    Outcome,
    Result,
    WorkerLost,
)
from wsproc.engine.circuit import Circuit
from wsproc.engine.ledger import Due, Ledger
from wsproc.engine.local import LocalWorker
from wsproc.engine.messages import (
    Broken,
    Cancel,
    Loading,
    Logged,
    Message,
    Open,
    Outcomes,
    Ping,
    Ready,
    Steps,
    pack,
)
from wsproc.engine.tally import StageTally
from wsproc.engine.worker_logs import write

logger = logging.getLogger("wsproc.engine")

Report = Callable[[str], None]
Facts = Mapping[str, Mapping[str, Any]]

LOAD_S = 600.0
"""How long a worker may take to load its stages, a download included, before it counts as hung."""

PING_S = 0.5
"""The longest pause between two pings: how much later than `stall_s` a hang is noticed."""

DEADLINE_S = 0.05
"""How late a deadline may be noticed while there is no worker to notice it."""


class Place:
    """One worker, whichever process it is at the moment.

    `deliver` gets every outcome for a caller, on the event loop, and `count` what the worker's
    steps were made of; `report` gets progress lines; `deaths` counts the workers that died;
    `worked_at` is when one gave a caller something last, or said that it serves.
    """

    def __init__(
        self,
        name: str,
        stages: Mapping[str, Mapping[str, Any]],
        threads: int,
        *,
        niceness: int,
        stall_s: float,
        new_id: Callable[[], int],
        deliver: Callable[[Outcome], None],
        count: Callable[[Mapping[str, StageTally]], None],
    ) -> None:
        self.name = name
        self.stages = stages
        self.serving = False
        self.deaths = 0
        self.worked_at = -math.inf
        self.report: Report = lambda text: None
        self._threads = threads
        self._niceness = niceness
        self._stall_s = stall_s
        self._deliver = deliver
        self._count = count
        self._ledger = Ledger(new_id)
        self._circuit = Circuit()
        self._worker: LocalWorker | None = None
        self._ready: asyncio.Future[Facts] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._samples: deque[tuple[str, Item]] = deque()
        self._closing = False
        self._leaving: LocalWorker | None = None

    def __repr__(self) -> str:
        return f"<Place {self.name}: {'up' if self.serving else 'down'}, {len(self._ledger)} open>"

    @property
    def pid(self) -> int | None:
        """The process id of the worker, None while there is none."""
        return self._worker.pid if self._worker is not None else None

    @property
    def load(self) -> int:
        """How many calls are open."""
        return len(self._ledger)

    def unavailable(self) -> str | None:
        """Say in words why no call is taken now. A worker that is coming back is no reason."""
        if self._closing:
            return "the engine is shut down"
        if self._circuit.open:
            return f"the {self.name} worker died too often and is being started again"
        return None

    def sample(self) -> tuple[str, Item] | None:
        """Return a stage and an item to try it with, another one each time; None if there is none.

        To be asked of a place that serves.
        """
        if not self._samples:
            return None
        self._samples.rotate(-1)
        return self._samples[-1]

    # --- calls ----------------------------------------------------------------------------------

    def open(self, call: Call) -> None:
        """Take a call; it is sent now, or as soon as a worker serves.

        Raises TypeError for items that are no JSON.
        """
        now = time.monotonic()
        message = pack(Open(call), now)
        self._ledger.open(call, now)
        if self.serving and self._worker is not None:
            self._worker.send_packed(message)
            self._ledger.sent(call)

    def cancel(self, call_id: int) -> None:
        """Leave a call; its end follows."""
        running, due = self._ledger.cancel(call_id, time.monotonic())
        for assignment in running:
            self._send(Cancel(assignment))
        self._settle(due)

    def _settle(self, due: Due) -> None:
        for outcome in due.outcomes:
            self._deliver(outcome)
        for call in due.calls:
            self._send(Open(call))

    def _send(self, message: Message) -> None:
        if self._worker is not None:
            self._worker.send(message)

    def _receive(self, message: Message) -> None:
        match message:
            case Outcomes(outcomes):
                now = time.monotonic()
                if any(isinstance(one, Delta | Result) for one in outcomes):
                    self.worked_at = now
                for outcome in outcomes:
                    self._settle(self._ledger.take(outcome, now))
            case Steps(stages):
                self._count(stages)
            case Loading(text):
                self.report(text)
            case Logged():
                write(message, self.name)
            case Ready(facts, samples) if self._ready is not None and not self._ready.done():
                self._samples = deque(samples.items())
                self._ready.set_result(facts)
            case Broken(error) if self._ready is not None and not self._ready.done():
                self._ready.set_exception(_unavailable(error))

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> Facts:
        """Start a worker and return what its stages tell of their models.

        Raises `ModelUnavailable` where a stage cannot be loaded; no process is left behind then.
        """
        self._ready = asyncio.get_running_loop().create_future()
        worker = LocalWorker(self.name, self._receive, lambda: self._lost(worker))
        self._worker = worker
        try:
            await worker.start(self.stages, threads=self._threads, niceness=self._niceness)
            async with asyncio.timeout(LOAD_S):
                facts = await self._ready
            if self._worker is not worker:
                raise self._died_loading()
        except BaseException as error:
            self._worker = None  # first, so that its death starts no other
            await worker.close()
            if isinstance(error, TimeoutError):
                raise ModelUnavailable(f"the {self.name} worker took too long to load") from None
            raise
        self.serving = True
        self.worked_at = time.monotonic()
        self._circuit.serves()
        self._settle(self._ledger.resend())
        self._spawn(self._watch(worker))
        return facts

    async def close(self) -> None:
        """End the worker; calls that are open fail as lost."""
        self._closing = True
        self.serving = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._leaving = self._worker
        if self._leaving is not None:
            await self._leaving.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail_all(WorkerLost("the engine was shut down"))

    def kill(self) -> None:
        """Kill the worker's process, if there is one, also while it is being closed."""
        worker = self._worker or self._leaving
        if worker is not None:
            worker.kill()

    # --- death ----------------------------------------------------------------------------------

    def _lost(self, worker: LocalWorker) -> None:
        """Take no more for a dead worker, and see to the next."""
        if self._worker is not worker:
            return
        self._worker = None
        if not self.serving:  # `start` may wait for it, and whoever called that goes on
            if self._ready is not None and not self._ready.done():
                self._ready.set_exception(self._died_loading())
            return
        self.serving = False
        self.deaths += 1
        self._circuit.died(time.monotonic())
        self._spawn(self._restart(worker, worker.on_device()))
        self._spawn(self._mind_deadlines())

    async def _restart(self, dead: LocalWorker, on_device: Sequence[tuple[int, int]]) -> None:
        """Bury a worker, settle what it had on its device, and start another."""
        await dead.close()
        death, words = dead.death()
        count = len(on_device)
        logger.error("the %s worker died with %d items on its device: %s", self.name, count, words)
        self._settle(self._ledger.lost(death, on_device, time.monotonic()))
        self._give_up_if_hopeless()
        while not self._closing:
            await asyncio.sleep(self._circuit.pause_s(time.monotonic()))
            try:
                await self.start()
            except (ModelUnavailable, OSError) as error:
                logger.error("the %s worker cannot be started again: %s", self.name, error)
                self._circuit.died(time.monotonic())
                self._give_up_if_hopeless()
            else:
                return

    async def _mind_deadlines(self) -> None:
        """End calls whose deadline passes while they wait for the next worker."""
        while not self.serving:
            self._settle(self._ledger.expired(time.monotonic()))
            await asyncio.sleep(DEADLINE_S)

    def _give_up_if_hopeless(self) -> None:
        """Answer what waits, once the place has died too often for it to wait any longer."""
        reason = self.unavailable()
        if reason is not None:
            self._fail_all(ModelUnavailable(reason))

    def _fail_all(self, error: EngineError) -> None:
        self._settle(self._ledger.fail_all(error, time.monotonic()))

    async def _watch(self, worker: LocalWorker) -> None:
        """Ping a worker; kill one that has not been heard of for `stall_s` since it was asked.

        Silence counts from the ping on: a server that was itself stopped for a while finds its
        worker silent, but not asked.
        """
        asked_at = -math.inf
        for n in itertools.count():
            await asyncio.sleep(min(PING_S, self._stall_s / 4))
            if self._worker is not worker:
                return
            now = time.monotonic()
            if worker.heard_at >= asked_at:
                asked_at = now
                worker.send(Ping(n))
            elif now - asked_at >= self._stall_s:
                logger.error("the %s worker hangs and is killed", self.name)
                worker.kill()
                return

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _died_loading(self) -> ModelUnavailable:
        return ModelUnavailable(f"the {self.name} worker died as it loaded")


def _unavailable(error: EngineError) -> ModelUnavailable:
    return error if isinstance(error, ModelUnavailable) else ModelUnavailable(error.message)
