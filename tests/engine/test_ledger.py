"""What a worker owes: nothing lost, nothing doubled, whenever it dies. No process, no clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from wsproc.engine.call import (
    Call,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    ModelUnavailable,
    Result,
    WorkerLost,
)
from wsproc.engine.ledger import SUSPECT, Death, Due, Ledger

CRASHED, KILLED = Death.CRASHED, Death.KILLED
CONDEMNED = 100
"""What the model of the property test notes of an item that died alone on the device."""


def make() -> Ledger:
    """Return a ledger whose assignments are 1000, 1001 and so on."""
    return Ledger(itertools.count(1000).__next__)


def call(call_id: int, items: int = 1, **fields) -> Call:
    """Return a call with so many items."""
    return Call(call_id, "stage", tuple({"n": n} for n in range(items)), **fields)


def sent(ledger: Ledger, *calls: Call, now: float = 0.0) -> None:
    """Open calls and send them."""
    for one in calls:
        ledger.open(one, now)
        ledger.sent(one)


def completed(call_id: int, queued_ms: float = 1.0, run_ms: float = 2.0) -> End:
    """Return the end of a call or an assignment whose items are done."""
    return End(call_id, EndReason.COMPLETED, queued_ms, run_ms)


def flat(*dues: Due) -> list:
    """Return the outcomes of several dues."""
    return [outcome for due in dues for outcome in due.outcomes]


def test_without_a_death_outcomes_pass_as_they_are():
    """The times are the worker's own."""
    ledger = make()
    sent(ledger, call(1, 2))
    given = [
        Delta(1, 1, {"a": 1}),
        Result(1, 1, {"b": 1}),
        Failure(1, 0, EngineError("no")),
        End(1, EndReason.COMPLETED, 3.0, 4.0),
    ]
    assert flat(*(ledger.take(one, 9.0) for one in given)) == given
    assert len(ledger) == 0


def test_what_is_unknown_or_over_is_dropped():
    """Outcomes of a call that ended, and a cancel of it."""
    ledger = make()
    sent(ledger, call(1))
    ledger.take(Result(1, 0, {}), 0.0)
    assert ledger.take(Result(1, 0, {}), 0.0) == Due()
    ledger.take(completed(1), 0.0)
    assert ledger.take(Result(1, 0, {}), 0.0) == Due()
    assert ledger.cancel(1, 0.0) == ([], Due())
    assert ledger.lost(CRASHED, [(1, 0), (77, 3)], 0.0) == Due()


def test_what_was_not_finished_is_assigned_anew():
    """Under a new id, the finished items left out; outcomes come back under the caller's numbers.

    Times of the end: all but the last run counts as queued.
    """
    ledger = make()
    sent(ledger, call(1, 3, owner="me", priority=9, deadline=50.0), now=1.0)
    ledger.take(Result(1, 1, {}), 2.0)
    assert ledger.lost(CRASHED, [], 3.0) == Due()
    (again,) = ledger.resend().calls
    assert again == Call(1000, "stage", ({"n": 0}, {"n": 2}), "me", 9, 50.0)
    assert flat(
        ledger.take(Result(1000, 1, {"x": 2}), 5.0),
        ledger.take(Result(1000, 0, {"x": 0}), 5.0),
        ledger.take(completed(1000, 5.0, 500.0), 6.0),
    ) == [Result(1, 2, {"x": 2}), Result(1, 0, {"x": 0}), completed(1, 4500.0, 500.0)]


def test_late_words_of_the_dead_are_dropped():
    """Its assignments are void from its death on."""
    ledger = make()
    sent(ledger, call(1))
    ledger.lost(CRASHED, [], 0.0)
    assert ledger.take(Result(1, 0, {}), 0.0) == Due()
    ledger.resend()
    assert ledger.take(Result(1, 0, {}), 0.0) == Due()


def test_a_call_opened_while_no_worker_serves_waits():
    """It is sent with what is sent again, and the wait counts as queued."""
    ledger = make()
    ledger.open(call(1), 10.0)
    (first,) = ledger.resend().calls
    ledger.take(Result(first.id, 0, {}), 13.0)
    due = ledger.take(completed(first.id, 1.0, 500.0), 13.0)
    assert due.outcomes == (completed(1, 2500.0, 500.0),)


