"""Who goes on the device next: nothing lost, nothing doubled, nobody starved."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wsproc.engine.call import Call
from wsproc.engine.fair_queue import LEAST_COST, QUANTUM, Ticket
from wsproc.engine.scheduler import AGING_S, Scheduler, Step
from wsproc.engine.stages.stage import StepBudget

IDS = itertools.count(1)


def call(items: int = 1, owner: str = "", priority: int = 5, **fields) -> Call:
    """Return a call with a new id."""
    fields = {"id": next(IDS), "stage": "s", **fields}
    return Call(
        items=tuple({"n": n} for n in range(items)), owner=owner, priority=priority, **fields
    )


def one_stage(rows: int = 4, tokens: int = 100, **options) -> Scheduler:
    """Return a scheduler of one stage."""
    return Scheduler({"s": StepBudget(rows, tokens)}, **options)


def add(scheduler: Scheduler, one: Call, weight: int = 1, now: float = 0.0) -> Call:
    """Queue a call whose items weigh the same."""
    scheduler.add(one, [weight] * len(one.items), now)
    return one


def owners(step: Step | None) -> list[str]:
    """Return whose tickets were admitted."""
    assert step is not None
    return [ticket.call.owner for ticket in step.admitted]


def finish_all(scheduler: Scheduler, step: Step) -> None:
    """Report every ticket of a step as over."""
    for ticket in (*step.resumed, *step.admitted):
        scheduler.finish(ticket)


def test_nothing_to_do_is_no_step():
    """An idle scheduler says so."""
    scheduler = one_stage()
    assert scheduler.idle
    assert scheduler.next_step(0.0) is None
    add(scheduler, call())
    assert not scheduler.idle


def test_items_join_in_order_while_rows_and_tokens_last():
    """Four rows of 100 tokens: three of 33 fit, a fourth of 33 does not."""
    scheduler = one_stage()
    first = add(scheduler, call(6), weight=33)
    step = scheduler.next_step(0.0)
    assert [ticket.index for ticket in step.admitted] == [0, 1, 2]
    finish_all(scheduler, step)
    light = add(scheduler, call(9))
    step = scheduler.next_step(0.0)
    assert [(ticket.call.id, ticket.index) for ticket in step.admitted] == [
        (first.id, 3),
        (first.id, 4),
        (first.id, 5),
        (light.id, 0),
    ]


def test_a_ticket_heavier_than_the_budget_joins_alone():
    """It blocks the queue for one step and not for ever."""
    scheduler = one_stage()
    heavy = add(scheduler, call(2), weight=1000)
    steps = [scheduler.next_step(0.0)]
    finish_all(scheduler, steps[0])
    steps.append(scheduler.next_step(0.0))
    assert [[(t.call.id, t.index) for t in step.admitted] for step in steps] == [
        [(heavy.id, 0)],
        [(heavy.id, 1)],
    ]


def test_running_tickets_go_on_and_hold_their_rows():
    """What is not finished is in the stage's next step; free rows are filled beside it."""
    scheduler = one_stage(rows=2)
    add(scheduler, call(3))
    first = scheduler.next_step(0.0)
    assert (len(first.resumed), len(first.admitted)) == (0, 2)
    second = scheduler.next_step(0.0)
    assert (second.resumed, second.admitted) == (first.admitted, ())
    scheduler.finish(first.admitted[0])
    third = scheduler.next_step(0.0)
    assert third.resumed == first.admitted[1:]
    assert [ticket.index for ticket in third.admitted] == [2]


def test_stages_take_turns():
    """A long job of one stage costs another stage one step of waiting."""
    scheduler = Scheduler({"long": StepBudget(1, 10), "short": StepBudget(1, 10)})
    add(scheduler, call(stage="long"))
    add(scheduler, call(3, stage="short"))
    stages = []
    for _ in range(6):
        step = scheduler.next_step(0.0)
        stages.append(step.stage)
        if step.stage == "short":
            finish_all(scheduler, step)
    assert stages == ["long", "short"] * 3


