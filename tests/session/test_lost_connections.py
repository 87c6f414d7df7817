"""A session while connections come and go: what is kept, what is sent again, what is stopped."""

from typing import Any

import orjson
import pytest

from tests.session.test_session import (
    COMPLETED,
    LIMITS,
    STOPPED,
    TEXT,
    TIMING,
    frames,
    send,
    submit,
)
from wsproc.admission import Admission
from wsproc.frames.client import TASKS, Generate
from wsproc.frames.server import Chunking, Token
from wsproc.job import StopReason
from wsproc.outbox import Outbox
from wsproc.replay import ReplayLog
from wsproc.session import Ending, Offer, Session, Start, Stop, TakeUp
from wsproc.session.submits import digest


def make(*, log: int = 8 << 20, outbox: int = 1 << 20, **offer: Any) -> Session:
    """Return a session whose clients have 30 seconds to come back and 300 for results."""
    given = Offer("1.2.3", "epoch", TASKS, LIMITS, heartbeat_s=15, **offer)
    return Session("epoch.secret", given, Admission(99), Outbox(outbox), ReplayLog(log))


def talk(session: Session, *words: str, job: str = "a") -> None:
    """Let a job say words; its partial result has them."""
    partial = session._book.live[job].partial
    for word in words:
        partial["text"] = partial.get("text", "") + word
        session.emit(Token(id=job, text=word))


def resumed(session: Session, **after: int) -> list[dict]:
    """Come back on a new connection; return what is sent to it."""
    session.detach(0.0, clean=False)
    session.attach()
    session.resume(after)
    return frames(session)


# --- resume ---------------------------------------------------------------------------------------


def test_what_waited_and_what_comes_later_is_sent_in_order():
    """Numbers go on over the loss, also of frames that had none yet."""
    session = make()
    submit(session)
    talk(session, "one ", "two ")
    session.next_message()
    session.next_message()
    session.detach(0.0, clean=False)
    talk(session, "three")
    session.finish("a", COMPLETED, now=0.0)
    session.attach()
    session.resume({"a": 2})
    reply, *again = frames(session)
    assert reply["jobs"] == {"a": {"last_seq": 5, "recovered": True}}
    assert [(one["seq"], one.get("text"), one["replay"]) for one in again] == [
        (3, "two ", True),
        (4, "three", True),
        (5, None, True),
    ]


@pytest.mark.parametrize("seen", [3, 4, 99])
def test_a_number_that_was_never_reached_counts_as_the_last(seen: int):
    """Nothing is sent again, and what is new goes on behind the last frame there was."""
    session = make()
    submit(session)
    talk(session, "one ", "two ")
    frames(session)
    (reply,) = resumed(session, a=seen)
    assert reply["jobs"] == {"a": {"last_seq": 3, "recovered": True}}
    talk(session, "three")
    assert [one["seq"] for one in frames(session)] == [4]


def test_jobs_that_the_session_does_not_know_are_not_in_the_answer():
    """They were never accepted, or are forgotten; their client can tell by that."""
    session = make()
    submit(session)
    reply, *_ = resumed(session, never=7)
    assert set(reply["jobs"]) == {"a"}


def test_answers_are_lost_with_their_connection():
    """They were about what that connection asked; `accepted` is the job's and is kept."""
    session = make()
    send(session, type="ping", n=1)
    submit(session)
    send(session, type="process", text="short", id="b")
    reply, accepted = resumed(session)
    assert (reply["op"], accepted["type"], accepted["seq"]) == ("resume", "accepted", 1)


def test_answers_of_the_new_connection_are_kept_when_it_takes_a_session_up():
    """Its `welcome`, if that is still to be sent, comes before the answer to the resume."""
    fresh, session = make(), make()
    fresh.greet()
    session.detach(0.0, clean=False)
    session.attach()
    session.resume({}, answers=fresh.outbox.take_control())
    assert [one["type"] for one in frames(session)] == ["welcome", "reply"]