def test_deltas_that_the_caller_has_are_skipped():
    """Through two deaths; those beyond pass."""
    ledger = make()
    sent(ledger, call(1))
    ledger.take(Delta(1, 0, {"t": "a"}), 0.0)
    ledger.take(Delta(1, 0, {"t": "b"}), 0.0)
    ledger.lost(CRASHED, [], 0.0)
    (second,) = ledger.resend().calls
    assert ledger.take(Delta(second.id, 0, {"t": "a"}), 0.0) == Due()
    ledger.lost(CRASHED, [], 0.0)
    (third,) = ledger.resend().calls
    values = [{"t": "a"}, {"t": "b"}, {"t": "c"}]
    passed = flat(*(ledger.take(Delta(third.id, 0, value), 0.0) for value in values))
    assert passed == [Delta(1, 0, {"t": "c"})]
    assert flat(ledger.take(Result(third.id, 0, {"t": "abc"}), 0.0)) == [Result(1, 0, {"t": "abc"})]


LOST = WorkerLost("the worker died and what it had given could not be repeated; send the job again")


@pytest.mark.parametrize(
    "second",
    [
        Delta(1000, 0, {"t": "B"}),
        Result(1000, 0, {"t": "a"}),
        Failure(1000, 0, EngineError("this time")),
    ],
    ids=["another delta", "an end too soon", "a failure too soon"],
)
def test_an_item_that_cannot_be_repeated_fails_as_lost(second: Delta | Result | Failure):
    """What its caller has would not fit what follows. Nothing more of it is passed on."""
    ledger = make()
    sent(ledger, call(1))
    ledger.take(Delta(1, 0, {"t": "a"}), 0.0)
    ledger.take(Delta(1, 0, {"t": "b"}), 0.0)
    ledger.lost(CRASHED, [], 0.0)
    ledger.resend()
    ledger.take(Delta(1000, 0, {"t": "a"}), 0.0)
    assert ledger.take(second, 0.0).outcomes == (Failure(1, 0, LOST),)
    assert ledger.take(Delta(1000, 0, {"t": "c"}), 0.0) == Due()
    due = ledger.take(completed(1000), 0.0)
    assert [type(one) for one in due.outcomes] == [End]


def test_an_item_goes_on_behind_what_its_deltas_told():
    """What they told comes with it, through two deaths; the caller does not see that."""
    ledger = make()
    sent(ledger, call(1))
    given = ledger.take(Delta(1, 0, {"text": "a", "resume": [1, 2]}), 0.0)
    assert given.outcomes == (Delta(1, 0, {"text": "a"}),)
    ledger.lost(KILLED, [], 0.0)
    (again,) = ledger.resend().calls
    assert again.items == ({"n": 0, "resume": [[1, 2]]},)
    given = ledger.take(Delta(again.id, 0, {"text": "b", "resume": [3]}), 0.0)
    assert given.outcomes == (Delta(1, 0, {"text": "b"}),)
    ledger.lost(KILLED, [], 0.0)
    (again,) = ledger.resend().calls
    assert again.items == ({"n": 0, "resume": [[1, 2], [3]]},)
    given = ledger.take(Result(again.id, 0, {"text": "abc"}), 0.0)
    assert given.outcomes == (Result(1, 0, {"text": "abc"}),)


def test_a_call_with_nothing_left_ends_with_its_worker():
    """Its items had failed as lost while the worker still ran them; nobody else would end it."""
    ledger = make()
    sent(ledger, call(1))
    ledger.take(Delta(1, 0, {"t": "a"}), 0.0)
    ledger.lost(CRASHED, [], 0.0)
    ledger.resend()
    ledger.take(Delta(1000, 0, {"t": "b"}), 0.0)
    due = ledger.lost(CRASHED, [(1000, 0)], 5.0)
    assert due.outcomes == (End(1, EndReason.COMPLETED, 5000.0, 0.0),)
    assert ledger.resend() == Due()


