"""How long a job would wait, measured on queues that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.queue_time import LATE, LEAST_BOUND, REAL_QUEUE, STALE_S, QueueTime, Ran


def queue(times: QueueTime, jobs: int, *, owner: str = "a", kind: str = "k", now: float = 0.0):
    """Let jobs of one owner wait."""
    for _ in range(jobs):
        times.enter(kind, owner, now)


def serve(times: QueueTime, jobs: int, *, each: float, now: float, kind: str = "k") -> float:
    """Let jobs of `a` begin and end, one every `each` seconds; return the time after it."""
    for _ in range(jobs):
        now += each
        times.begin(kind, "a")
        times.leave(kind, 1, Ran(0.5, now))
    return now


def test_nothing_is_said_of_what_was_not_timed():
    """Neither of a lane that nobody stood in, nor of one that only a few stood in for a moment."""
    times = QueueTime()
    assert times.expect("k", "a", 0.0) is None
    queue(times, REAL_QUEUE - 1)
    now = serve(times, REAL_QUEUE - 1, each=1.0, now=0.0)
    assert times.expect("k", "a", now) is None


def test_a_job_waits_for_those_ahead_at_their_pace():
    """A hundred that begin ten a second are ten seconds of waiting."""
    times = QueueTime()
    queue(times, 200)
    now = serve(times, 100, each=0.1, now=0.0)
    assert times.seconds_a_job("k", now) == pytest.approx(0.1)
    assert times.expect("k", "a", now) == pytest.approx(10.0)


def test_jobs_that_end_together_count_by_their_batch():
    """Ten at once every second are a tenth of a second each."""
    times = QueueTime()
    queue(times, 200)
    for second in range(1, 11):
        serve(times, 10, each=0.0, now=float(second))
    assert times.seconds_a_job("k", 10.0) == pytest.approx(0.1, rel=0.05)


def test_it_follows_a_change_of_speed():
    """Within a few seconds, both ways."""
    times = QueueTime()
    queue(times, 5000)
    now = serve(times, 500, each=0.01, now=0.0)
    now = serve(times, 200, each=0.1, now=now)
    assert times.seconds_a_job("k", now) == pytest.approx(0.1, rel=0.25)
    now = serve(times, 1000, each=0.01, now=now)
    assert times.seconds_a_job("k", now) == pytest.approx(0.01, rel=0.25)


def test_a_queue_that_stands_still_becomes_dearer_as_it_stands():
    """The worker may be down; nobody is told yesterday's pace."""
    times = QueueTime()
    queue(times, 100)
    now = serve(times, 50, each=0.1, now=0.0)
    assert times.expect("k", "a", now) == pytest.approx(5.0)
    assert times.expect("k", "a", now + 20) > 20


def test_what_was_measured_long_ago_is_forgotten():
    """A slow hour must not refuse jobs the day after."""
    times = QueueTime()
    queue(times, 20)
    now = serve(times, 12, each=5.0, now=0.0)
    assert times.seconds_a_job("k", now) == pytest.approx(5.0)
    now = serve(times, 8, each=5.0, now=now)
    assert times.seconds_a_job("k", now + STALE_S) is None


def test_kinds_have_lanes_of_their_own():
    """Generations that wait for a row say nothing of a sentiment, which would begin at once."""
    times = QueueTime()
    queue(times, 100, kind="slow")
    now = serve(times, 20, each=2.0, now=0.0, kind="slow")
    assert times.expect("slow", "a", now) == pytest.approx(160)
    assert times.expect("quick", "a", now) is None


def test_an_owner_waits_for_what_is_ahead_of_it():
    """The pace is the lane's, and how many jobs begin before is the owner's own."""
    times = QueueTime()
    queue(times, 1000)
    now = serve(times, 100, each=0.1, now=0.0)
    assert times.expect("k", "b", now) == pytest.approx(0.1)
    queue(times, 3, owner="b", now=now)
    assert times.expect("k", "a", now) == pytest.approx(90.3)


def test_how_long_a_job_takes_is_the_average_of_the_last_few():
    """Of its own lane; one that had no work done tells nothing of it."""
    times = QueueTime()
    queue(times, 100)
    assert times.run_s("k") == 0.0
    for seconds in [*[1.0] * 50, *[3.0] * 20, 0.0]:
        times.leave("k", 1, Ran(seconds, at=0.0))
    assert times.run_s("k") == pytest.approx(2.76, abs=0.01)
    assert times.run_s("other") == 0.0


def test_a_job_may_plan_with_half_of_its_timeout():
    """Less what it takes from its first work on, but with a tenth in any case."""
    times = QueueTime()
    assert times.longest_wait_s("k", 10.0) == 5.0
    queue(times, 1)
    times.leave("k", 1, Ran(2.0, at=0.0))
    assert times.longest_wait_s("k", 10.0) == 3.0
    assert times.longest_wait_s("k", 3.0) == pytest.approx(0.3)