def test_owners_take_turns_inside_a_priority():
    """A thousand items of one delay the single item of another by a quantum."""
    scheduler = one_stage(rows=1)
    add(scheduler, call(1000, owner="many"), weight=QUANTUM)
    add(scheduler, call(1, owner="one"), weight=QUANTUM)
    served = []
    for _ in range(3):
        step = scheduler.next_step(0.0)
        served += owners(step)
        finish_all(scheduler, step)
    assert "one" in served[:2]


def test_many_light_tickets_are_no_long_turn():
    """A ticket takes a row of a step however light it is, so it costs a few tokens at least."""
    scheduler = one_stage(rows=1)
    for name in ("many", "others"):
        add(scheduler, call(100, owner=name), weight=1)
    served = []
    for _ in range(100):
        step = scheduler.next_step(0.0)
        served += owners(step)
        finish_all(scheduler, step)
    turns = [len(list(turn)) for _, turn in itertools.groupby(served)]
    assert max(turns) <= QUANTUM // LEAST_COST


def test_a_newcomer_beside_many_long_jobs_is_in_the_next_step():
    """64 owners with 25 chunks each are at work, and a step holds eight chunks."""
    scheduler = one_stage(rows=64, tokens=8 * QUANTUM)
    for number in range(64):
        add(scheduler, call(25, owner=f"long{number}"), weight=QUANTUM - 1)
    for _ in range(20):
        finish_all(scheduler, scheduler.next_step(0.0))
    add(scheduler, call(owner="short"), weight=QUANTUM - 1)
    assert "short" in owners(scheduler.next_step(0.0))


def test_a_ticket_that_runs_alone_shares_no_step():
    """Its steps alternate with those of the others; two such tickets take turns."""
    scheduler = one_stage()
    add(scheduler, call(2, owner="usual"))
    one, two = (add(scheduler, call(owner=name, alone=True)) for name in ("one", "two"))
    seen = []
    for _ in range(6):
        step = scheduler.next_step(0.0)
        seen.append([ticket.call.owner for ticket in (*step.resumed, *step.admitted)])
    assert seen == [["one"], ["usual"] * 2, ["two"], ["usual"] * 2, ["one"], ["usual"] * 2]
    scheduler.cancel(one.id)
    assert scheduler.next_step(0.0).resumed[0].call is two


def test_tickets_that_run_alone_hold_rows():
    """With every row held by them, what waits waits, and no step is empty."""
    scheduler = one_stage(rows=2)
    for _ in range(3):
        add(scheduler, call(alone=True))
    add(scheduler, call(owner="waits"))
    steps = [scheduler.next_step(0.0) for _ in range(5)]
    admitted = [ticket for step in steps for ticket in step.admitted]
    assert len(admitted) == 2
    assert all(len(step.resumed) + len(step.admitted) == 1 for step in steps)


def test_a_higher_priority_goes_first():
    """Among items that came together."""
    scheduler = one_stage(rows=1)
    for priority in (0, 5, 9):
        add(scheduler, call(owner=str(priority), priority=priority))
    order = []
    while (step := scheduler.next_step(0.0)) is not None:
        order += owners(step)
        finish_all(scheduler, step)
    assert order == ["9", "5", "0"]


def test_waiting_raises_the_urgency():
    """Priority 0 is served after nine levels' worth of waiting, whatever else comes in."""
    scheduler = one_stage(rows=1)
    add(scheduler, call(owner="patient", priority=0), now=0.0)
    served_at = None
    for second in range(100):
        add(scheduler, call(owner="urgent", priority=9), now=float(second))
        step = scheduler.next_step(float(second))
        if owners(step) == ["patient"]:
            served_at = second
            break
        finish_all(scheduler, step)
    assert served_at is not None
    assert 9 * AGING_S <= served_at <= 9 * AGING_S + 1


def test_the_last_ticket_closes_the_account():
    """Its record tells when the call came and when it began."""
    scheduler = one_stage(rows=1)
    add(scheduler, call(2), now=1.0)
    first = scheduler.next_step(3.0)
    assert scheduler.finish(first.admitted[0]) is None
    second = scheduler.next_step(4.0)
    record = scheduler.finish(second.admitted[0])
    assert record is not None
    assert (record.arrived, record.began) == (1.0, 3.0)
    assert scheduler.finish(second.admitted[0]) is None
    assert scheduler.idle


