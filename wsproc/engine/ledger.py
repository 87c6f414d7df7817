"""What one worker owes: its open calls, and what is to be run again after its death. Pure.

Rules:

- A call is handed to a worker as an assignment. Usually there is one, the call itself; after a
  death what was not finished is assigned anew.
- An item whose deltas tell how to go on behind them (see `RESUME`) is run again from there.
- Other items are pure, so running one again gives the same deltas; those that the caller has are
  skipped and compared. Where they differ, the item fails as lost.
- Items that were on the device when a worker crashed or hung are suspects. A signal from outside
  says little about them: only items that were there at two of those are suspects.
- A suspect is run again as a call of its own that shares no step with others, so that the next
  death, of whatever kind, tells for certain who was to blame: it fails, alone. Everything else is
  run again as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from wsproc.engine.call import (
    RESUME,
    Call,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    Item,
    Outcome,
    Result,
    Value,
    WorkerLost,
)


class Death(Enum):
    """Why a worker died, as far as its end tells; the value is how much that says of its items."""

    KILLED = 1
    """By a signal from outside: somebody's, or the kernel's for want of memory."""

    CRASHED = 2
    """By its own doing, or it hung."""


SUSPECT = 2
"""So much said against an item makes it a suspect."""


@dataclass(slots=True)
class _Progress:
    """One item: what its caller has of it, how much of that was given again, what speaks against
    it.
    """

    delivered: list[Value] = field(default_factory=list)
    repeated: int = 0
    blame: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it is to run alone."""
        return self.blame >= SUSPECT


@dataclass(eq=False, slots=True)
class _Entry:
    """One open call: its items that are not finished, and the assignments that run.

    `again` is whether it waited for a worker; `stopped` is why its items need not finish.
    """

    call: Call
    opened_at: float
    items: dict[int, _Progress]
    running: dict[int, _Assignment] = field(default_factory=dict)
    again: bool = False
    stopped: EndReason | None = None