def test_only_a_connection_without_a_job_may_take_up_another_session():
    """What is to be found is the shell's business; one's own session is at hand."""
    session = make()
    assert send(session, type="resume", session="epoch.other", after={"x": 1}) == [
        TakeUp("epoch.other", {"x": 1})
    ]
    assert send(session, type="resume", session="epoch.secret") == []
    submit(session)
    assert send(session, type="resume", session="epoch.other") == []
    assert [one["type"] for one in frames(session)] == ["reply", "accepted", "error"]
    session.refuse_resume("epoch_changed")
    assert frames(session) == [{"type": "reply", "op": "resume", "outcome": "epoch_changed"}]


def test_a_second_resume_takes_the_place_of_the_first():
    """What that had still to send is not sent twice."""
    session = make()
    submit(session)
    talk(session, "one ", "two ")
    frames(session)
    session.detach(0.0, clean=False)
    session.attach()
    session.resume({})
    session.next_message()
    session.next_message()
    _, *again = resumed(session, a=1)
    assert [one["seq"] for one in again] == [2, 3]


# --- what is gone ---------------------------------------------------------------------------------


def test_a_snapshot_and_the_tokens_behind_it_are_the_whole_text():
    """Also where tokens waited for a number when the client came back."""
    session = make(log=1500)
    submit(session)
    talk(session, *(f"{number} " for number in range(50)))
    session.begin("a")
    reply, shot = resumed(session)
    assert reply["jobs"]["a"] == {"last_seq": 51, "recovered": False}
    assert (shot["seq"], shot["status"], shot["state"]) == (51, "snapshot", "running")
    talk(session, "end")
    (token,) = frames(session)
    assert token["seq"] == 52
    whole = "".join(f"{number} " for number in range(50)) + "end"
    assert shot["partial_result"]["text"] + token["text"] == whole


def test_a_snapshot_is_not_kept_and_made_anew():
    """Who loses the connection once more, with none of it read, gets a newer one."""
    session = make(log=1500)
    submit(session)
    talk(session, *(f"{number} " for number in range(50)))
    resumed(session)
    talk(session, "more")
    _, shot = resumed(session)
    assert (shot["seq"], shot["partial_result"]["text"].endswith("49 more")) == (52, True)


def test_a_client_that_saw_enough_misses_nothing_of_a_trimmed_log():
    """What was dropped is what it has."""
    session = make(log=1500)
    submit(session)
    talk(session, *(f"{number} " for number in range(50)))
    frames(session)
    reply, *again = resumed(session, a=49)
    assert reply["jobs"]["a"]["recovered"]
    assert [one["seq"] for one in again] == [50, 51]


def test_a_partial_result_that_is_no_json_takes_nothing_else_with_it():
    """A task of one's own may put anything there; its job ends as well as it can."""
    session = make(log=1500)
    submit(session)
    session._book.live["a"].partial["thing"] = object()
    for number in range(50):
        session.emit(Token(id="a", text=str(number)))
    _, shot = resumed(session)
    assert shot["partial_result"] == {}


def test_the_snapshot_of_a_live_job_names_its_revision():
    """So it is clear which text it is about."""
    session = make(log=1500)
    submit(session, live=True)
    send(session, type="revise", id="a", text="another")
    for number in range(50):
        session.emit(Chunking(id="a", message=str(number), revision=1))
    _, shot = resumed(session)
    assert shot["revision"] == 1


# --- cancels --------------------------------------------------------------------------------------


def test_a_cancel_takes_numbers_back_that_were_not_sent():
    """The end follows without a hole behind what the client has."""
    session = make()
    submit(session)
    talk(session, "one ", "two ", "three ")
    session.detach(0.0, clean=False)
    session.attach()
    session.resume({"a": 1})
    session.next_message()
    session.next_message()
    assert send(session, type="cancel", id="a") == [Stop("a")]
    session.finish("a", STOPPED, now=0.0)
    reply, done = frames(session)
    assert (reply["outcome"], done["seq"], done["reason"]) == ("cancelling", 3, "client")
    assert resumed(session, a=2)[1]["seq"] == 3