def test_suspects_share_no_step_with_others():
    """Each is a call of its own, to be run alone; what was not on the device runs as before."""
    ledger = make()
    sent(ledger, call(1, 3), call(2, 1))
    ledger.lost(CRASHED, [(1, 0), (1, 2), (2, 0)], 0.0)
    calls = ledger.resend().calls
    tried = [(one.items, one.alone) for one in calls]
    assert tried == [
        (({"n": 0},), True),
        (({"n": 2},), True),
        (({"n": 1},), False),
        (({"n": 0},), True),
    ]
    first, second, rest, other = calls
    for one, item in ((rest, 1), (first, 0), (second, 2)):
        due = ledger.take(Result(one.id, 0, {"r": item}), 0.0)
        assert due == Due((Result(1, item, {"r": item}),))
    assert flat(*(ledger.take(completed(one.id), 0.0) for one in (rest, first))) == []
    ends = ledger.take(completed(second.id), 1.0).outcomes
    assert [(one.call, one.reason) for one in ends] == [(1, EndReason.COMPLETED)]
    ledger.take(Result(other.id, 0, {}), 0.0)
    ledger.take(completed(other.id), 1.0)
    assert len(ledger) == 0


def test_a_suspect_with_which_a_worker_dies_fails_alone():
    """The others of its batch and of its call go on."""
    ledger = make()
    sent(ledger, call(1, 2), call(2, 1))
    ledger.lost(CRASHED, [(1, 0), (2, 0)], 0.0)
    trial, rest, other = ledger.resend().calls
    due = ledger.lost(CRASHED, [(trial.id, 0)], 0.0)
    assert due.calls == ()
    error = EngineError("the worker died again, with this input alone; it is not run again")
    assert due.outcomes == (Failure(1, 0, error),)
    rest, other = ledger.resend().calls
    assert (rest.items, rest.alone) == (({"n": 1},), False)
    assert (other.items, other.alone) == (({"n": 0},), True)
    ledger.take(Result(rest.id, 0, {}), 0.0)
    assert [one.call for one in ledger.take(completed(rest.id), 0.0).outcomes] == [1]


def test_a_call_of_one_suspect_ends_with_its_second_death():
    """Its failure, then its end."""
    ledger = make()
    sent(ledger, call(1), now=1.0)
    ledger.lost(CRASHED, [(1, 0)], 2.0)
    (trial,) = ledger.resend().calls
    due = ledger.lost(CRASHED, [(trial.id, 0)], 3.0)
    assert [type(one) for one in due.outcomes] == [Failure, End]
    assert due.outcomes[1] == End(1, EndReason.COMPLETED, 2000.0, 0.0)
    assert ledger.resend() == Due()


def test_a_kill_from_outside_makes_nobody_a_suspect():
    """Two may: only an item that was there at both runs alone, and fails if the worker dies so."""
    ledger = make()
    sent(ledger, call(1, 3))
    assert ledger.lost(KILLED, [(1, 0), (1, 1)], 0.0) == Due()
    (again,) = ledger.resend().calls
    assert (len(again.items), again.alone) == (3, False)
    assert ledger.lost(KILLED, [(again.id, 1), (again.id, 2)], 0.0) == Due()
    trial, rest = ledger.resend().calls
    assert [(one.items, one.alone) for one in (trial, rest)] == [
        (({"n": 1},), True),
        (({"n": 0}, {"n": 2}), False),
    ]
    due = ledger.lost(KILLED, [(trial.id, 0)], 0.0)
    assert [(one.item, type(one)) for one in due.outcomes] == [(1, Failure)]


def test_a_crash_weighs_more_than_a_kill():
    """It makes a suspect of whoever was there, seen before or not."""
    ledger = make()
    sent(ledger, call(1))
    ledger.lost(KILLED, [(1, 0)], 0.0)
    (again,) = ledger.resend().calls
    assert not again.alone
    ledger.lost(CRASHED, [(again.id, 0)], 0.0)
    (trial,) = ledger.resend().calls
    assert trial.alone


def test_a_suspect_that_another_death_does_not_name_stays_one():
    """It did nothing when the worker died; it still shares no step with others."""
    ledger = make()
    sent(ledger, call(1, 2))
    ledger.lost(CRASHED, [(1, 0), (1, 1)], 0.0)
    _, second = ledger.resend().calls
    ledger.lost(CRASHED, [], 0.0)
    assert [one.alone for one in ledger.resend().calls] == [True, True]
    assert second.items == ({"n": 1},)


