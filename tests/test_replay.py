"""What has left a session: numbered, found again from any number on, and bounded."""

import orjson
import pytest

from wsproc.frames.server import Accepted, Cancelled, Completed, Timing, Token
from wsproc.numbered import FRAME_COST, Fresh
from wsproc.replay import DOUBT_BYTES, JOB_COST, Ended, ReplayBudget, ReplayLog

TIMING = Timing(queued=1, run=2)


def said(log: ReplayLog, job: str, *texts: str, sent: bool = False) -> list[bytes]:
    """Let a job say tokens."""
    return [log.append(Fresh.of(Token(id=job, text=text)), sent=sent) for text in texts]


def ended(log: ReplayLog, job: str, *, at: float = 0.0, sent: bool = False, size: int = 0) -> bytes:
    """Let a job end with a result of about so many bytes."""
    result = {"text": "x" * size}
    done = Completed(
        id=job,
        usage={"tokens": 1},
        timing_ms=TIMING,
        meta="m",
        message="m",
        total_processing_time=1,
        timestamp="t",
        result=result,
    )
    message = log.append(Fresh.of(done), sent=sent)
    log.end(job, Ended("generate", "completed", b"digest", at))
    return message


def numbers(log: ReplayLog, job: str, after: int) -> list[int | None] | None:
    """Return the numbers of what a client missed."""
    found = log.after(job, after)
    return None if found is None else [one.seq for one in found]


def test_frames_are_numbered_as_they_come():
    """Each job for itself."""
    log = ReplayLog()
    log.append(Fresh.of(Accepted(id="a", position=0, eta_ms=None)), sent=True)
    said(log, "b", "x")
    (message,) = said(log, "a", "y")
    assert orjson.loads(message) == {"type": "token", "id": "a", "seq": 2, "text": "y"}
    assert (log.last_seq("a"), log.last_seq("b"), log.last_seq("c")) == (2, 1, 0)
    assert list(log) == ["a", "b"]
    assert repr(log) == f"<ReplayLog 2 jobs, {log.size} of {8 << 20} bytes>"


def test_what_was_missed_is_found_from_any_number_on():
    """The `done` last; nothing for who has seen all of it, or says so."""
    log = ReplayLog()
    messages = said(log, "a", "1", "2", "3")
    assert log.done("a") is None
    messages.append(ended(log, "a"))
    for seen in range(6):
        found = log.after("a", seen)
        assert found is not None
        assert [one.message for one in found] == messages[seen:]
        assert [one.seq for one in found] == list(range(seen + 1, 5))
    assert log.done("a") == log.after("a", 3)[0]
    assert log.done("unknown") is None


def test_numbers_that_were_taken_back_are_given_again():
    """And what they stood for is gone."""
    log = ReplayLog()
    said(log, "a", "1", "2", "3", "4")
    size = log.size
    log.take_back("a", 3)
    assert (log.last_seq("a"), numbers(log, "a", 0)) == (2, [1, 2])
    assert log.size < size
    log.take_back("a", 9)
    (message,) = said(log, "a", "new")
    assert orjson.loads(message)["seq"] == 3
    assert numbers(log, "a", 2) == [3]


def test_numbers_whose_frames_were_dropped_can_be_taken_back():
    """A trimmed log gives them again just as well."""
    log = ReplayLog()
    said(log, "a", "1", "2", "3", "4")
    log.drop_frames(FRAME_COST + 60)
    assert numbers(log, "a", 3) == [4]
    log.take_back("a", 2)
    assert (log.last_seq("a"), log.size) == (1, 0)
    said(log, "a", "new")
    assert (numbers(log, "a", 1), numbers(log, "a", 0)) == ([2], None)


def test_ended_jobs_are_forgotten_by_their_age():
    """Those aside whose `done` has not left, whatever their age."""
    log = ReplayLog()
    for at, job in enumerate("abc"):
        said(log, job, "x")
        ended(log, job, at=float(at))
    said(log, "waits", "x")
    log.end("waits", Ended("generate", "completed", b"", 0.0))
    assert log.oldest_end == 0.0
    log.forget(1.0)
    assert list(log) == ["c", "waits"]
    assert (log.ended("a"), log.ended("c").at) == (None, 2.0)
    log.forget(9.0)
    assert list(log) == ["waits"]


def test_the_size_is_that_of_what_is_kept():
    """And nothing, when nothing is kept."""
    log = ReplayLog()
    first, second = said(log, "a", "x", "y")
    assert log.size == len(first) + len(second) + 2 * FRAME_COST
    done = ended(log, "a")
    assert log.size == len(first) + len(second) + 2 * FRAME_COST + len(done) + JOB_COST
    log.forget(0.0)
    assert (log.size, len(log)) == (0, 0)


