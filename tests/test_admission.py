"""Positions by a naive count, refusals with their times, and what overload leaves of capacity."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.admission import LONGEST_RETRY_S, Admission


def enter(admission: Admission, session: str, job: str, priority: int = 5, now: float = 0.0) -> int:
    """Take a job of one kind in."""
    return admission.enter((session, job), priority, "k", now)


def test_positions_count_the_more_urgent_and_the_older():
    """Priority 9 goes first, then by age."""
    admission = Admission(10)
    assert enter(admission, "s", "a") == 0
    assert enter(admission, "s", "b") == 1
    assert enter(admission, "t", "a", 9) == 0
    assert enter(admission, "t", "b", 0) == 3
    assert [admission.position(("s", name)) for name in "ab"] == [1, 2]


def test_a_job_that_began_waits_no_more_but_is_live():
    """The others move up; its place in the limit stays taken until it leaves."""
    admission = Admission(2)
    enter(admission, "s", "a")
    enter(admission, "s", "b")
    admission.begin(("s", "a"), 0.0)
    assert (admission.live, admission.waiting, admission.full) == (2, 1, True)
    assert admission.position(("s", "a")) is None
    assert admission.position(("s", "b")) == 0
    admission.leave(("s", "a"))
    assert (admission.live, admission.full) == (1, False)


def test_a_job_whose_input_is_still_to_come_stands_in_nobodys_way():
    """It is live and counts against the limit; nobody waits for it."""
    admission = Admission(2)
    assert admission.enter(("s", "open"), 5, "k", 0.0, waits=False) == 0
    assert enter(admission, "s", "b") == 0
    assert admission.position(("s", "open")) is None
    admission.begin(("s", "open"), 0.0)
    assert (admission.live, admission.waiting, admission.full) == (2, 1, True)


@pytest.mark.parametrize("verb", ["begin", "withdraw", "leave"])
def test_an_unknown_job_is_no_error(verb: str):
    """Late news of a job that is over changes nothing."""
    admission = Admission(2)
    getattr(admission, verb)(("s", "a"), *([0.0] if verb == "begin" else []))
    assert admission.position(("s", "a")) is None
    assert (admission.live, admission.waiting) == (0, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "begin", "withdraw", "leave"]),
        st.sampled_from("ab"),
        st.integers(0, 12),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(STEPS)
def test_positions_under_any_history(steps: list[tuple[str, str, int, int]]):
    """Every waiting job's position is its index in the sorted queue; counts come back to 0."""
    admission = Admission(5)
    live: dict[tuple[str, str], int] = {}
    waiting: list[tuple[str, str]] = []
    for verb, session, number, priority in steps:
        key = (session, str(number))
        if verb == "enter":
            if key in live:
                continue
            position = admission.enter(key, priority, "k", 0.0)
            live[key] = priority
            waiting.append(key)
            assert position == sorted(waiting, key=lambda one: -live[one]).index(key)
        else:
            getattr(admission, verb)(key, *([0.0] if verb == "begin" else []))
            waiting = [one for one in waiting if one != key]
            if verb == "leave":
                live.pop(key, None)
        queue = sorted(waiting, key=lambda one: -live[one])
        assert [admission.position(one) for one in queue] == list(range(len(queue)))
        assert (admission.live, admission.waiting) == (len(live), len(waiting))
        assert admission.full is (len(live) >= 5)
    for key in list(live):
        admission.leave(key)
    assert (admission.live, admission.waiting) == (0, 0)
    assert repr(admission.queue_time) == "<QueueTime {}>"


# --- refusals -------------------------------------------------------------------------------------


def busy(
    *, waiting: int = 100, each: float = 0.1, run_s: float | None = None, **limits: float
) -> tuple[Admission, float]:
    """Return a server on which `s` has jobs waiting, after some time of serving them."""
    admission = Admission(**{"max_jobs": 10_000, **limits})
    for number in range(waiting + 50):
        enter(admission, "s", str(number))
    now = 0.0
    for number in range(50):
        now += each
        admission.begin(("s", str(number)), now)
        admission.leave(("s", str(number)), run_s)
    return admission, now


def test_a_job_that_would_wait_too_long_is_refused_at_once():
    """In words, with the time after which the queue is short enough."""
    admission, now = busy(max_queue_s=8.0)
    error = admission.objection("s", "k", 5, None, now)
    assert error.code == "queue_full"
    assert error.message == (
        "a job sent now would wait about 10 s for its turn, 8 s are the most; try again later"
    )
    assert error.retryable
    assert error.retry_after_ms == pytest.approx(2100)


def test_who_would_not_wait_so_long_is_taken():
    """Another owner, whose turn comes at once; a more urgent job; another kind of job."""
    admission, now = busy(max_queue_s=8.0)
    assert admission.objection("t", "k", 5, None, now) is None
    assert admission.objection("s", "k", 6, None, now) is None
    assert admission.objection("s", "other", 5, None, now) is None


def test_a_job_that_would_wait_its_timeout_away_is_refused():
    """It would be thrown away half done, at the cost of one that could have been finished."""
    admission, now = busy(max_queue_s=60.0, run_s=2.0)
    error = admission.objection("s", "k", 5, 15.0, now)
    assert error.message == (
        "a job sent now would wait about 10 s for its turn and then take 2 s, too long for its"
        " timeout_ms of 15000; try again later"
    )
    assert error.retry_after_ms == pytest.approx(850)
    assert admission.objection("s", "k", 5, 17.0, now) is None