def test_a_cancel_hands_back_what_runs_and_drops_what_waits():
    """The neighbours keep their places; a second cancel finds nothing."""
    scheduler = one_stage(rows=2)
    one, other = add(scheduler, call(3, owner="a")), add(scheduler, call(1, owner="b"))
    step = scheduler.next_step(0.0)
    record, running = scheduler.cancel(one.id)
    assert record.call is one
    assert set(running) == {ticket for ticket in step.admitted if ticket.call is one}
    assert scheduler.cancel(one.id) is None
    assert scheduler.cancel(999_999) is None
    left = scheduler.next_step(0.0)
    assert {t.call.id for t in (*left.resumed, *left.admitted)} == {other.id}


def test_a_late_finish_of_a_cancelled_ticket_is_no_error():
    """Its step may have been under way."""
    scheduler = one_stage()
    one = add(scheduler, call(2))
    step = scheduler.next_step(0.0)
    scheduler.cancel(one.id)
    assert [scheduler.finish(ticket) for ticket in step.admitted] == [None, None]
    assert scheduler.idle


def test_expired_calls_are_told_once():
    """At their deadline, not before; those that are over by then not at all."""
    scheduler = one_stage()
    early = add(scheduler, call(deadline=1.0))
    late = add(scheduler, call(deadline=2.0))
    over = add(scheduler, call(deadline=1.0))
    scheduler.cancel(over.id)
    assert scheduler.expired(0.5) == []
    assert scheduler.expired(1.0) == [early.id]
    assert scheduler.expired(5.0) == [late.id]
    assert scheduler.expired(5.0) == []


def test_deadlines_of_calls_that_are_over_do_not_pile_up():
    """A day's timeouts of a busy server are not kept for a day."""
    scheduler = one_stage()
    open_one = add(scheduler, call(deadline=80_000.0))
    for _ in range(1000):
        one = add(scheduler, call(deadline=86_400.0))
        scheduler.cancel(one.id)
    assert len(scheduler._deadlines) < 200
    assert scheduler.expired(90_000.0) == [open_one.id]


def test_calls_that_cannot_be_taken():
    """An unknown stage, an id in use, no items: each is told, and nothing is kept of it."""
    scheduler = one_stage()
    with pytest.raises(KeyError):
        scheduler.add(call(stage="unknown"), [1], 0.0)
    with pytest.raises(ValueError, match="a call needs at least one item"):
        scheduler.add(call(0), [], 0.0)
    assert scheduler.idle
    one = add(scheduler, call())
    with pytest.raises(ValueError, match=f"call {one.id} is open already"):
        add(scheduler, one)


