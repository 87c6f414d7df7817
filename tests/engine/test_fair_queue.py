"""Whose ticket is next: new owners first, quanta in turn, debts paid, nobody starved."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wsproc.engine.call import Call
from wsproc.engine.fair_queue import LEAST_COST, QUANTUM, FairQueue, Ticket

IDS = itertools.count(1)


def tickets(owner: str, count: int, weight: int = QUANTUM, arrived: float = 0.0) -> list[Ticket]:
    """Return the tickets of a call of `owner`."""
    call = Call(next(IDS), "s", ({},) * count, owner)
    return [Ticket(call, index, weight, arrived) for index in range(count)]


def queue_of(*groups: list[Ticket]) -> FairQueue:
    """Return a queue with these tickets."""
    queue = FairQueue()
    for ticket in itertools.chain(*groups):
        queue.add(ticket)
    return queue


def served(queue: FairQueue, count: int) -> list[str]:
    """Take so many tickets and return whose they were."""
    owners = []
    for _ in range(count):
        ticket = queue.head()
        queue.take(ticket)
        owners.append(ticket.call.owner)
    return owners


def test_owners_take_turns_of_a_quantum():
    """However many tickets each of them has."""
    queue = queue_of(tickets("a", 9), tickets("b", 2), tickets("c", 2))
    assert served(queue, 8) == ["a", "b", "c", "a", "b", "c", "a", "a"]


def test_light_tickets_share_a_turn():
    """A turn is of tokens, not of tickets."""
    queue = queue_of(tickets("a", 8, QUANTUM // 4), tickets("b", 2))
    assert served(queue, 6) == ["a"] * 4 + ["b"] + ["a"]


def test_a_new_owner_goes_before_all_that_were_served():
    """Its first quantum at once; then it stands at the end of the round."""
    queue = queue_of(*(tickets(f"old{n}", 5) for n in range(20)))
    served(queue, 20)
    for ticket in tickets("new", 2):
        queue.add(ticket)
    assert served(queue, 22) == ["new", *(f"old{n}" for n in range(20)), "new"]


def test_a_heavy_ticket_is_served_in_turn_and_paid_for_later():
    """One of four quanta costs its owner the next three turns."""
    queue = queue_of(tickets("heavy", 2, 4 * QUANTUM), tickets("light", 9))
    assert served(queue, 7) == ["heavy", *["light"] * 4, "heavy", "light"]


def test_coming_in_pieces_gains_nothing():
    """An owner that sends its next ticket when the last was taken is not new again."""
    queue = queue_of(tickets("patient", 50))
    owners = []
    for _ in range(10):
        queue.add(tickets("piecemeal", 1)[0])
        owners += served(queue, 2)
    assert owners.count("piecemeal") == 10
    heavy = queue_of(tickets("patient", 50))
    owners = []
    for _ in range(4):
        if "piecemeal" not in {one.call.owner for one in heavy}:
            heavy.add(tickets("piecemeal", 1, 4 * QUANTUM)[0])
        owners += served(heavy, 2)
    assert owners.count("piecemeal") == 2


def test_once_nobody_waits_all_is_forgotten():
    """A debt hurts only while somebody else waits."""
    queue = queue_of(tickets("a", 1, 100 * QUANTUM))
    served(queue, 1)
    assert not queue
    for ticket in (*tickets("b", 3), *tickets("a", 1)):
        queue.add(ticket)
    assert served(queue, 2) == ["b", "a"]


def test_dropped_tickets_cost_nothing():
    """Wherever they stand; the others keep their order."""
    mine, other = tickets("a", 3), tickets("b", 2)
    queue = queue_of(mine, other)
    queue.drop({mine[0], mine[2], *tickets("never seen", 1)})
    assert len(queue) == 3
    assert served(queue, 3) == ["a", "b", "b"]


def test_the_oldest_is_among_the_owners_first_tickets():
    """An owner that only has a debt is passed over."""
    queue = queue_of(tickets("a", 1, 9 * QUANTUM, arrived=1.0), tickets("b", 1, arrived=2.0))
    assert queue.oldest() == 1.0
    served(queue, 1)
    assert queue.oldest() == 2.0


@given(
    st.lists(st.integers(1, 4 * QUANTUM), min_size=2, max_size=6),
    st.integers(20, 60),
)
def test_owners_that_always_wait_get_equal_tokens(weights: list[int], turns: int):
    """Up to a ticket and a quantum, whatever their tickets weigh; the lightest cost more."""
    queue = queue_of(*(tickets(str(n), 5000, weight) for n, weight in enumerate(weights)))
    spent = dict.fromkeys(map(str, range(len(weights))), 0)
    while min(spent.values()) < turns * QUANTUM:
        ticket = queue.head()
        queue.take(ticket)
        spent[ticket.call.owner] += max(LEAST_COST, ticket.weight)
    assert max(spent.values()) - min(spent.values()) <= 2 * (max(weights) + QUANTUM)


class Waiting(RuleBasedStateMachine):
    """Tickets come, are taken and are dropped in any order, against a plain set of them."""

    @initialize()
    def begin(self) -> None:
        """Nobody waits."""
        self.queue = FairQueue()
        self.waiting: dict[str, list[Ticket]] = {}
        self.now = 0.0

    @rule(owner=st.sampled_from("abcd"), count=st.integers(1, 4), weight=st.integers(1, 300))
    def come(self, owner: str, count: int, weight: int) -> None:
        """Queue some, later than those before them."""
        self.now += 1.0
        for ticket in tickets(owner, count, weight, self.now):
            self.queue.add(ticket)
            self.waiting.setdefault(owner, []).append(ticket)

    @precondition(lambda self: any(self.waiting.values()))
    @rule()
    def take(self) -> None:
        """Take the next: it is the first of its owner."""
        ticket = self.queue.head()
        assert self.queue.head() is ticket, "looking changes nothing"
        self.queue.take(ticket)
        assert self.waiting[ticket.call.owner].pop(0) is ticket

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """Drop any of those that wait."""
        names = sorted(owner for owner, waiting in self.waiting.items() if waiting)
        owner = data.draw(st.sampled_from(names))
        gone = set(data.draw(st.lists(st.sampled_from(self.waiting[owner]), min_size=1)))
        self.queue.drop(gone)
        self.waiting[owner] = [one for one in self.waiting[owner] if one not in gone]

    @invariant()
    def it_holds_what_waits(self) -> None:
        """Each ticket once."""
        expected = set(itertools.chain(*self.waiting.values()))
        assert len(self.queue) == len(expected)
        assert set(self.queue) == expected
        assert len(list(self.queue)) == len(expected)
        assert bool(self.queue) is bool(expected)
        if expected:
            assert self.queue.oldest() == min(ticket.arrived for ticket in expected)


Waiting.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWaiting = Waiting.TestCase


def test_a_ticket_that_is_not_waiting_cannot_be_taken():
    """Taking out of turn is a defect of the caller."""
    (ticket,) = tickets("a", 1)
    with pytest.raises(KeyError):
        FairQueue().take(ticket)