def test_a_short_wait_is_taken_however_long_the_work_may_take():
    """An estimate of the past must not let the devices run out of jobs."""
    admission, now = busy(waiting=10, run_s=99.0)
    assert admission.objection("s", "k", 5, 11.0, now) is None
    assert admission.objection("t", "k", 5, 2.0, now) is None
    assert admission.objection("s", "k", 5, 9.0, now) is not None


def test_no_limit_of_waiting_is_said_by_zero():
    """Then the number of jobs alone is one."""
    admission, now = busy(max_queue_s=0.0)
    assert admission.objection("s", "k", 5, None, now) is None


def test_a_full_server_says_when_there_will_be_room():
    """By the pace at which jobs begin; a second where that is unknown."""
    admission = Admission(max_jobs=1)
    enter(admission, "s", "a")
    for _ in range(2):
        error = admission.objection("s", "k", 5, None, 0.0)
        assert error.message == "the server's queue is full; try again later"
        assert error.retry_after_ms == 1000
    admission, now = busy(max_jobs=150)
    for number in range(50):
        enter(admission, "s", f"more {number}", now=now)
    assert admission.objection("t", "k", 5, None, now).retry_after_ms == 100


def test_those_who_are_refused_together_do_not_come_back_together():
    """Each is told the time of a place of its own, up to half a minute."""
    admission, now = busy(max_queue_s=8.0)
    times = [admission.objection("s", "k", 5, None, now).retry_after_ms for _ in range(500)]
    assert times[:3] == pytest.approx([2100, 2200, 2300])
    assert times == sorted(times)
    assert times[-1] == 1000 * LONGEST_RETRY_S


def test_the_next_turn_is_told_by_the_pace():
    """And by a guess where none is known."""
    admission, now = busy(each=0.25)
    assert admission.next_turn_ms("k", 5, now) == 250
    assert admission.next_turn_ms("other", 5, now) == 1000


# --- overload -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shaky", [False, True])
@pytest.mark.parametrize("timeout_s", [None, 2.0])
@pytest.mark.parametrize("owners", [1, 20, 400])
def test_ten_times_the_load_leaves_most_of_the_capacity(
    owners: int, timeout_s: float | None, shaky: bool
):
    """A simulated minute: 50 jobs a second are served in turns between owners, 500 come.

    A job whose turn comes after its timeout is dropped, and one that would end after it has cost
    its work in vain. Shaky devices work at a third of their speed for a second now and then.
    """
    world = Overload(owners, timeout_s, random.Random(7))
    for step in range(60 * 50):
        world.come(step / 50)
        slow = shaky and step // 50 % 4 == 3
        if not slow or step % 3 == 0:
            world.serve(step / 50)
    assert world.completed >= 0.8 * world.turns_taken
    assert world.turns_taken >= (0.8 if shaky else 0.99) * 60 * 50
    assert world.wasted <= 0.05 * world.completed
    if not shaky:
        assert world.longest_wait <= 1.5 * min(timeout_s or 99, world.admission.max_queue_s)


WARM_S = 15
"""Waits are judged from here on: how long a turn lasts among hundreds has to be seen first."""


class Overload:
    """Owners that submit ten times what a server can do, and ask for nothing else."""

    def __init__(self, owners: int, timeout_s: float | None, chance: random.Random) -> None:
        self.admission = Admission(max_jobs=4096, max_queue_s=10.0)
        self.timeout_s = timeout_s
        self.chance = chance
        self.queues: dict[str, deque[tuple[tuple[str, str], float]]] = {
            str(number): deque() for number in range(owners)
        }
        self.turns: deque[str] = deque()
        self.completed = self.wasted = self.made = self.turns_taken = 0
        self.longest_wait = 0.0

    def come(self, now: float) -> None:
        """Let ten jobs come, each of any owner."""
        for _ in range(10):
            self._submit(self.chance.choice(list(self.queues)), now)

    def _submit(self, owner: str, now: float) -> None:
        if self.admission.objection(owner, "k", 5, self.timeout_s, now) is not None:
            return
        self.made += 1
        key = (owner, str(self.made))
        self.admission.enter(key, 5, "k", now)
        if not self.queues[owner]:
            self.turns.append(owner)
        self.queues[owner].append((key, now))

    def serve(self, now: float) -> None:
        """Let the next owner's next job be done, if it is still wanted."""
        while self.turns:
            owner = self.turns.popleft()
            key, came = self.queues[owner].popleft()
            if self.queues[owner]:
                self.turns.append(owner)
            if self._is_late(came, now):
                self.admission.leave(key, 0.0, late=True)
                continue
            if came > WARM_S:
                self.longest_wait = max(self.longest_wait, now - came)
            self.admission.begin(key, now)
            late = self._is_late(came, now + 0.1)
            self.admission.leave(key, 0.1, late=late)
            self.turns_taken += 1
            self.wasted += late
            self.completed += not late
            return

    def _is_late(self, came: float, now: float) -> bool:
        return self.timeout_s is not None and now - came > self.timeout_s