# --- bounds ---------------------------------------------------------------------------------------


def test_the_oldest_frames_of_all_jobs_are_dropped_first():
    """In the order in which they came, whosever they are."""
    log = ReplayLog(limit=10 * (FRAME_COST + 60))
    for _ in range(6):
        said(log, "a", "x")
        said(log, "b", "x")
    assert numbers(log, "a", 0) is numbers(log, "b", 0) is None
    kept = {job: [seq for seq in range(6) if numbers(log, job, seq) is not None] for job in "ab"}
    assert kept["a"][0] in (kept["b"][0], kept["b"][0] + 1)
    assert log.size <= log.limit


def test_frames_of_ended_jobs_go_before_those_of_live_ones():
    """The `done` tells all of them once more, and a live job's are missed; so older ones stay."""
    log = ReplayLog(limit=JOB_COST + 400 + 10 * (FRAME_COST + 60))
    said(log, "live", *"012345")
    said(log, "b", *"0123456789")
    done = ended(log, "b")
    said(log, "live", "6", "7", "8")
    assert numbers(log, "live", 0) == list(range(1, 10))
    assert numbers(log, "b", 0) is None
    assert log.done("b").message == done
    said(log, "live", *"0123456789")
    assert numbers(log, "live", 0) is None
    assert log.done("b").message == done


def test_of_all_sessions_those_of_ended_jobs_go_first_as_well():
    """Also where the ended job is of a session that was busy later."""
    budget = ReplayBudget(limit=JOB_COST + 400 + 20 * (FRAME_COST + 60))
    silent, busy = ReplayLog(budget=budget), ReplayLog(budget=budget)
    said(silent, "live", *"0123456789")
    said(busy, "b", *"0123456789")
    ended(busy, "b")
    said(busy, "c", *"012345")
    assert numbers(silent, "live", 0) == list(range(1, 11))
    assert numbers(busy, "b", 0) is None


def test_the_ends_outlive_the_frames():
    """A `done` has everything; who missed frames gets it in their place."""
    log = ReplayLog(limit=JOB_COST + 10 * FRAME_COST)
    said(log, "a", "x")
    done = ended(log, "a")
    said(log, "b", *"0123456789")
    assert numbers(log, "a", 0) is None
    assert numbers(log, "a", 1) == [2]
    assert log.done("a").message == done


def test_ends_that_were_sent_are_forgotten_before_those_that_were_not():
    """The client that was there has them."""
    log = ReplayLog(limit=4 * (JOB_COST + 400))
    for job in "abcdefg":
        ended(log, job, sent=job in "bdf")
    assert [job for job in "bdf" if job in log] != ["b", "d", "f"]
    assert all(job in log for job in "aceg")


def test_an_end_that_the_client_has_is_forgotten_before_one_that_may_not_have_arrived():
    """It tells so when it comes back, and that counts for good."""
    log = ReplayLog(limit=5 * DOUBT_BYTES)
    for job in "abcde":
        ended(log, job, sent=True)
    log.acknowledge("b", 1)
    log.acknowledge("c", 0)  # the frame before its end
    log.acknowledge("unknown", 1)
    ended(log, "f", size=14_000)
    assert [job for job in "abcdef" if job not in log] == ["b"]
    log.acknowledge("f", 1)  # which no connection was sent for all that is known here
    ended(log, "g", size=12_000)
    assert [job for job in "acdefg" if job not in log] == ["f"]


def test_the_newest_ends_that_were_sent_are_kept_since_they_may_not_have_arrived():
    """They were on the way when the connection was lost; those before them are forgotten. Of what
    is too large the news is kept, and how the job ended stays as it was told.
    """
    spared = 8
    log = ReplayLog(limit=spared * DOUBT_BYTES)
    for number in range(3 * spared):
        ended(log, f"j{number}", sent=True, size=DOUBT_BYTES)
        assert log.size <= log.limit
    assert [*log][-spared:] == [f"j{number}" for number in range(2 * spared, 3 * spared)]
    assert "j0" not in log
    results = [orjson.loads(log.done(job).message).get("result") for job in log]
    assert results[0] is None
    assert results[-1] is not None
    assert {log.ended(job).status for job in log} == {"completed"}


def test_what_was_sent_gives_way_before_the_frames_of_live_jobs():
    """A session that was busy for long has its running jobs whole all the same."""
    log = ReplayLog(limit=20 * (JOB_COST + 400))
    said(log, "live", *"0123456789")
    for number in range(100):
        ended(log, f"j{number}", sent=True)
    assert numbers(log, "live", 0) == list(range(1, 11))


