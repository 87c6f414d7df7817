"""How many jobs begin before a new one: each rule on jobs that the test begins, in its order."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.call import Call
from wsproc.engine.fair_queue import FairQueue, Ticket
from wsproc.turns import FEW, MOST_MARGIN, Backlogs, Turns


def turns_with(**queues: int) -> Turns:
    """Return the turns of owners with so many jobs each."""
    turns = Turns()
    for name, jobs in queues.items():
        for _ in range(jobs):
            turns.enter(name)
    return turns


# --- the queues as they are -----------------------------------------------------------------------


def test_a_newcomer_does_not_wait_for_anothers_thousand_jobs():
    """One of each other owner goes before its first."""
    turns = turns_with(a=1000, b=3)
    assert turns.ahead("new") == 2


def test_an_owners_next_job_waits_for_as_many_of_each_other():
    """Or for all that these have."""
    turns = turns_with(a=4, b=1000, c=2)
    assert turns.ahead("a") == 4 + 5 + 2
    assert turns.ahead("c") == 2 + 3 + 3
    assert turns.ahead("b") == 1000 + 4 + 2


@given(st.lists(st.integers(1, 300), min_size=1, max_size=30), st.integers(1, 300))
def test_backlogs_are_added_up_within_a_factor_of_two(queues: list[int], turn: int):
    """Never too low; no higher than if every queue were as long as the longest of its level."""
    backlogs = Backlogs()
    for jobs in queues:
        backlogs.move(0, jobs)
    exact = sum(min(jobs, turn) for jobs in queues)
    assert exact <= backlogs.until(turn) <= 2 * exact
    for jobs in queues:
        backlogs.move(jobs, 0)
    assert backlogs.until(turn) == 0


# --- what was seen --------------------------------------------------------------------------------


def test_those_who_come_again_with_one_job_each_count_for_each_of_ones_own():
    """Twenty clients with one job at a time are no twenty jobs, but twenty in each round."""
    turns = turns_with(greedy=50)
    for _ in range(30):
        for other in map(str, range(20)):
            turns.enter(other)
            turns.begin(other)
        turns.begin("greedy")
    assert turns.ahead("greedy") == pytest.approx(21 * 21 - 1, rel=0.05)
    assert turns.ahead("new") == pytest.approx(1, rel=0.05)


def test_an_owner_of_heavy_jobs_waits_for_many_light_ones():
    """And the one of light jobs does not wait for the heavy, whatever the average is."""
    turns = turns_with(heavy=5, light=400)
    for _ in range(3):
        for _ in range(100):
            turns.begin("light")
        turns.begin("heavy")
    assert turns.ahead("heavy") == pytest.approx(3 * 101 - 1, rel=0.05)
    assert turns.ahead("light") == pytest.approx(101 + 2, rel=0.05)


def test_whoever_begins_to_wait_is_expected_to_fare_as_the_others_do():
    """Its second job would otherwise be taken for the next in turn."""
    turns = Turns()
    owners = [str(number) for number in range(20)]
    for _ in range(5):
        for owner in owners:
            turns.enter(owner)
    for owner in owners * 4:
        turns.begin(owner)
    turns.enter("new")
    assert turns.ahead("new") > 30


def test_the_margin_has_a_limit():
    """Nobody is kept away for ever by what happened to others."""
    turns = turns_with(a=1, b=1)
    for _ in range(2000):
        for _ in range(20):
            turns.enter("b")
            turns.begin("b")
        turns.enter("a")
        turns.begin("a")
    assert turns.ahead("new") <= 2 * MOST_MARGIN


def test_jobs_that_begin_together_are_no_bad_luck():
    """The order within a step tells nothing, so an idle server's estimates stay as they are."""
    turns = Turns()
    for _ in range(500):
        turns.enter("a")
        for name in map(str, range(FEW)):
            turns.enter(name)
            turns.begin(name)
        turns.begin("a")
    turns.enter("a")
    assert turns.ahead("new") == 1