def test_a_job_that_is_being_cancelled_says_nothing_but_its_end_after_a_resume():
    """What was sent and lost is not sent again: the client said that it does not want it."""
    session = make()
    submit(session)
    talk(session, "one ", "two ", "three ")
    frames(session)
    send(session, type="cancel", id="a")
    (reply,) = resumed(session, a=2)
    assert reply["jobs"] == {"a": {"last_seq": 2, "recovered": True}}
    session.finish("a", STOPPED, now=0.0)
    (done,) = frames(session)
    assert (done["type"], done["seq"]) == ("done", 3)


@pytest.mark.parametrize("over", [False, True])
def test_a_resume_on_the_same_connection_repeats_nothing_of_a_cancelled_job(over: bool):
    """Behind `cancelling` only its end comes there, with the number behind what was sent: frames
    from the one that was asked for on are not repeated, and `recovered` says so.
    """
    session = make()
    submit(session)
    talk(session, "one ", "two ")
    frames(session)
    send(session, type="cancel", id="a")
    if over:
        session.finish("a", STOPPED, now=0.0)
        frames(session)
    send(session, type="resume", session="epoch.secret", after={"a": 1})
    if not over:
        session.finish("a", STOPPED, now=0.0)
    answers = frames(session)
    reply, done = answers if over else answers[1:]
    assert reply["jobs"]["a"] == {"last_seq": 4 if over else 3, "recovered": False}
    assert (done["type"], done["seq"]) == ("done", 4)


def test_a_resume_on_the_same_connection_repeats_the_end_of_a_cancelled_job():
    """Where that is all that it has not seen, there is no gap."""
    session = make()
    submit(session)
    send(session, type="cancel", id="a")
    session.finish("a", STOPPED, now=0.0)
    frames(session)
    send(session, type="resume", session="epoch.secret")
    reply, accepted, done = frames(session)
    assert reply["jobs"]["a"]["recovered"]
    assert (accepted["seq"], done["seq"], done["replay"]) == (1, 2, True)


def test_frames_of_a_cancelled_job_that_were_lost_before_its_end_are_sent_again():
    """A new connection was told of no cancel, and its numbers have no hole."""
    session = make()
    submit(session)
    talk(session, "one ", "two ")
    frames(session)
    send(session, type="cancel", id="a")
    session.finish("a", STOPPED, now=0.0)
    reply, *again = resumed(session, a=1)
    assert reply["jobs"]["a"]["recovered"]
    assert [one["seq"] for one in again] == [2, 3, 4]


def test_a_resume_on_the_same_connection_repeats_what_it_asks_for_of_other_jobs():
    """A cancel of one changes nothing in the others."""
    session = make()
    submit(session)
    submit(session, "b")
    talk(session, "one ")
    talk(session, "two ", job="b")
    frames(session)
    send(session, type="cancel", id="a")
    send(session, type="resume", session="epoch.secret", after={"a": 2, "b": 1})
    _, reply, token = frames(session)
    assert {told["recovered"] for told in reply["jobs"].values()} == {True}
    assert (token["id"], token["seq"], token["replay"]) == ("b", 2, True)


def test_results_that_may_have_been_lost_on_their_way_are_kept_before_those_that_the_client_has():
    """Also where the older connection still stands as the client comes back."""
    session = make(log=1 << 15)
    for job in "ab":
        submit(session, job)
        session.finish(job, COMPLETED, now=0.0)
        frames(session)
    session.resume({"b": 2})
    frames(session)
    session.log.limit = session.log.size
    submit(session, "c")
    session.finish("c", COMPLETED, now=0.0)
    frames(session)
    assert ("a" in session.log, "b" in session.log) == (True, False)