@pytest.mark.parametrize("weights", [[1], [1, 1, 1]])
def test_weights_of_another_number_change_nothing(weights: list[int]):
    """A call is queued as a whole or not at all."""
    scheduler = one_stage()
    two = call(2)
    with pytest.raises(ValueError, match="zip"):
        scheduler.add(two, weights, 0.0)
    assert scheduler.idle
    assert scheduler.cancel(two.id) is None


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.integers(1, 300))
def test_no_owner_waits_longer_than_the_others_turns(backlogs: list[int], weight: int):
    """The second of an owner's tickets waits until everybody had a turn or two, no longer."""
    scheduler = one_stage(rows=1, tokens=1000)
    for number, backlog in enumerate(backlogs):
        add(scheduler, call(50 * backlog, owner=f"other{number}"), weight=weight)
    add(scheduler, call(2, owner="me"), weight=weight)
    left = 2
    bound = len(backlogs) * 2 * (QUANTUM // weight + 2) + 2
    for _ in range(bound):
        step = scheduler.next_step(0.0)
        left -= owners(step) == ["me"]
        if not left:
            return
        finish_all(scheduler, step)
    pytest.fail(f"not served in {bound} steps")


class Device(RuleBasedStateMachine):
    """Calls of several stages and owners come, run, finish and are cancelled, in any order."""

    ROWS, TOKENS = 3, 50

    @initialize()
    def start(self) -> None:
        """Two stages with a small budget each."""
        self.now = 0.0
        budget = StepBudget(self.ROWS, self.TOKENS)
        self.scheduler = Scheduler({"s": budget, "t": budget})
        self.open: dict[int, set[int]] = {}
        self.calls: dict[int, Call] = {}
        self.admitted: set[tuple[int, int]] = set()
        self.running: dict[str, list[Ticket]] = {"s": [], "t": []}

    @rule(
        items=st.integers(1, 5),
        stage=st.sampled_from("st"),
        owner=st.sampled_from("abc"),
        priority=st.sampled_from([0, 5, 9]),
        weight=st.integers(0, 80),
        patience=st.none() | st.floats(0.1, 5),
        alone=st.sampled_from([False, False, True]),
    )
    def submit(self, items, stage, owner, priority, weight, patience, alone) -> None:
        """Queue a call."""
        deadline = None if patience is None else self.now + patience
        one = call(items, owner, priority, stage=stage, deadline=deadline, alone=alone)
        add(self.scheduler, one, weight, self.now)
        self.open[one.id] = set(range(items))
        self.calls[one.id] = one

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        """Let time pass; what expires is left."""
        self.now += seconds
        for call_id in self.scheduler.expired(self.now):
            assert self.calls[call_id].deadline <= self.now
            self._leave(call_id)

    @rule(data=st.data())
    def cancel(self, data) -> None:
        """Leave any open call."""
        if self.open:
            self._leave(data.draw(st.sampled_from(sorted(self.open))))

    @rule(data=st.data())
    def step(self, data) -> None:
        """Take a step, check it, and finish some of its tickets."""
        step = self.scheduler.next_step(self.now)
        assert (step is None) is (not self.open)
        if step is None:
            return
        self._check(step)
        self.running[step.stage] += step.admitted
        for ticket in (*step.resumed, *step.admitted):
            if data.draw(st.booleans()):
                self._finish(ticket)

    def _check(self, step: Step) -> None:
        together = (*step.resumed, *step.admitted)
        if any(ticket.call.alone for ticket in together):
            assert len(together) == 1, "it shares a step"
            assert set(step.resumed) <= set(self.running[step.stage])
        else:
            usual = [one for one in self.running[step.stage] if not one.call.alone]
            assert list(step.resumed) == usual
        assert together, "a step is empty"
        assert len(self.running[step.stage]) + len(step.admitted) <= self.ROWS
        weights = [ticket.weight for ticket in step.admitted]
        assert sum(weights) <= self.TOKENS or len(weights) == 1
        for ticket in step.admitted:
            item = (ticket.call.id, ticket.index)
            assert ticket.call.stage == step.stage
            assert ticket.call.id in self.open, "a call that is over was run"
            assert item not in self.admitted, "an item was run twice"
            deadline = ticket.call.deadline
            assert deadline is None or deadline > self.now
            self.admitted.add(item)

    def _finish(self, ticket: Ticket) -> None:
        record = self.scheduler.finish(ticket)
        self.running[ticket.call.stage].remove(ticket)
        left = self.open[ticket.call.id]
        left.remove(ticket.index)
        assert (record is not None) is (not left)
        if not left:
            del self.open[ticket.call.id]

    def _leave(self, call_id: int) -> None:
        record, released = self.scheduler.cancel(call_id)
        running = self.running[record.call.stage]
        assert set(released) == {ticket for ticket in running if ticket.call.id == call_id}
        self.running[record.call.stage] = [t for t in running if t.call.id != call_id]
        del self.open[call_id]

    @invariant()
    def it_is_idle_when_nothing_is_open(self) -> None:
        """Idle means just that."""
        assert self.scheduler.idle is (not self.open)

    def teardown(self) -> None:
        """Let everything run out: in a bounded number of steps nothing is left."""
        for _ in range(2 * sum(map(len, self.open.values())) + 1):
            step = self.scheduler.next_step(self.now)
            if step is None:
                break
            self.running[step.stage] += step.admitted
            for ticket in (*step.resumed, *step.admitted):
                self._finish(ticket)
        assert not self.open
        assert self.scheduler.idle


Device.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestDevice = Device.TestCase
