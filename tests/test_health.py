"""Whether the engine does work: the rules, on a clock of the test's own."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from wsproc.health import Verdict, Watch

INTERVAL_S, PATIENCE_S = 5.0, 15.0


@dataclass
class Worker:
    """A worker as the engine tells of it."""

    worked_at: float = 0.0
    serving: bool = True
    refuses: str | None = None


def watch() -> Watch:
    """A watch with the usual times."""
    return Watch(INTERVAL_S, PATIENCE_S)


def test_a_worker_that_works_is_never_probed():
    """What it finishes for clients is proof enough."""
    one, worker = watch(), Worker()
    for second in range(100):
        worker.worked_at = second - 4.9
        assert one.due({"w": worker}, second) == []
    verdict = one.judge({"w": worker}, 99)
    assert verdict == Verdict((), {"w": {"state": "serves", "proved_by": "work", "age_s": 4.9}})


def test_an_idle_worker_is_probed_once_in_an_interval():
    """Not while one is under way, and not again before the interval is over."""
    one, worker = watch(), Worker()
    assert one.due({"w": worker}, 4.9) == []
    assert one.due({"w": worker}, 5.0) == ["w"]
    assert one.due({"w": worker}, 9.0) == []
    one.proved("w", 5.5, 0.5)
    assert one.due({"w": worker}, 9.9) == []
    assert one.due({"w": worker}, 10.0) == ["w"]


def test_a_probe_that_is_finished_is_told_with_its_age():
    """And how long it took."""
    one, worker = watch(), Worker()
    one.due({"w": worker}, 5.0)
    one.proved("w", 5.25, 0.25)
    assert one.judge({"w": worker}, 7.25).workers["w"] == {
        "state": "serves",
        "proved_by": "probe",
        "age_s": 2.0,
        "took_ms": 250.0,
    }


def test_a_worker_that_finishes_nothing_is_unhealthy_after_its_patience():
    """Until it finishes something, be it the probe or anything else."""
    one, worker = watch(), Worker()
    one.due({"w": worker}, 5.0)
    assert one.judge({"w": worker}, 19.9).well
    verdict = one.judge({"w": worker}, 20.0)
    assert verdict.reasons == ("the w worker was tried 15.0 s ago and has finished nothing",)
    assert verdict.workers["w"]["state"] == "hangs"
    worker.worked_at = 21.0
    assert one.judge({"w": worker}, 21.5).well


def test_probes_that_fail_prove_nothing():
    """They come again after the interval, and the first that is owed counts."""
    one, worker = watch(), Worker()
    for at in (5.0, 10.0, 15.0):
        assert one.due({"w": worker}, at) == ["w"]
        one.failed("w")
        assert one.due({"w": worker}, at + 4.9) == []
    assert one.judge({"w": worker}, 19.9).well
    assert not one.judge({"w": worker}, 20.0).well
    assert one.due({"w": worker}, 20.0) == ["w"]
    one.proved("w", 20.5, 0.5)
    assert one.judge({"w": worker}, 20.6).well


def test_a_step_that_outlasts_a_probe_but_ends_is_no_hang():
    """Under load a probe may wait for others; their results prove the worker meanwhile."""
    one, worker = watch(), Worker()
    assert one.due({"w": worker}, 5.0) == ["w"]
    for at in range(6, 60):
        worker.worked_at = at
        assert one.judge({"w": worker}, at + 0.9).well
    assert one.judge({"w": worker}, 70.0).well, "the probe of long ago is owed no more"


def test_silence_before_a_probe_counts_for_nothing():
    """A server that was stopped for an hour asks first."""
    one, worker = watch(), Worker()
    assert one.judge({"w": worker}, 3600.0).well
    assert one.due({"w": worker}, 3600.0) == ["w"]
    assert one.judge({"w": worker}, 3610.0).well


def test_a_worker_that_is_started_again_is_not_unhealthy():
    """Nothing can be asked of it, also where it died with a probe under way."""
    one, worker = watch(), Worker()
    one.due({"w": worker}, 5.0)
    worker.serving = False
    assert one.judge({"w": worker}, 60.0) == Verdict((), {"w": {"state": "starting"}})
    assert one.due({"w": worker}, 60.0) == []
    one.failed("w")
    worker.serving, worker.worked_at = True, 61.0
    assert one.judge({"w": worker}, 62.0).well
    assert one.due({"w": worker}, 66.0) == ["w"]
    assert one.judge({"w": worker}, 80.9).well
    assert not one.judge({"w": worker}, 81.0).well


def test_a_worker_that_died_too_often_is_unhealthy():
    """With the reason that clients are given."""
    verdict = watch().judge({"w": Worker(serving=False, refuses="it died too often")}, 0.0)
    assert verdict == Verdict(("it died too often",), {"w": {"state": "down"}})


def test_one_of_several_that_hangs_is_enough():
    """Jobs are given to it as to the others."""
    one, workers = watch(), {"a": Worker(), "b": Worker()}
    assert one.due(workers, 5.0) == ["a", "b"]
    one.proved("a", 5.1, 0.1)
    verdict = one.judge(workers, 20.0)
    assert len(verdict.reasons) == 1
    assert (verdict.workers["a"]["state"], verdict.workers["b"]["state"]) == ("serves", "hangs")


def test_a_worker_with_nothing_to_try_it_with_is_left_alone():
    """Stages of one's own need not have an item to be tried with."""
    one, worker = watch(), Worker()
    assert one.due({"w": worker}, 5.0) == ["w"]
    one.mute("w")
    assert one.due({"w": worker}, 100.0) == []
    assert one.judge({"w": worker}, 100.0).well


def test_an_interval_of_nothing_probes_nobody():
    """Health is then what the engine says of itself."""
    off, worker = Watch(0.0, PATIENCE_S), Worker()
    assert off.due({"w": worker}, 1e9) == []
    assert off.judge({"w": worker}, 1e9).well


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["look", "work", "finish", "fail", "die", "serve"]), min_size=1, max_size=60
    ),
    st.lists(st.floats(0.1, 20.0), min_size=60, max_size=60),
)
def test_whoever_proved_itself_lately_is_well(events, pauses):
    """Whatever happens, a worker that finished something within its patience is never blamed, and
    at most one probe is under way.
    """
    one, worker = watch(), Worker()
    now, proved_at, under_way = 0.0, 0.0, 0
    for event, pause in zip(events, pauses, strict=False):
        now += pause
        if event == "look":
            under_way += len(one.due({"w": worker}, now))
        elif event == "work" and worker.serving:
            worker.worked_at = proved_at = now
        elif event == "finish" and under_way and worker.serving:
            one.proved("w", now, 0.1)
            under_way, proved_at = 0, now
        elif event == "fail" and under_way:
            one.failed("w")
            under_way = 0
        elif event == "die":
            worker.serving = False
        elif event == "serve" and not worker.serving:
            worker.serving, worker.worked_at, proved_at = True, now, now
        assert under_way in (0, 1)
        if now - proved_at < PATIENCE_S:
            assert one.judge({"w": worker}, now).well
