"""Positions: the jobs that are to start earlier, by a naive count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.admission import Admission


def test_positions_count_the_more_urgent_and_the_older():
    """Priority 9 goes first, then by age."""
    admission = Admission(10)
    assert admission.enter(("s", "a"), 5) == 0
    assert admission.enter(("s", "b"), 5) == 1
    assert admission.enter(("t", "a"), 9) == 0
    assert admission.enter(("t", "b"), 0) == 3
    assert [admission.position(("s", name)) for name in "ab"] == [1, 2]


def test_a_job_that_began_waits_no_more_but_is_live():
    """The others move up; its place in the limit stays taken until it leaves."""
    admission = Admission(2)
    admission.enter(("s", "a"), 5)
    admission.enter(("s", "b"), 5)
    admission.begin(("s", "a"))
    assert (admission.live, admission.waiting, admission.full) == (2, 1, True)
    assert admission.position(("s", "a")) is None
    assert admission.position(("s", "b")) == 0
    admission.leave(("s", "a"))
    assert (admission.live, admission.full) == (1, False)


@pytest.mark.parametrize("verb", ["begin", "leave", "position"])
def test_an_unknown_job_is_no_error(verb: str):
    """Late news of a job that is over changes nothing."""
    admission = Admission(2)
    assert getattr(admission, verb)(("s", "a")) is None
    assert (admission.live, admission.waiting) == (0, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "begin", "leave"]),
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
        if verb == "enter" and key not in live:
            position = admission.enter(key, priority)
            live[key] = priority
            waiting.append(key)
            assert position == sorted(waiting, key=lambda one: -live[one]).index(key)
        elif verb == "begin":
            admission.begin(key)
            waiting = [one for one in waiting if one != key]
        elif verb == "leave":
            admission.leave(key)
            live.pop(key, None)
            waiting = [one for one in waiting if one != key]
        queue = sorted(waiting, key=lambda one: -live[one])
        assert [admission.position(one) for one in queue] == list(range(len(queue)))
        assert (admission.live, admission.waiting) == (len(live), len(waiting))
        assert admission.full is (len(live) >= 5)
    for key in list(live):
        admission.leave(key)
    assert (admission.live, admission.waiting) == (0, 0)