def test_a_cancel_names_every_assignment():
    """Of a call that runs in parts; its end comes with the last of them."""
    ledger = make()
    sent(ledger, call(1, 3), call(2))
    ledger.lost(CRASHED, [(1, 0), (2, 0)], 0.0)
    trial, rest, _ = ledger.resend().calls
    running, due = ledger.cancel(1, 0.0)
    assert (running, due) == ([trial.id, rest.id], Due())
    assert ledger.take(End(rest.id, EndReason.CANCELLED, 0.0, 0.0), 0.0) == Due()
    due = ledger.take(End(trial.id, EndReason.CANCELLED, 0.0, 0.0), 0.0)
    assert [(one.call, one.reason) for one in due.outcomes] == [(1, EndReason.CANCELLED)]


@pytest.mark.parametrize("reason", [EndReason.CANCELLED, EndReason.DEADLINE])
def test_a_call_that_was_stopped_in_one_part_ends_so(reason: EndReason):
    """Also where another part is finished behind that."""
    ledger = make()
    sent(ledger, call(1, 3))
    ledger.lost(CRASHED, [(1, 0)], 0.0)
    trial, rest = ledger.resend().calls
    if reason is EndReason.CANCELLED:
        ledger.cancel(1, 0.0)
    assert ledger.take(End(rest.id, reason, 0.0, 0.0), 0.0) == Due()
    ledger.take(Result(trial.id, 0, {}), 0.0)
    due = ledger.take(completed(trial.id), 0.0)
    assert [(one.call, one.reason) for one in due.outcomes] == [(1, reason)]
    assert len(ledger) == 0


@pytest.mark.parametrize("reason", [EndReason.CANCELLED, EndReason.DEADLINE])
def test_a_call_that_was_stopped_in_one_part_is_not_run_again(reason: EndReason):
    """The death of the worker ends it."""
    ledger = make()
    sent(ledger, call(1, 2))
    ledger.lost(CRASHED, [(1, 0)], 0.0)
    trial, rest = ledger.resend().calls
    if reason is EndReason.CANCELLED:
        ledger.cancel(1, 0.0)
    ledger.take(End(rest.id, reason, 0.0, 0.0), 0.0)
    due = ledger.lost(CRASHED, [(trial.id, 0)], 0.0)
    assert [(one.call, one.reason) for one in due.outcomes] == [(1, reason)]
    assert ledger.resend() == Due()


def test_completion_may_win_over_a_cancel():
    """Where every item was finished, the end says so."""
    ledger = make()
    sent(ledger, call(1))
    ledger.cancel(1, 0.0)
    ledger.take(Result(1, 0, {}), 0.0)
    assert ledger.take(completed(1), 0.0).outcomes == (completed(1),)


def test_a_cancel_while_no_worker_serves_ends_at_once():
    """Of a call that waits for its first worker, and of one whose worker died."""
    ledger = make()
    ledger.open(call(1), 1.0)
    sent(ledger, call(2), now=1.0)
    ledger.lost(CRASHED, [(2, 0)], 2.0)
    for call_id in (1, 2):
        end = End(call_id, EndReason.CANCELLED, 2000.0, 0.0)
        assert ledger.cancel(call_id, 3.0) == ([], Due((end,)))
    assert ledger.resend() == Due()


def test_a_deadline_that_passes_while_no_worker_serves_is_an_end():
    """Of calls that wait; what a worker has is the worker's to end."""
    ledger = make()
    sent(ledger, call(1, deadline=5.0), now=1.0)
    assert ledger.expired(6.0) == Due()
    ledger.lost(CRASHED, [], 2.0)
    ledger.open(call(2, deadline=9.0), 3.0)
    ledger.open(call(3), 3.0)
    assert ledger.expired(4.0) == Due()
    assert ledger.expired(5.0) == Due((End(1, EndReason.DEADLINE, 4000.0, 0.0),))
    assert ledger.expired(9.0) == Due((End(2, EndReason.DEADLINE, 6000.0, 0.0),))
    assert len(ledger) == 1