def test_a_cancelled_job_whose_frames_are_gone_has_no_snapshot_either():
    """Its end is all that is still to come, and may have any number."""
    session = make(log=1500)
    submit(session)
    talk(session, *(f"{number} " for number in range(50)))
    frames(session)
    send(session, type="cancel", id="a")
    (reply,) = resumed(session)
    assert reply["jobs"]["a"]["recovered"] is False
    session.finish("a", STOPPED, now=0.0)
    assert [one["type"] for one in frames(session)] == ["done"]


# --- who comes back when --------------------------------------------------------------------------


def two_jobs(session: Session) -> None:
    """Submit a job that is to be kept and one that is not."""
    submit(session, "gone")
    submit(session, "kept", on_disconnect="keep")


def test_a_clean_close_stops_at_once_what_is_not_kept():
    """Nobody is expected back for it."""
    session = make()
    two_jobs(session)
    assert session.detach(5.0, clean=True) == [Stop("gone")]
    assert session.tend(35.0) == []
    session.finish("gone", STOPPED, now=6.0)
    session.attach()
    session.resume({"gone": 1, "kept": 1})
    _, done = frames(session)
    assert (done["id"], done["reason"]) == ("gone", StopReason.DISCONNECT)


def test_a_lost_client_has_its_time_to_come_back():
    """Then the same happens; one that is back in time loses nothing."""
    session = make()
    two_jobs(session)
    assert session.detach(5.0, clean=False) == []
    assert (session.due, session.tend(34.9)) == (35.0, [])
    session.attach()
    assert session.due is None
    session.detach(40.0, clean=False)
    assert session.tend(70.0) == [Stop("gone")]
    assert session.tend(71.0) == []


def test_results_are_kept_for_their_time_and_then_forgotten():
    """Their ids are free from then on; how they ended is still known."""
    session = make()
    submit(session)
    session.finish("a", COMPLETED, now=10.0)
    frames(session)
    assert session.due == 310.0
    session.tend(309.9)
    assert not session.vacant
    session.tend(310.0)
    assert (session.vacant, session.due) == (True, None)
    send(session, type="cancel", id="a")
    assert frames(session)[0] == {
        "type": "reply",
        "op": "cancel",
        "id": "a",
        "outcome": "done",
        "status": "completed",
    }
    assert [type(one) for one in submit(session)] == [Start]


def test_an_end_that_is_still_to_be_sent_is_not_forgotten():
    """However long its client takes to read it."""
    session = make()
    submit(session)
    session.finish("a", COMPLETED, now=0.0)
    session.tend(999.0)
    assert [one["type"] for one in frames(session)] == ["accepted", "done"]
    session.tend(999.0)
    assert session.vacant


def test_a_session_is_over_when_nobody_is_there_or_waited_for_and_nothing_is_kept():
    """Not while its job runs on, and not before its result is forgotten."""
    session = make()
    submit(session, on_disconnect="keep")
    session.detach(0.0, clean=False)
    session.tend(30.0)
    assert not session.over
    session.finish("a", COMPLETED, now=40.0)
    assert not session.over
    session.tend(340.0)
    assert session.over


def test_a_session_without_a_job_is_over_after_its_time():
    """Until then a client that was lost before its first submit is welcome."""
    session = make()
    session.detach(0.0, clean=False)
    assert not session.over
    session.tend(30.0)
    assert session.over


# --- the same submit again ------------------------------------------------------------------------


def test_a_repeated_submit_is_the_same_job():
    """Nothing is started; the answer has no number and tells how far the job is."""
    session = make()
    submit(session)
    talk(session, "one ")
    frames(session)
    assert submit(session) == []
    assert frames(session) == [
        {
            "type": "accepted",
            "id": "a",
            "position": 0,
            "eta_ms": None,
            "duplicate": True,
            "last_seq": 2,
        }
    ]
    assert session.live_jobs == 1