def test_results_that_were_sent_give_way_before_those_that_were_not():
    """Also the newest, though they may not have arrived."""
    log = ReplayLog(limit=16_000)
    ended(log, "unsent", size=5000)
    ended(log, "sent", sent=True, size=5000)
    ended(log, "too", size=5000)
    assert [b"output_overflow" in log.done(job).message for job in log] == [False, True, False]


def test_a_full_log_takes_frames_without_looking_through_all_of_it():
    """It was trimmed by an eighth, so the next ones fit in."""
    log = ReplayLog()
    number = 0
    while log.size <= log.limit - JOB_COST - 1000:
        ended(log, f"j{number}", sent=True, size=500)
        number += 1
    ended(log, "last", sent=True, size=500)
    assert log.size <= log.limit * 7 / 8


def test_a_result_that_nobody_was_there_for_says_that_it_is_gone():
    """Its job has its end with its number, its usage and its meta; only the result is lost."""
    log = ReplayLog(limit=12_000)
    said(log, "a", "x")
    ended(log, "a", size=9000)
    ended(log, "b", size=9000)
    done = orjson.loads(log.done("a").message)
    assert done == {
        "type": "done",
        "status": "failed",
        "id": "a",
        "seq": 2,
        "usage": {"tokens": 1},
        "timing_ms": {"queued": 1.0, "run": 2.0},
        "meta": "m",
        "error": {
            "code": "output_overflow",
            "message": "the result was dropped: too much was kept for a client that was not there",
            "retryable": False,
        },
    }
    assert log.ended("a").status == "failed"
    assert orjson.loads(log.done("b").message)["status"] == "completed"
    assert log.size <= log.limit


def test_what_is_small_already_is_forgotten_at_last():
    """A thousand ends that nobody comes for are bounded as well."""
    log = ReplayLog(limit=10_000)
    for number in range(100):
        cancelled = Cancelled(id=f"j{number}", usage={}, timing_ms=TIMING, reason="disconnect")
        log.append(Fresh.of(cancelled), sent=False)
        log.end(f"j{number}", Ended("generate", "cancelled", b"", float(number)))
        assert log.size <= log.limit
    assert "j99" in log
    assert "j0" not in log


def test_a_live_job_is_never_forgotten():
    """Its frames may go, its count may not."""
    log = ReplayLog(limit=1)
    said(log, "a", *"0123456789")
    assert (log.size, log.last_seq("a"), numbers(log, "a", 10)) == (0, 10, [])


def test_a_closed_log_keeps_nothing():
    """Nobody can come back for it, though its jobs may still be ending."""
    budget = ReplayBudget()
    log = ReplayLog(budget=budget)
    said(log, "a", "x")
    ended(log, "b")
    said(log, "c", "x")
    log.close()
    assert (log.size, list(log)) == (0, ["a", "c"])
    ended(log, "a")
    log.end("c", Ended("generate", "completed", b"", 0.0))
    ended(log, "c")
    assert (len(log), budget.size) == (0, 0)


@pytest.mark.parametrize("unattended", [False, True])
def test_of_silent_sessions_only_the_connected_have_all_that_was_sent(unattended: bool):
    """So over the sum of all those forget it, and of the lost ones the newest ends are kept."""
    budget = ReplayBudget(limit=40 * (JOB_COST + 400))
    silent, busy = ReplayLog(budget=budget), ReplayLog(budget=budget)
    ended(silent, "a", sent=True, size=9000)
    silent.unattended = unattended
    for number in range(100):
        ended(busy, f"j{number}", sent=True)
        assert budget.size <= budget.limit
    assert [*silent] == (["a"] if unattended else [])


def test_over_the_sum_of_all_the_silent_ones_give_first():
    """By steps: nobody loses an end while somebody has frames."""
    budget = ReplayBudget(limit=200 * (FRAME_COST + 60))
    silent, busy = ReplayLog(budget=budget), ReplayLog(budget=budget)
    said(silent, "a", *("x" for _ in range(50)))
    ended(silent, "b")
    assert repr(budget) == f"<ReplayBudget 1 logs, {silent.size} of {budget.limit} bytes>"
    for _ in range(165):
        said(busy, "c", "x")
        assert budget.size == silent.size + busy.size <= budget.limit
    assert numbers(silent, "a", 0) is None
    assert silent.done("b") is not None
    assert numbers(busy, "c", 0) == list(range(1, 166))
    for _ in range(100):
        said(busy, "c", "x")
        assert budget.size == silent.size + busy.size <= budget.limit
    assert silent.done("b") is not None
    assert numbers(busy, "c", 0) is None