def test_jobs_that_are_late_set_a_bound_to_how_many_there_may_be():
    """Devices that share their time between too many jobs finish none; who was late together counts
    once, and those in time widen the bound until it is none.
    """
    times = QueueTime()
    numbers = [times.enter("k", "a", 0.0) for _ in range(40)]
    assert not times.crowded("k")
    for number in numbers[:10]:
        times.leave("k", number, Ran(0.0, at=1.0, how="late"))
    assert times._lanes["k"].bound == pytest.approx(39 * LATE)
    assert times.crowded("k")
    for number in numbers[10:22]:
        times.leave("k", number, Ran(0.5, at=1.0))
    assert not times.crowded("k")
    assert not times.crowded("other")
    later = times.enter("k", "a", 1.0)
    times.leave("k", later, Ran(0.5, at=2.0, how="late"))
    assert times._lanes["k"].bound == pytest.approx(18 * LATE)
    for number in numbers[22:]:
        times.leave("k", number, Ran(0.5, at=3.0))
    assert not times.crowded("k")
    for _ in range(20):
        times.leave("k", times.enter("k", "a", 4.0), Ran(0.5, at=4.0))
    assert times._lanes["k"].bound is None


def test_a_bound_is_never_so_low_that_nobody_comes_in():
    """Every job may be late for a while; the next may be in time."""
    times = QueueTime()
    for _ in range(50):
        times.leave("k", times.enter("k", "a", 0.0), Ran(1.0, at=0.0, how="late"))
    assert times._lanes["k"].bound == LEAST_BOUND
    assert LATE < 1


def test_jobs_that_are_withdrawn_are_no_sign_of_speed():
    """A thousand cancels in a moment do not make the devices fast."""
    times = QueueTime()
    queue(times, 500)
    now = serve(times, 50, each=0.1, now=0.0)
    for _ in range(400):
        times.withdraw("k", "a")
        times.leave("k", 1, Ran(0.0, now, how="stopped"))
    assert times.seconds_a_job("k", now) == pytest.approx(0.1)
    assert times.expect("k", "a", now) == pytest.approx(5.0)


def test_those_who_leave_a_queue_do_not_make_it_slow():
    """Where most are cancelled before their turn, the time that passes is no measure for others."""
    times = QueueTime()
    queue(times, 500)
    now = serve(times, 100, each=0.01, now=0.0)
    for _ in range(100):
        queue(times, 100, now=now)
        for _ in range(100):
            times.withdraw("k", "a")
            times.leave("k", 1, Ran(0.0, now, how="stopped"))
        now += 0.5
        serve(times, 2, each=0.01, now=now)
    each = times.seconds_a_job("k", now)
    assert each is None or each == pytest.approx(0.01, rel=0.1)


def test_a_few_who_leave_do_not_hide_that_a_queue_is_slow():
    """Otherwise one that cancels now and then would open the door for all others."""
    times = QueueTime()
    queue(times, 500)
    now = 0.0
    for _ in range(100):
        now += 0.05
        times.withdraw("k", "a")
        times.leave("k", 1, Ran(0.0, now, how="stopped"))
        now = serve(times, 1, each=0.05, now=now)
    assert times.seconds_a_job("k", now) == pytest.approx(0.1)


def test_a_job_that_is_stopped_at_work_frees_its_place():
    """As one that ended does; how long it took is no measure for others."""
    times = QueueTime()
    queue(times, 200)
    now = 0.0
    for _ in range(100):
        now += 0.1
        times.begin("k", "a")
        times.leave("k", 1, Ran(9.0, now, how="stopped"))
    assert times.seconds_a_job("k", now) == pytest.approx(0.1)
    assert times.run_s("k") == 0.0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "begin", "withdraw"]), st.sampled_from("abc"), st.floats(0, 2)
    ),
    max_size=120,
)


@given(STEPS)
def test_any_history(steps: list[tuple[str, str, float]]):
    """An estimate is no less than one of each other owner; when all are gone nobody is left."""
    times, waiting, now = QueueTime(), [], 0.0
    for verb, owner, pause in steps:
        now += pause
        if verb == "enter":
            waiting.append(owner)
            times.enter("k", owner, now)
        elif owner in waiting:
            waiting.remove(owner)
            getattr(times, verb)("k", owner)
            how = "done" if verb == "begin" else "stopped"
            times.leave("k", 1, Ran(pause if verb == "begin" else 0.0, now, how))
        each = times.seconds_a_job("k", now)
        if each is not None:
            assert each > 0
            others = len({*waiting} - {owner})
            assert times.expect("k", owner, now) / each >= others + waiting.count(owner) - 1e-6
    for owner in waiting:
        times.withdraw("k", owner)
        times.leave("k", 1, Ran(0.0, now, how="stopped"))
    assert all(lane.live == 0 for lane in times._lanes.values())
    assert repr(times) == "<QueueTime {}>"