def test_the_end_that_is_on_its_way_is_not_sent_twice():
    """The repeated submit is answered, and the one `done` follows."""
    session = make()
    submit(session)
    session.finish("a", COMPLETED, now=0.0)
    assert submit(session) == []
    assert [one["type"] for one in frames(session)] == ["accepted", "accepted", "done"]
    assert submit(session) == []
    again, done = frames(session)
    assert (again["duplicate"], again["last_seq"]) == (True, 2)
    assert (done["type"], done["seq"], done["replay"]) == ("done", 2, True)


def test_an_end_that_is_about_to_be_sent_again_is_not_sent_twice():
    """Who resumes and repeats the submit in one breath has it once."""
    session = make()
    submit(session)
    session.finish("a", COMPLETED, now=0.0)
    frames(session)
    session.detach(0.0, clean=False)
    session.attach()
    session.resume({"a": 1})
    submit(session)
    assert [one["type"] for one in frames(session)] == ["reply", "accepted", "done"]


def test_a_server_that_goes_away_still_knows_its_jobs():
    """A repeated submit is none that is new."""
    session = make()
    submit(session)
    session.drain(1012, "going", 1)
    submit(session)
    submit(session, "b")
    answers = [one for one in frames(session) if one["type"] in ("accepted", "rejected")]
    assert [one["type"] for one in answers] == ["accepted", "accepted", "rejected"]


GENERATE = {"type": "generate", "id": "a", "prompt": "x"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"max_tokens": 128}),
        ({}, {"priority": 5, "on_disconnect": "cancel"}),
        ({}, {"meta": None}),
        ({"meta": {"a": 1, "b": [None]}}, {"meta": {"b": [None], "a": 1}}),
    ],
)
def test_bodies_that_are_the_same(one: dict, other: dict):
    """Defaults count as given, the order of fields does not count."""
    bodies = [digest(Generate.model_validate({**GENERATE, **body})) for body in (one, other)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"prompt": "y"}),
        ({}, {"seed": 0}),
        ({"meta": 1}, {"meta": True}),
        ({"meta": 1}, {"meta": 1.0}),
        ({"meta": {"a": 1}}, {"meta": {"a": "1"}}),
        ({}, {"on_disconnect": "keep"}),
    ],
)
def test_bodies_that_are_not(one: dict, other: dict):
    """Whatever tells two jobs apart, what Python takes for equal included."""
    bodies = [digest(Generate.model_validate({**GENERATE, **body})) for body in (one, other)]
    assert bodies[0] != bodies[1]


def test_a_snapshot_of_jobs_lists_those_that_ended():
    """In the order of their acceptance, with how they ended, as long as they are kept."""
    session = make()
    for name in ("a", "b"):
        submit(session, name)
    session.finish("a", Ending(TIMING, {}, error=None), now=0.0)
    frames(session)
    send(session, type="jobs")
    send(session, type="jobs", id="a")
    every, one = frames(session)
    ended = {"id": "a", "task": "process", "state": "done", "last_seq": 2, "status": "cancelled"}
    assert [job["id"] for job in every["jobs"]] == ["a", "b"]
    assert every["jobs"][0] == ended
    assert one["jobs"] == [ended]


def test_what_is_sent_again_is_byte_for_byte_the_same():
    """But for the mark at its end."""
    session = make()
    send(session, type="process", id="a", text=TEXT, meta={"k": "ü\u2028"})
    talk(session, "tö ken")
    session.finish("a", COMPLETED, now=0.0)
    first = list(iter(session.next_message, None))
    session.detach(0.0, clean=False)
    session.attach()
    session.resume({})
    session.next_message()
    again = list(iter(session.next_message, None))
    assert again == [one[:-1] + b',"replay":true}' for one in first]
    assert [orjson.loads(one)["seq"] for one in again] == [1, 2, 3]
