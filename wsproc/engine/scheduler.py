"""Who goes on the device next. Pure: no clock, thread or model; time comes in as `now`.

Rules:

- One step is one stage's: the stages that have work take turns, so a long summary never keeps a
  short sentiment waiting for more than a step.
- A stage's running tickets go on in every step of that stage; waiting ones join while the stage's
  budget has rows and tokens left. Nobody waits for a fuller batch: what arrives during a step joins
  the next one.
- Waiting tickets join by priority; inside a priority the owners take turns (`fair_queue`). Waiting
  raises a level's urgency by one for every `aging_s` seconds, so that no priority starves.
- A ticket heavier than a whole budget joins alone; nothing can block the queue for ever.
- The tickets of a call that is to run alone share no step with others: theirs alternate with the
  stage's usual steps.
- Cancelled and expired tickets leave the queue at once and are never run.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wsproc.engine.call import Call
from wsproc.engine.fair_queue import FairQueue, Ticket
from wsproc.engine.stages.stage import StepBudget

AGING_S = 2.0
"""Seconds of waiting that count as one level of priority."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next on the device: begin `admitted`, then advance them and `resumed`."""

    stage: str
    resumed: tuple[Ticket, ...]
    admitted: tuple[Ticket, ...]


@dataclass(eq=False, slots=True)
class CallRecord:
    """A call's account: its open tickets, and when it arrived and began (seconds)."""

    call: Call
    arrived: float
    began: float | None = None
    open: set[Ticket] = field(default_factory=set)


class _StageQueue:
    """One stage's waiting levels and running tickets; `alone` are those that share no step."""

    def __init__(self, budget: StepBudget) -> None:
        self.budget = budget
        self.running: dict[Ticket, None] = {}
        self._levels: dict[int, FairQueue] = {}
        self._alone: OrderedDict[Ticket, None] = OrderedDict()
        self._alone_was_last = False

    def __bool__(self) -> bool:
        return bool(self.running or self._alone or self._any_waiting)

    @property
    def waiting(self) -> int:
        """How many tickets have not begun."""
        begun = sum(1 for ticket in self._alone if ticket in self.running)
        return sum(map(len, self._levels.values())) + len(self._alone) - begun

    @property
    def _any_waiting(self) -> bool:
        return any(map(len, self._levels.values()))

    def add(self, ticket: Ticket) -> None:
        if ticket.call.alone:
            self._alone[ticket] = None
        else:
            self._levels.setdefault(ticket.call.priority, FairQueue()).add(ticket)

    def finish(self, ticket: Ticket) -> None:
        self.running.pop(ticket, None)
        self._alone.pop(ticket, None)

    def drop(self, tickets: set[Ticket]) -> None:
        for ticket in tickets:
            self.finish(ticket)
        levels = {ticket.call.priority for ticket in tickets} & self._levels.keys()
        for priority in levels:
            self._levels[priority].drop(tickets)

    def compose(self, now: float, aging_s: float) -> tuple[tuple[Ticket, ...], tuple[Ticket, ...]]:
        """Return (resumed, admitted) for one step and move the admitted to running."""
        lone = self._next_alone()
        self._alone_was_last = lone is not None
        if lone is None:
            resumed = tuple(one for one in self.running if one not in self._alone)
            admitted = tuple(self._admit(now, aging_s))
        else:
            self._alone.move_to_end(lone)
            resumed = (lone,) if lone in self.running else ()
            admitted = () if resumed else (lone,)
        self.running.update(dict.fromkeys(admitted))
        return resumed, admitted

    def _next_alone(self) -> Ticket | None:
        """Return the ticket whose turn it is to run alone, None where it is the others' turn."""
        if not self._alone:
            return None
        room = len(self.running) < self.budget.rows
        others = any(one not in self._alone for one in self.running)
        if self._alone_was_last and (others or (room and self._any_waiting)):
            return None
        return next((one for one in self._alone if room or one in self.running), None)

    def _admit(self, now: float, aging_s: float) -> Iterator[Ticket]:
        rows = self.budget.rows - len(self.running)
        tokens = self.budget.tokens
        first = True
        while rows > 0 and (level := self._most_urgent(now, aging_s)) is not None:
            ticket = level.head()
            if ticket.weight > tokens and not first:
                return
            level.take(ticket)
            rows, tokens, first = rows - 1, tokens - ticket.weight, False
            yield ticket

    def _most_urgent(self, now: float, aging_s: float) -> FairQueue | None:
        waiting = [(priority, level) for priority, level in self._levels.items() if level]
        if len(waiting) < 2:
            return waiting[0][1] if waiting else None
        return max(waiting, key=lambda one: one[0] + (now - one[1].oldest()) / aging_s)[1]


