"""The loop beside the device: receive, schedule, step, deliver. One thread owns everything here.

Between two steps the worker reads what has come, so a cancel is felt at the next step's boundary.
A step that raises is halved and tried again until the item that raises stands, and fails, alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from wsproc.engine.call import Delta, End, EndReason, EngineError, Failure, Item, Outcome, Result
from wsproc.engine.fair_queue import Ticket
from wsproc.engine.isolate import isolate
from wsproc.engine.messages import Cancel, Message, Open, Outcomes, Ping, Pong, Steps, pack
from wsproc.engine.scheduler import CallRecord, Scheduler, Step
from wsproc.engine.stages.stage import Emission, Stage, TokenCount
from wsproc.engine.tally import StageTally, Tally

logger = logging.getLogger("wsproc.engine")

REPORT_S = 0.25
"""How often a busy worker tells what its steps were made of."""


class Link(Protocol):
    """The worker's end of the way to the pool."""

    def receive(self, wait: bool) -> Sequence[Message] | None:
        """Return what has come; with `wait` block for at least one message. None at the end."""
        ...

    def send(self, message: Message) -> None:
        """Send one message."""
        ...


class Worker:
    """Serves calls on the given stages until its link ends.

    `record` is told (call, item) of all that goes on the device, and nothing when it is free.
    `check` is called after a stage raised, and raises in turn where the device can no longer be
    used; that ends the worker, and another serves in its place.
    """

    def __init__(
        self,
        stages: Mapping[str, Stage],
        link: Link,
        clock: Callable[[], float] = time.monotonic,
        record: Callable[[Iterable[tuple[int, int]]], None] = lambda items: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._stages = stages
        self._link = link
        self._record = record
        self._check = check
        self._clock = clock
        self._scheduler = Scheduler({name: stage.budget for name, stage in stages.items()})
        self._runs: dict[Ticket, Any] = {}
        self._outcomes: list[Outcome] = []
        self._tally = Tally()
        self._reported_at = clock()

    def run(self) -> None:
        """Serve until the pool goes away."""
        while (messages := self._link.receive(wait=self._scheduler.idle)) is not None:
            for message in messages:
                self._handle(message)
            self._expire()
            self._deliver()  # whoever cancelled is not to wait for others' next step
            step = self._scheduler.next_step(self._clock())
            if step is not None:
                self._take(step)
            self._deliver()
            self._report()

    # --- messages -------------------------------------------------------------------------------

    def _handle(self, message: Message) -> None:
        match message:
            case Open(call):
                stage = self._stages[call.stage]
                weights = [_weight(stage, item) for item in call.items]
                self._scheduler.add(call, weights, self._clock())
            case Cancel(call_id):
                self._leave(call_id, EndReason.CANCELLED)
            case Ping(n):
                self._link.send(Pong(n))

    def _expire(self) -> None:
        for call_id in self._scheduler.expired(self._clock()):
            self._leave(call_id, EndReason.DEADLINE)

    def _leave(self, call_id: int, reason: EndReason) -> None:
        """Free the device of a call; what it had running is released before its end is told."""
        left = self._scheduler.cancel(call_id)
        if left is None:
            return
        record, running = left
        self._release(self._stages[record.call.stage], running)
        self._end(record, reason)

    # --- a step ---------------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        """Take one step; whatever is on the device meanwhile is on record, should it kill us."""
        tickets = (*step.resumed, *step.admitted)
        stage, began = self._stages[step.stage], self._clock()
        before = _counted(stage)
        self._record((one.call.id, one.index) for one in tickets)
        self._advance(stage, self._begin(step))
        self._record(())
        useful, computed = (now - then for now, then in zip(_counted(stage), before, strict=True))
        seconds = self._clock() - began
        taken = StageTally.of_step(
            seconds,
            rows=len(tickets),
            room=stage.budget.rows,
            tokens=useful,
            padding=computed - useful,
        )
        self._tally.add({step.stage: taken})

    def _begin(self, step: Step) -> list[Ticket]:
        """Put the admitted items on the device; return all tickets that are on it now."""
        stage = self._stages[step.stage]
        items = step.admitted
        runs = isolate(lambda part: stage.begin([one.item for one in part]), items, self._check)
        for ticket, run in zip(items, runs, strict=True):
            if isinstance(run, EngineError):
                self._finish(ticket, Failure(ticket.call.id, ticket.index, run))
            else:
                self._runs[ticket] = run
        return [ticket for ticket in (*step.resumed, *step.admitted) if ticket in self._runs]

    def _advance(self, stage: Stage, tickets: Sequence[Ticket]) -> None:
        """Take one step with the tickets on the device; release those that are over."""
        runs = self._runs
        given = isolate(lambda part: stage.step([runs[one] for one in part]), tickets, self._check)
        emissions = [Emission(error=one) if isinstance(one, EngineError) else one for one in given]
        for ticket, emission in zip(tickets, emissions, strict=True):
            self._emit(ticket, emission)
        over = zip(tickets, emissions, strict=True)
        self._release(stage, [ticket for ticket, emission in over if emission.finished])

    def _emit(self, ticket: Ticket, emission: Emission) -> None:
        call, item = ticket.call.id, ticket.index
        self._outcomes += [Delta(call, item, value) for value in emission.deltas]
        if emission.error is not None:
            self._finish(ticket, Failure(call, item, emission.error))
        elif emission.result is not None:
            self._finish(ticket, Result(call, item, emission.result))

    def _finish(self, ticket: Ticket, outcome: Result | Failure) -> None:
        self._outcomes.append(outcome)
        record = self._scheduler.finish(ticket)
        if record is not None:
            self._end(record, EndReason.COMPLETED)

    def _release(self, stage: Stage, tickets: Sequence[Ticket]) -> None:
        runs = [self._runs.pop(ticket) for ticket in tickets if ticket in self._runs]
        if not runs:
            return
        try:
            stage.release(runs)
        except Exception:
            logger.exception("the %s stage raised in release", stage.name)

    def _end(self, record: CallRecord, reason: EndReason) -> None:
        now = self._clock()
        began = now if record.began is None else record.began
        queued_ms, run_ms = (began - record.arrived) * 1000, (now - began) * 1000
        self._outcomes.append(End(record.call.id, reason, queued_ms, run_ms))

    def _deliver(self) -> None:
        if not self._outcomes:
            return
        outcomes, self._outcomes = self._outcomes, []
        try:
            self._link.send(Outcomes(outcomes))
        except TypeError:
            self._link.send(Outcomes([_sendable(outcome) for outcome in outcomes]))

    def _report(self) -> None:
        """Tell what the steps were made of, now and then and before a pause."""
        now = self._clock()
        if self._tally.stages and (self._scheduler.idle or now - self._reported_at >= REPORT_S):
            self._reported_at = now
            self._link.send(Steps(self._tally.take()))


def _counted(stage: Stage) -> tuple[int, int]:
    """Return a stage's tokens so far, useful ones and all that were computed; zeros if untold."""
    counted: TokenCount = getattr(stage, "counted", TokenCount())
    return counted.useful, counted.computed


def _weight(stage: Stage, item: Item) -> int:
    """Weigh an item; what cannot be weighed weighs one, and fails when it begins."""
    try:
        return int(stage.weigh(item))
    except Exception:
        logger.exception("the %s stage raised in weigh", stage.name)
        return 1


def _sendable(outcome: Outcome) -> Outcome:
    """Return an outcome, or the failure of one whose value or words are no JSON."""
    try:
        pack(Outcomes([outcome]), 0.0)
    except TypeError as error:
        if isinstance(outcome, End):
            raise
        message = f"the stage gave a value that is no JSON ({error})"
        return Failure(outcome.call, outcome.item, EngineError(message))
    return outcome