def test_a_cancel_that_the_worker_did_not_live_to_carry_out_is_an_end():
    """The death frees the device of the call as well."""
    ledger = make()
    sent(ledger, call(1, 2))
    ledger.cancel(1, 0.0)
    due = ledger.lost(CRASHED, [(1, 0)], 0.0)
    assert [(type(one), one.reason) for one in due.outcomes] == [(End, EndReason.CANCELLED)]


def test_failing_all_answers_everything():
    """Each unfinished item and each call once; a call that was cancelled just ends."""
    ledger, error = make(), ModelUnavailable("gone")
    sent(ledger, call(1, 2), call(2))
    ledger.open(call(3), 0.0)
    ledger.take(Result(1, 0, {}), 0.0)
    ledger.cancel(2, 0.0)
    outcomes = flat(ledger.fail_all(error, 0.0))
    failures = [one for one in outcomes if isinstance(one, Failure)]
    assert failures == [Failure(1, 1, error), Failure(3, 0, error)]
    ends = {one.call: one.reason.value for one in outcomes if isinstance(one, End)}
    assert ends == {1: "completed", 2: "cancelled", 3: "completed"}
    assert ledger.take(Result(1, 1, {}), 0.0) == Due()
    assert ledger.resend() == Due()


# --- against a model --------------------------------------------------------------------------


DEADLINE = 100.0


KINDS = st.sampled_from(["steady", "unsteady", "resumes"])


@dataclass
class Seen:
    """What the caller of one call got, item by item, and what the model knows of it."""

    call: Call
    deltas: list[list] = field(default_factory=list)
    over: dict[int, Result | Failure] = field(default_factory=dict)
    end: End | None = None
    cancelled: bool = False
    expired: bool = False
    refused: bool = False
    blame: dict[int, int] = field(default_factory=dict)

    @property
    def open(self) -> list[int]:
        """The items that are not over."""
        return [index for index in range(len(self.call.items)) if index not in self.over]


@dataclass
class Job:
    """An assignment as the model's worker has it: what it gave of each item that is not over."""

    call: Call
    given: dict[int, int]
    told_to_leave: bool = False