def test_those_who_leave_are_waited_for_no_more():
    """And of an owner that has nothing left nothing is kept."""
    turns = turns_with(a=10, b=10)
    for _ in range(10):
        turns.leave("a")
    assert (turns.ahead("a"), turns.ahead("b"), turns.waiting) == (1, 10, 10)
    assert repr(turns) == "<Turns of 1 owners, 10 waiting>"


@given(st.lists(st.tuples(st.sampled_from(["enter", "begin", "leave"]), st.sampled_from("abcd"))))
def test_any_history(steps: list[tuple[str, str]]):
    """Never fewer than the owner has and one of each other; nothing is left of those who went."""
    turns = Turns()
    waiting: Counter[str] = Counter()
    for verb, name in steps:
        if verb != "enter" and not waiting[name]:
            continue
        getattr(turns, verb)(name)
        waiting[name] += 1 if verb == "enter" else -1
        for one in "abcd":
            others = sum(1 for other in waiting if other != one and waiting[other])
            assert turns.ahead(one) >= waiting[one] + others
        assert turns.waiting == waiting.total()
    for name in waiting.elements():
        turns.leave(name)
    assert repr(turns) == "<Turns of 0 owners, 0 waiting>"


# --- on the engine's own queue --------------------------------------------------------------------


@dataclass
class Seen:
    """How many were to begin before a job, by which margin, and how many did."""

    expected: float
    margin: float
    really: int


class Refilled:
    """Owners on the engine's queue, each with as many jobs waiting all the while; what was
    expected of each job, and what came.
    """

    def __init__(self, lengths: list[int], weights: list[int]) -> None:
        self.turns = Turns()
        self.queue = FairQueue()
        self.weights = weights
        self.ids = itertools.count()
        self.begun = 0
        self.entered: dict[int, tuple[int, float]] = {}
        self.seen: dict[int, list[Seen]] = defaultdict(list)
        for owner, length in enumerate(lengths):
            for _ in range(length):
                self.enter(owner)

    def enter(self, owner: int) -> None:
        """Let a job wait."""
        name, number = str(owner), next(self.ids)
        self.entered[number] = (self.begun, self.turns.ahead(name))
        self.turns.enter(name)
        call = Call(number, "s", ({},), name)
        self.queue.add(Ticket(call, 0, self.weights[owner], 0.0))

    def begin(self) -> None:
        """Let the next job begin, and another one of its owner's wait."""
        ticket = self.queue.head()
        self.queue.take(ticket)
        owner = int(ticket.call.owner)
        begun, expected = self.entered.pop(ticket.call.id)
        self.seen[owner].append(Seen(expected, self.turns.margin, self.begun - begun))
        self.turns.begin(ticket.call.owner)
        self.begun += 1
        self.enter(owner)


QUEUES = [(1, 1), (1, 200), (2, 5), (2, 40), (2, 200), (8, 1), (8, 5), (8, 40), (8, 200)]
QUEUES += [(32, 1), (32, 5), (32, 40), (200, 1), (200, 5)]


@pytest.mark.parametrize(("owners", "length"), QUEUES)
@pytest.mark.parametrize("weight", [1, 8, 64, 600])
def test_as_many_begin_as_were_expected(weight: int, owners: int, length: int):
    """However heavy jobs are and whoever has them: without the margin it is what comes on the
    average, or up to two and a half times that; with it few wait for a quarter more.
    """
    world = Refilled([length] * owners, [weight] * owners)
    for _ in range(8 * owners * max(length, 64 // weight)):
        world.begin()
    later = [one for seen in world.seen.values() for one in seen[len(seen) // 2 :]]
    really = sum(one.really for one in later)
    assert really <= 1.1 * sum(one.expected for one in later)
    assert sum(one.expected / one.margin for one in later) <= 2.5 * really
    unlucky = sum(1 for one in later if one.really > 1.25 * one.expected + FEW)
    assert unlucky <= 0.2 * len(later)


def test_bunches_make_room_and_their_end_takes_it_back():
    """Of 200 owners with one light job at a time some are served again and again first."""
    world = Refilled([1] * 200, [8] * 200)
    for _ in range(8000):
        world.begin()
    assert world.turns.margin > 2
    world.weights = [64] * 200
    for _ in range(8000):
        world.begin()
    assert world.turns.margin < 1.1