@dataclass(eq=False, slots=True)
class _Assignment:
    """Items of a call that a worker was given: its item n is the call's item `indices[n]`."""

    entry: _Entry
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now: outcomes for the callers, and calls to send to the worker."""

    outcomes: tuple[Outcome, ...] = ()
    calls: tuple[Call, ...] = ()


class Ledger:
    """The open calls of one worker's place, whichever process serves it. Times are seconds.

    `new_id` gives ids for assignments; they must differ from those of calls.
    """

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._entries: dict[int, _Entry] = {}
        self._assignments: dict[int, _Assignment] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def open(self, call: Call, now: float) -> None:
        """Enter a call; the caller sends it, or `resend` does when a worker is there."""
        items = {index: _Progress() for index in range(len(call.items))}
        self._entries[call.id] = _Entry(call, now, items)

    def sent(self, call: Call) -> None:
        """Note that a call was sent whole."""
        entry = self._entries[call.id]
        self._note(call.id, _Assignment(entry, tuple(range(len(call.items)))))

    def cancel(self, call_id: int, now: float) -> tuple[list[int], Due]:
        """Return the assignments that the worker must leave; where there are none, the end."""
        entry = self._entries.get(call_id)
        if entry is None:
            return [], Due()
        entry.stopped = entry.stopped or EndReason.CANCELLED
        if entry.running:
            return list(entry.running), Due()
        return [], Due((self._end(entry, now),))

    def expired(self, now: float) -> Due:
        """End the calls whose deadline passed while they wait for a worker.

        Those that a worker has are the worker's to end.
        """
        late = [
            entry
            for entry in self._entries.values()
            if not entry.running and entry.call.deadline is not None and entry.call.deadline <= now
        ]
        for entry in late:
            entry.stopped = entry.stopped or EndReason.DEADLINE
        return Due(tuple(self._end(entry, now) for entry in late))

    def take(self, outcome: Outcome, now: float) -> Due:
        """Take a worker's outcome; one of a call that is over is dropped."""
        assignment = self._assignments.get(outcome.call)
        if assignment is None:
            return Due()
        if isinstance(outcome, End):
            return self._ended(outcome, assignment, now)
        return Due(self._passed(outcome, assignment))

    def lost(self, death: Death, on_device: Iterable[tuple[int, int]], now: float) -> Due:
        """Take note of a worker's death; `on_device` are (call, item) as the worker knew them."""
        blamed = [
            (one.entry, one.indices[item])
            for call_id, item in on_device
            if (one := self._assignments.get(call_id)) is not None and item < len(one.indices)
        ]
        self._assignments.clear()
        outcomes: list[Outcome] = []
        for entry in list(self._entries.values()):
            entry.running.clear()
            for progress in entry.items.values():
                progress.repeated = 0
            if entry.stopped or not entry.items:
                outcomes.append(self._end(entry, now))
        for entry, index in blamed:
            outcomes += self._blame(death, entry, index, now)
        return Due(tuple(outcomes))

    def resend(self) -> Due:
        """Assign everything that is open to a new worker: suspects alone, the rest together."""
        calls = []
        for entry in self._entries.values():
            suspects = [index for index, progress in entry.items.items() if progress.suspect]
            rest = [index for index in entry.items if index not in suspects]
            calls += [self._assign(entry, [index], alone=True) for index in suspects]
            if rest:
                calls.append(self._assign(entry, rest, alone=False))
        return Due(calls=tuple(calls))

    def fail_all(self, error: EngineError, now: float) -> Due:
        """End every call; what is not finished fails with `error`, unless it was stopped."""
        outcomes: list[Outcome] = []
        for entry in list(self._entries.values()):
            if not entry.stopped:
                outcomes += [Failure(entry.call.id, index, error) for index in sorted(entry.items)]
                entry.items.clear()
            outcomes.append(self._end(entry, now))
        return Due(tuple(outcomes))

    # --- inside ---------------------------------------------------------------------------------

    def _passed(
        self, outcome: Delta | Result | Failure, assignment: _Assignment
    ) -> tuple[Outcome, ...]:
        """Translate an item's outcome to the caller's call, without what the caller has."""
        entry, index = assignment.entry, assignment.indices[outcome.item]
        progress = entry.items.get(index)
        if progress is None:
            return ()
        if isinstance(outcome, Delta):
            return self._delta(outcome, entry, index, progress)
        del entry.items[index]
        if progress.repeated < len(progress.delivered):
            return (_not_repeatable(entry, index),)
        return (replace(outcome, call=entry.call.id, item=index),)

    def _delta(
        self, outcome: Delta, entry: _Entry, index: int, progress: _Progress
    ) -> tuple[Outcome, ...]:
        if progress.repeated == len(progress.delivered):
            progress.delivered.append(outcome.value)
            progress.repeated += 1
            value = {key: part for key, part in outcome.value.items() if key != RESUME}
            return (Delta(entry.call.id, index, value),)
        expected = progress.delivered[progress.repeated]
        progress.repeated += 1
        if outcome.value == expected:
            return ()
        del entry.items[index]
        return (_not_repeatable(entry, index),)

    def _ended(self, end: End, assignment: _Assignment, now: float) -> Due:
        """Close an assignment; its call ends with its last item, or by a cancel or a deadline."""
        entry = assignment.entry
        del self._assignments[end.call], entry.running[end.call]
        if end.reason is not EndReason.COMPLETED:
            entry.stopped = entry.stopped or end.reason
        if entry.running or (entry.items and not entry.stopped):
            return Due()
        return Due((self._end(entry, now, end),))

    def _end(self, entry: _Entry, now: float, end: End | None = None) -> End:
        """Remove a call and build its end; the time it had no worker for counts as queued."""
        self._entries.pop(entry.call.id, None)
        reason = (entry.stopped if entry.items else None) or EndReason.COMPLETED
        for call_id in entry.running:
            self._assignments.pop(call_id, None)
        if end is not None and not entry.again:
            return replace(end, call=entry.call.id, reason=reason)
        run_ms = 0.0 if end is None else end.run_ms
        queued_ms = max(0.0, (now - entry.opened_at) * 1000 - run_ms)
        return End(entry.call.id, reason, queued_ms, run_ms)

    def _blame(self, death: Death, entry: _Entry, index: int, now: float) -> list[Outcome]:
        """Hold a death against an item; one that was on trial, alone on the device, fails."""
        progress = entry.items.get(index)
        if progress is None or entry.call.id not in self._entries:
            return []
        if not progress.suspect:
            progress.blame += death.value
            return []
        del entry.items[index]
        error = EngineError("the worker died again, with this input alone; it is not run again")
        outcomes: list[Outcome] = [Failure(entry.call.id, index, error)]
        if not entry.items:
            outcomes.append(self._end(entry, now))
        return outcomes

    def _assign(self, entry: _Entry, indices: list[int], *, alone: bool) -> Call:
        entry.again = True
        items = tuple(self._again(entry, index) for index in indices)
        call = replace(entry.call, id=self._new_id(), items=items, alone=alone)
        self._note(call.id, _Assignment(entry, tuple(indices)))
        return call

    def _again(self, entry: _Entry, index: int) -> Item:
        """Return an item to be run again: behind what its caller has of it, where that is told."""
        item, progress = entry.call.items[index], entry.items[index]
        told = [value[RESUME] for value in progress.delivered if RESUME in value]
        if not told or len(told) < len(progress.delivered):
            return item
        progress.repeated = len(told)
        return {**item, RESUME: [*item.get(RESUME, ()), *told]}

    def _note(self, call_id: int, assignment: _Assignment) -> None:
        self._assignments[call_id] = assignment
        assignment.entry.running[call_id] = assignment


def _not_repeatable(entry: _Entry, index: int) -> Failure:
    message = "the worker died and what it had given could not be repeated; send the job again"
    return Failure(entry.call.id, index, WorkerLost(message))