class Owing(RuleBasedStateMachine):
    """Callers, a ledger, and a worker that dies, restarts and is cancelled at any moment.

    An item is `{"call", "index", "deltas", "kind"}`: it gives so many deltas and a result. Those of
    a `steady` one are the same each time, those of others differ from assignment to assignment;
    one that `resumes` tells how to go on behind them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ids = itertools.count(1)
        self.ledger = Ledger(self.ids.__next__)
        self.seen: dict[int, Seen] = {}
        self.jobs: dict[int, Job] = {}
        self.serving = False

    @initialize(serving=st.booleans())
    def begin(self, serving: bool) -> None:
        """Begin with or without a worker."""
        self.serving = serving

    # --- the callers' side ----------------------------------------------------------------------

    @precondition(lambda self: sum(seen.end is None for seen in self.seen.values()) < 4)
    @rule(
        items=st.lists(st.tuples(st.integers(0, 3), KINDS), min_size=1, max_size=4),
        deadline=st.sampled_from([None, DEADLINE]),
    )
    def open(self, items: list[tuple[int, str]], deadline: float | None) -> None:
        """Open a call."""
        call_id = next(self.ids)
        values = tuple(
            {"call": call_id, "index": index, "deltas": deltas, "kind": kind}
            for index, (deltas, kind) in enumerate(items)
        )
        wanted = Call(call_id, "stage", values, deadline=deadline)
        self.seen[call_id] = Seen(wanted, [[] for _ in values])
        self.ledger.open(wanted, 0.0)
        if self.serving:
            self.ledger.sent(wanted)
            self.work_on(wanted)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a call, open or not, while a worker serves or not."""
        seen = self.seen[data.draw(st.sampled_from(sorted(self.seen)))]
        was_open = seen.end is None
        seen.cancelled = seen.cancelled or was_open
        assignments, due = self.ledger.cancel(seen.call.id, 0.0)
        for call_id in assignments:
            self.jobs[call_id].told_to_leave = True
        self.settle(due)
        assert bool(assignments) == (was_open and seen.end is None)

    # --- the worker's side ----------------------------------------------------------------------

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """Give the next delta, or the result, of one item."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        self.advance(job, data.draw(st.sampled_from(sorted(job.given))))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """Fail one item."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        item = data.draw(st.sampled_from(sorted(job.given)))
        self.finish(job, item, Failure(job.call.id, item, EngineError("as drawn")))

    @precondition(lambda self: any(job.told_to_leave for job in self.jobs.values()))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Leave what was cancelled."""
        told = [call_id for call_id, job in self.jobs.items() if job.told_to_leave]
        self.stop(data.draw(st.sampled_from(told)), EndReason.CANCELLED)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Leave a part of a call whose deadline passed."""
        call_id = data.draw(st.sampled_from(sorted(self.jobs)))
        self.caller_of(self.jobs[call_id]).expired = True
        self.stop(call_id, EndReason.DEADLINE)

    # --- life and death -------------------------------------------------------------------------

    @precondition(lambda self: self.serving)
    @rule(data=st.data(), death=st.sampled_from(Death))
    def die(self, data: st.DataObject, death: Death) -> None:
        """Die with any of the items on the device."""
        running = [(job.call.id, item) for job in self.jobs.values() for item in job.given]
        blamed = data.draw(st.lists(st.sampled_from(running), unique=True)) if running else []
        for call_id, item in blamed:
            value = self.jobs[call_id].call.items[item]
            self.note(death, value["call"], value["index"])
        self.jobs.clear()
        self.serving = False
        self.settle(self.ledger.lost(death, blamed, 0.0))

    @precondition(lambda self: not self.serving)
    @rule()
    def pass_deadlines(self) -> None:
        """Let the deadlines of all calls that have one pass."""
        for seen in self.seen.values():
            seen.expired = seen.expired or (seen.call.deadline is not None and seen.end is None)
        self.settle(self.ledger.expired(DEADLINE))
        assert all(seen.end is not None for seen in self.seen.values() if seen.call.deadline)

    @precondition(lambda self: not self.serving)
    @rule()
    def restart(self) -> None:
        """Start a worker."""
        self.serving = True
        self.settle(self.ledger.resend())

    @precondition(lambda self: not self.serving)
    @rule()
    def give_up(self) -> None:
        """Open the circuit."""
        for seen in self.seen.values():
            seen.refused = seen.refused or seen.end is None
        self.settle(self.ledger.fail_all(ModelUnavailable("circuit"), 0.0))
        assert all(seen.end is not None for seen in self.seen.values())

    # --- what holds -----------------------------------------------------------------------------

    @invariant()
    def suspects_run_alone(self) -> None:
        """Each in an assignment of its own; everything else runs with others."""
        for job in self.jobs.values():
            blame = self.caller_of(job).blame
            suspected = [
                value for value in job.call.items if blame.get(value["index"], 0) >= SUSPECT
            ]
            assert bool(suspected) is job.call.alone
            assert not suspected or len(job.call.items) == 1

    @invariant()
    def every_call_is_looked_after(self) -> None:
        """While a worker serves, an open call runs."""
        if self.serving:
            running = {id(self.caller_of(job)) for job in self.jobs.values()}
            assert all(id(seen) in running for seen in self.seen.values() if seen.end is None)

    @invariant()
    def the_ledger_counts_the_open_calls(self) -> None:
        """No call is forgotten in it."""
        assert len(self.ledger) == sum(seen.end is None for seen in self.seen.values())

    def teardown(self) -> None:
        """With a worker that lives, all of it comes to an end."""
        if not self.serving:
            self.restart()
        while self.jobs:
            job = next(iter(self.jobs.values()))
            self.advance(job, min(job.given))
        for seen in self.seen.values():
            assert seen.end is not None
            if not (seen.cancelled or seen.expired):
                assert seen.open == []

    # --- helpers --------------------------------------------------------------------------------

    def work_on(self, assignment: Call) -> None:
        """Give the worker an assignment."""
        assert assignment.id not in self.jobs
        assert assignment.items
        for value in assignment.items:
            assert not self.runs(value["call"], value["index"]), "an item runs twice"
        known = [value.get("resume", []) for value in assignment.items]
        assert all(told == list(range(len(told))) for told in known)
        self.jobs[assignment.id] = Job(assignment, dict(enumerate(map(len, known))))

    def runs(self, call_id: int, index: int) -> bool:
        """Whether an item is with the worker."""
        return any(
            (value["call"], value["index"]) == (call_id, index) and item in job.given
            for job in self.jobs.values()
            for item, value in enumerate(job.call.items)
        )

    def caller_of(self, job: Job) -> Seen:
        """Return the call that an assignment is a part of."""
        return self.seen[job.call.items[0]["call"]]

    def advance(self, job: Job, item: int) -> None:
        """Let the worker go on with an item."""
        value, at = job.call.items[item], job.given[item]
        if at == value["deltas"]:
            self.finish(job, item, Result(job.call.id, item, {"whole": at}))
            return
        job.given[item] += 1
        run = 0 if value["kind"] == "steady" else job.call.id
        delta = {"at": at, "run": run, **({"resume": at} if value["kind"] == "resumes" else {})}
        self.settle(self.ledger.take(Delta(job.call.id, item, delta), 0.0))

    def finish(self, job: Job, item: int, outcome: Result | Failure) -> None:
        """End an item, and with the last one its assignment."""
        del job.given[item]
        self.settle(self.ledger.take(outcome, 0.0))
        if not job.given:
            self.stop(job.call.id, EndReason.COMPLETED)

    def stop(self, call_id: int, reason: EndReason) -> None:
        """End an assignment."""
        del self.jobs[call_id]
        self.settle(self.ledger.take(End(call_id, reason, 0.0, 0.0), 0.0))

    def note(self, death: Death, call_id: int, index: int) -> None:
        """Note that an item was on the device at a death."""
        seen = self.seen[call_id]
        if index in seen.open and not (seen.cancelled or seen.expired):
            before = seen.blame.get(index, 0)
            seen.blame[index] = before + death.value if before < SUSPECT else CONDEMNED

    def settle(self, due: Due) -> None:
        """Hand outcomes to the callers, who check them, and assignments to the worker."""
        for outcome in due.outcomes:
            seen = self.seen[outcome.call]
            assert seen.end is None, "something came behind the end"
            if isinstance(outcome, End):
                self.check_end(seen, outcome)
            else:
                self.check(seen, outcome)
        for assignment in due.calls:
            assert self.serving
            self.work_on(assignment)

    def check(self, seen: Seen, outcome: Delta | Result | Failure) -> None:
        """Check what a caller got of an item."""
        assert outcome.item in seen.open, "something came behind an item's last outcome"
        deltas = seen.deltas[outcome.item]
        resumes = seen.call.items[outcome.item]["kind"] == "resumes"
        if isinstance(outcome, Delta):
            deltas.append(outcome.value)
            assert outcome.value.keys() == {"at", "run"}, "what is the engine's own got out"
            assert [value["at"] for value in deltas] == list(range(len(deltas)))
            assert resumes or len({value["run"] for value in deltas}) == 1, "two runs are mixed"
            return
        seen.over[outcome.item] = outcome
        if isinstance(outcome, Result):
            assert len(deltas) == outcome.value["whole"], "a delta is missing"
            assert seen.blame.get(outcome.item, 0) < CONDEMNED
        elif isinstance(outcome.error, ModelUnavailable):
            assert seen.refused
        elif "died again" in outcome.error.message:
            assert seen.blame[outcome.item] == CONDEMNED
        else:
            lost = isinstance(outcome.error, WorkerLost) and not resumes
            assert lost or outcome.error.message == "as drawn"

    def check_end(self, seen: Seen, end: End) -> None:
        """Check how a call ended."""
        seen.end = end
        if end.reason is EndReason.COMPLETED:
            assert seen.open == []
        else:
            stopped = {EndReason.CANCELLED: seen.cancelled, EndReason.DEADLINE: seen.expired}
            assert stopped[end.reason]
            assert seen.open != []


def test_nothing_is_lost_or_doubled_whatever_happens():
    """Items, deltas and ends of all calls, against a model, with deaths at any moment."""
    run_state_machine_as_test(
        Owing, settings=settings(max_examples=120, stateful_step_count=50, deadline=None)
    )