class Scheduler:
    """The waiting and running items of one device.

    `stages` gives each stage's step budget. The caller adds calls, asks for steps, carries them
    out, and reports each ticket that is over by `finish`.
    """

    def __init__(self, stages: Mapping[str, StepBudget], *, aging_s: float = AGING_S) -> None:
        self._stages = OrderedDict((name, _StageQueue(budget)) for name, budget in stages.items())
        self._calls: dict[int, CallRecord] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._aging_s = aging_s

    def __repr__(self) -> str:
        stages = ", ".join(
            f"{name}: {len(queue.running)} running, {queue.waiting} waiting"
            for name, queue in self._stages.items()
        )
        return f"<Scheduler {stages}>"

    @property
    def idle(self) -> bool:
        """Whether there is nothing to run."""
        return not any(self._stages.values())

    def add(self, call: Call, weights: Iterable[int], now: float) -> None:
        """Queue a call's items; `weights` are their tokens. Raises KeyError for an unknown stage
        and ValueError for an id that is in use or a call without items.
        """
        queue = self._stages[call.stage]
        if call.id in self._calls:
            raise ValueError(f"call {call.id} is open already")
        if not call.items:
            raise ValueError("a call needs at least one item")
        indexed = zip(range(len(call.items)), weights, strict=True)
        tickets = [Ticket(call, index, max(1, weight), now) for index, weight in indexed]
        self._calls[call.id] = CallRecord(call, now, open=set(tickets))
        for ticket in tickets:
            queue.add(ticket)
        if call.deadline is not None:
            heapq.heappush(self._deadlines, (call.deadline, call.id))
            self._forget_deadlines()

    def next_step(self, now: float) -> Step | None:
        """Compose the next step, or return None when nothing is to be run."""
        for name in list(self._stages):
            queue = self._stages[name]
            if not queue:
                continue
            self._stages.move_to_end(name)
            resumed, admitted = queue.compose(now, self._aging_s)
            for ticket in admitted:
                record = self._calls[ticket.call.id]
                record.began = now if record.began is None else record.began
            return Step(name, resumed, admitted)
        return None

    def finish(self, ticket: Ticket) -> CallRecord | None:
        """Take a ticket off the device; return its call's record when it was the last one."""
        self._stages[ticket.call.stage].finish(ticket)
        record = self._calls.get(ticket.call.id)
        if record is None:
            return None
        record.open.discard(ticket)
        return None if record.open else self._calls.pop(ticket.call.id)

    def cancel(self, call_id: int) -> tuple[CallRecord, list[Ticket]] | None:
        """Remove a call; return its record and the tickets to release from the device.

        None for a call that is unknown or over: a late cancel is no error.
        """
        record = self._calls.pop(call_id, None)
        if record is None:
            return None
        queue = self._stages[record.call.stage]
        running = [ticket for ticket in record.open if ticket in queue.running]
        queue.drop(record.open)
        return record, running

    def expired(self, now: float) -> list[int]:
        """Return the open calls whose deadline has passed; the caller cancels them."""
        calls = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, call_id = heapq.heappop(self._deadlines)
            if call_id in self._calls:
                calls.append(call_id)
        return calls

    def _forget_deadlines(self) -> None:
        """Drop those of calls that are over, once they are most: a deadline may be a day away."""
        if len(self._deadlines) > 2 * len(self._calls) + 100:
            self._deadlines = [one for one in self._deadlines if one[1] in self._calls]
            heapq.heapify(self._deadlines)
