"""One client's jobs: what is decided, answered and queued, with no socket, task or clock."""

import itertools
import json
from typing import Any

import orjson
import pytest

from wsproc.admission import Admission
from wsproc.frames.client import TASKS
from wsproc.frames.errors import CloseCode, ErrorCode, error_info
from wsproc.frames.server import Chunking, Limits, Started, Timing, Token
from wsproc.job import StopReason
from wsproc.outbox import Outbox
from wsproc.protocol import MOST_PEEKED
from wsproc.session import Close, Ending, Feed, Offer, Session, Start, Stop
from wsproc.session.book import REMEMBERED_ENDS

TEXT = "a text that is long enough"
TIMING = Timing(queued=10, run=20)
COMPLETED = Ending(TIMING, {"chunks": 1}, result={"text_length": 26}, message="m", timestamp="t")
STOPPED = Ending(TIMING, {})
FAILED = Ending(TIMING, {}, error=error_info(ErrorCode.ENGINE_ERROR, "the model failed"))

LIMITS = Limits(
    max_frame_bytes=9999,
    max_text_chars=50,
    max_texts=2,
    max_jobs=3,
    max_tokens=100,
    max_batch_chars=90,
    max_messages_per_s=200,
    input_timeout_s=60,
)


MANY = LIMITS.model_copy(update={"max_jobs": 100})


def make(
    *,
    max_jobs: int = 100,
    admission: Admission | None = None,
    limits: Limits = LIMITS,
    **offer: Any,
) -> Session:
    """Return a session of a small server, each with a secret of its own."""
    given = Offer("1.2.3", "epoch", TASKS, limits, heartbeat_s=15, **offer)
    secret = "secret" if admission is None else f"secret {next(SECRETS)}"
    return Session(secret, given, admission or Admission(max_jobs))


SECRETS = itertools.count()


def send(session: Session, /, now: float = 0.0, **frame: Any) -> list:
    """Hand a frame in; return the actions."""
    return session.receive(json.dumps(frame), now)


def submit(session: Session, job: str = "a", **fields: Any) -> list:
    """Submit a `process` job."""
    return send(session, **{"type": "process", "id": job, "text": TEXT, **fields})


def frames(session: Session) -> list[dict]:
    """Take all that waits, decoded."""
    return [orjson.loads(message) for message in iter(session.next_message, None)]


def test_welcome_tells_what_the_server_offers():
    """Tasks, limits and the session's secret, in the first frame."""
    session = make()
    session.greet()
    (welcome,) = frames(session)
    assert welcome == {
        "type": "welcome",
        "protocol": "wsproc.v1",
        "server": "1.2.3",
        "session": "secret",
        "epoch": "epoch",
        "tasks": ["process", "batch", "generate"],
        "limits": LIMITS.model_dump(),
        "resume_s": 30,
        "heartbeat_s": 15,
    }


def test_a_submit_is_registered_before_receive_returns():
    """Its `accepted` is queued, and starting it is the shell's one action."""
    session = make()
    (start,) = send(session, now=7.0, type="process", id="a", text=TEXT, meta={"k": None})
    assert isinstance(start, Start)
    assert (start.job.id, start.job.accepted_at, session.live_jobs) == ("a", 7.0, 1)
    assert frames(session) == [
        {
            "type": "accepted",
            "id": "a",
            "seq": 1,
            "position": 0,
            "eta_ms": None,
            "meta": {"k": None},
        }
    ]


def test_an_eta_is_learnt_from_jobs_of_the_same_stages():
    """From acceptance to the end, scaled by the text's length and by the jobs there are."""
    session = make()
    submit(session, "first", text=TEXT[:20])
    session.begin("first")
    session.finish(
        "first", Ending(Timing(queued=100.0, run=900.0), {}, result={}, timestamp="t"), now=0.0
    )
    submit(session, "like_it", text=TEXT[:20])
    submit(session, "longer_and_in_a_crowd_of_two", text=TEXT[:10] * 4)
    submit(session, "of_other_stages", text=TEXT[:20], include_entities=True)
    etas = [frame["eta_ms"] for frame in frames(session) if frame["type"] == "accepted"]
    assert etas == [None, pytest.approx(1000.0), pytest.approx(4000.0), None]


def test_a_job_that_was_cancelled_teaches_nothing():
    """It took less than its like."""
    session = make()
    submit(session, "first")
    send(session, type="cancel", id="first")
    session.finish("first", Ending(Timing(queued=1.0, run=2.0, stop=1.0), {}), now=0.0)
    submit(session, "second")
    etas = [frame["eta_ms"] for frame in frames(session) if frame["type"] == "accepted"]
    assert etas == [None, None]


def test_an_omitted_id_is_assigned_and_never_one_in_use():
    """The client learns it from `accepted`; a name that the client took itself is left out."""
    session = make()
    submit(session, "job-1")
    send(session, type="process", text=TEXT)
    send(session, type="process", text=TEXT)
    assert [frame["id"] for frame in frames(session)] == ["job-1", "job-2", "job-3"]


@pytest.mark.parametrize(
    ("frame", "code", "path", "words"),
    [
        ({"text": "x" * 51}, "input_too_large", "text", "text: 50 characters at most, has 51"),
        (
            {"type": "batch", "texts": [TEXT, "x" * 51]},
            "input_too_large",
            "texts[1]",
            "texts[1]: 50 characters at most, has 51",
        ),
        (
            {"type": "batch", "texts": [TEXT] * 3},
            "input_too_large",
            "texts",
            "texts: 2 at most, these are 3",
        ),
        (
            {"type": "batch", "texts": ["x" * 50, "x" * 41]},
            "input_too_large",
            "texts",
            "texts: 90 characters at most in all, these have 91",
        ),
        (
            {"type": "generate", "prompt": "x", "max_tokens": 101},
            "invalid_field",
            "max_tokens",
            "max_tokens: 100 at most",
        ),
        (
            {"type": "generate", "prompt": "x", "open": True},
            "invalid_field",
            "open",
            "open: a generate job takes its whole input at once; process or batch can be open",
        ),
        (
            {"type": "batch", "text": TEXT, "live": True},
            "invalid_field",
            "live",
            "live: a batch job takes its whole input at once; process can be live",
        ),
        (
            {"text": "x" * 51, "open": True},
            "input_too_large",
            "text",
            "text: 50 characters at most, has 51",
        ),
        ({}, "missing_field", "text", "text is missing"),
    ],
)
def test_submits_that_are_rejected(frame: dict, code: str, path: str, words: str):
    """One `rejected` with the field and the limit in words; nothing is started or kept."""
    session = make()
    assert send(session, **{"type": "process", "id": "a", **frame}) == []
    (answer,) = frames(session)
    assert (answer["type"], answer["id"]) == ("rejected", "a")
    assert answer["error"] == {"code": code, "message": words, "retryable": False, "path": path}
    assert session.live_jobs == 0


def test_a_stage_without_a_model_is_told_before_the_job_is_taken():
    """And only to those who would call it."""
    session = make(unavailable=lambda stage: "no summary here" if stage == "summary" else None)
    assert submit(session) == []
    assert len(submit(session, include_summary=False)) == 1
    rejected, accepted = frames(session)
    assert rejected["error"]["code"] == "model_unavailable"
    assert rejected["error"]["message"] == "no summary here"
    assert rejected["error"]["retryable"]
    assert accepted["type"] == "accepted"


def test_the_connections_limit_and_the_servers_limit():
    """`too_many_jobs` is one's own doing, `queue_full` everybody's; both say when to return."""
    session = make()
    for name in "abcd":
        submit(session, name)
    assert frames(session)[-1]["error"] == {
        "code": "too_many_jobs",
        "message": "3 jobs are running on this connection; wait for one to end",
        "retryable": True,
        "retry_after_ms": 1000,
    }
    session = make(max_jobs=1)
    submit(session, "a")
    submit(session, "b")
    assert frames(session)[-1]["error"] == {
        "code": "queue_full",
        "message": "the server's queue is full; try again later",
        "retryable": True,
        "retry_after_ms": 1000,
    }


def test_a_job_that_would_wait_too_long_is_refused():
    """By the pace at which jobs of its kind began lately; one of another kind is not."""
    admission = Admission(100, max_queue_s=5.0)
    flooding, session = make(admission=admission, limits=MANY), make(admission=admission)
    now = 0.0
    for number in range(40):
        submit(flooding, f"j{number}")
    for number in range(20):
        now += 0.5
        flooding.begin(f"j{number}")
        flooding.finish(f"j{number}", COMPLETED, now)
    frames(flooding)
    assert submit(flooding, "late", now=now) == []
    (rejected,) = frames(flooding)
    assert rejected["error"] == {
        "code": "queue_full",
        "message": "a job sent now would wait about 10 s for its turn, 5 s are the most;"
        " try again later",
        "retryable": True,
        "retry_after_ms": 5500,
    }
    assert len(submit(flooding, "other", include_entities=True, now=now)) == 1
    assert len(submit(session, "of_another_client", now=now)) == 1
    assert len(submit(session, "its_second", timeout_ms=1300, now=now)) == 0


def test_a_full_connection_is_told_when_the_next_job_begins():
    """By the pace of its kind, where that is known."""
    admission = Admission(100)
    session = make(admission=admission, limits=MANY.model_copy(update={"max_jobs": 20}))
    now = 0.0
    for number in range(20):
        submit(session, f"j{number}")
    for number in range(10):
        now += 0.25
        session.begin(f"j{number}")
        session.finish(f"j{number}", COMPLETED, now)
        frames(session)
        submit(session, f"another{number}", now=now)
    assert submit(session, "late", now=now) == []
    error = frames(session)[-1]["error"]
    assert (error["code"], error["retry_after_ms"]) == ("too_many_jobs", 250)


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ('{"type":"process","id":"a","text":"whatever it is"}', {"type": "process", "id": "a"}),
        (b'{"type":"ping","n":1}', {"type": "ping"}),
        ('{"type":"process","id":7}', {"type": "process"}),
        ("{", None),
        ("[]", None),
        ('{"id":"a","text":"' + "x" * MOST_PEEKED + '"}', None),
    ],
)
def test_a_message_that_comes_too_fast_is_answered_and_not_acted_upon(message, about):
    """With what it is about, as far as that is cheap to read, and the time to come again."""
    session = make()
    assert session.put_off(message, 0.0123) == []
    (answer,) = frames(session)
    assert answer["error"] == {
        "code": "rate_limited",
        "message": "too many messages: this connection may send 200 a second",
        "retryable": True,
        "retry_after_ms": 13,
    }
    assert answer.get("re") == about
    assert session.live_jobs == 0


def test_a_result_wins_over_a_stop():
    """Where completion won the race the client sees `completed`, and its meta again."""
    session = make()
    submit(session, meta="m")
    send(session, type="cancel", id="a")
    session.finish("a", COMPLETED, now=0.0)
    *_, done = frames(session)
    assert done["status"] == "completed"
    assert done["result"] == {"text_length": 26}
    assert done["total_processing_time"] == 0.03
    assert done["meta"] == "m"
    assert "error" not in done
    assert "reason" not in done


@pytest.mark.parametrize("reason", [StopReason.DISCONNECT, StopReason.SHUTDOWN])
def test_leaving_stops_every_job_once_with_its_reason(reason: StopReason):
    """A client that is gone, or a server that goes; jobs that were stopped already keep theirs."""
    session = make()
    for name in "abc":
        submit(session, name)
    send(session, type="cancel", id="b")
    assert session.leave(reason) == [Stop("a"), Stop("c")]
    assert session.leave(reason) == []
    for name in "abc":
        session.finish(name, STOPPED, now=0.0)
    reasons = {f["id"]: f["reason"] for f in frames(session) if f["type"] == "done"}
    assert reasons == {"a": reason.value, "b": "client", "c": reason.value}


def test_a_deadline_is_a_failure_and_keeps_what_was_made():
    """What is unsent is not purged: the client asked for whatever is ready by then."""
    session = make()
    submit(session, timeout_ms=100)
    session.emit(Chunking(id="a", message="m"))
    assert session.expire("a") == [Stop("a")]
    assert session.expire("a") == []
    session.finish("a", Ending(TIMING, {}, partial_result={"x": 1}), now=0.0)
    _, status, done = frames(session)
    assert status["status"] == "chunking"
    assert done["status"] == "failed"
    assert done["partial_result"] == {"x": 1}
    assert done["error"]["code"] == "deadline_exceeded"
    assert done["error"]["message"] == "the job was not finished within its timeout_ms of 100"
    assert session.expire("a") == []


def test_an_ending_that_is_no_json_leaves_the_job_to_another():
    """A job is never left without its `done` by a task's wrong result."""
    session = make()
    submit(session)
    wrong = Ending(TIMING, {}, result={"thing": object()}, message="m", timestamp="t")
    with pytest.raises(TypeError):
        session.finish("a", wrong, now=0.0)
    assert session.live_jobs == 1
    session.finish("a", FAILED, now=0.0)
    assert [frame["type"] for frame in frames(session)] == ["accepted", "done"]


def test_ten_bad_frames_in_a_row_close_the_connection():
    """Anything well-formed between them starts the count again, a rejected submit included."""
    session = make()
    for good in ({"type": "ping"}, {"type": "process", "text": 1}):
        for _ in range(9):
            assert session.receive("{", 0.0) == []
        send(session, **good)
    for _ in range(9):
        assert session.receive("[]", 0.0) == []
    (close,) = session.receive("{", 0.0)
    assert close == Close(CloseCode.TOO_MANY_BAD_FRAMES, "too many bad frames in a row")
    kinds = [frame["type"] for frame in frames(session)]
    assert kinds.count("error") == 28


def test_a_client_that_asks_and_never_reads_is_cut():
    """Answers are never dropped, so their sum is bounded by an end of the connection."""
    session = make()
    session.outbox.limit = 1000
    actions = []
    while not actions:
        actions = send(session, type="ping", n=1)
        assert session.outbox.size <= 1100
    assert actions == [Close(CloseCode.SLOW_CONSUMER, "answers are asked for and not read")]


def test_one_answer_may_be_larger_than_the_outbox():
    """A snapshot of very many jobs is no flood."""
    session = make()
    session.outbox.limit = 100
    submit(session)
    frames(session)
    assert send(session, type="jobs") == []
    assert session.outbox.size > session.outbox.limit
    assert send(session, type="jobs") == [
        Close(CloseCode.SLOW_CONSUMER, "answers are asked for and not read")
    ]


def test_results_that_wait_unread_bound_the_jobs_that_are_taken():
    """Ends are never dropped and nothing holds them back, so a client that reads but a little may
    not ask for ever more of them; once it has read, it may.
    """
    session = make(limits=MANY)
    session.outbox.limit = 4000
    for number in range(100):
        starts = send(session, type="batch", id=f"j{number}", text=TEXT)
        for control in session.outbox.take_control():  # all that it reads are the answers
            answer = orjson.loads(control)
        for start in starts:
            session.finish(start.job.id, COMPLETED, 1.0)
        assert session.outbox.size <= 2 * 4000 + 500
    assert answer == {
        "type": "rejected",
        "id": "j99",
        "error": {
            "code": "too_many_jobs",
            "message": "the results of earlier jobs wait to be read on this connection; read them"
            " first",
            "retryable": True,
            "retry_after_ms": 1000,
        },
    }
    told = frames(session)
    assert [frame["type"] for frame in told] == ["done"] * len(told)
    assert 0 < len(told) < 100
    assert isinstance(send(session, type="batch", id="j99", text=TEXT)[0], Start)


def test_the_outbox_that_is_given_is_used():
    """An empty one too: its limit is the server's setting."""
    outbox = Outbox(limit=7)
    offer = Offer("1.2.3", "epoch", TASKS, LIMITS, heartbeat_s=15)
    assert Session("secret", offer, Admission(1), outbox).outbox is outbox


def test_an_error_names_the_frame_that_it_is_about():
    """As far as it could be read."""
    session = make()
    session.receive('{"type":"cancel","id":"a","x":1}', 0.0)
    session.receive("{", 0.0)
    about, unknown = frames(session)
    assert about["re"] == {"type": "cancel", "id": "a"}
    assert "re" not in unknown


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            {"type": "auth", "token": "very secret"},
            "auth has no place here: no token is asked for, or one was given already",
        ),
    ],
)
def test_what_is_not_offered_is_answered_in_words(frame: dict, words: str):
    """And nothing of it comes back but its type and id."""
    session = make()
    assert send(session, **frame) == []
    (answer,) = frames(session)
    assert answer["error"]["message"] == words
    assert answer["re"]["type"] == frame["type"]
    assert "very secret" not in json.dumps(answer)


@pytest.mark.parametrize("ping", [{}, {"n": 3}, {"n": None}])
def test_pong_has_what_ping_had(ping: dict):
    """An absent `n` stays absent."""
    session = make()
    send(session, type="ping", **ping)
    assert frames(session) == [{"type": "pong", **ping}]


def test_a_snapshot_tells_where_each_job_stands():
    """Oldest first: its state, its last number that was sent, and how many start before it."""
    session = make()
    for name in "abc":
        submit(session, name)
    session.begin("a")
    session.emit(Token(id="a", text="t"))
    send(session, type="cancel", id="c")
    frames(session)
    send(session, type="jobs")
    send(session, type="jobs", id="b")
    send(session, type="jobs", id="z")
    every, one, none = frames(session)
    queued = {"id": "b", "task": "process", "state": "queued", "last_seq": 1, "position": 0}
    assert every["jobs"] == [
        {"id": "a", "task": "process", "state": "running", "last_seq": 2},
        queued,
        {"id": "c", "task": "process", "state": "cancelling", "last_seq": 1},
    ]
    assert (one["id"], one["outcome"], one["jobs"]) == ("b", "ok", [queued])
    assert (none["id"], none["outcome"], none["jobs"]) == ("z", "unknown", [])


def test_others_move_up_when_a_queued_job_is_cancelled():
    """At the cancel, before its task has ended."""
    session = make()
    for name in "abc":
        submit(session, name)
    send(session, type="cancel", id="a")
    frames(session)
    send(session, type="jobs")
    assert [job.get("position") for job in frames(session)[0]["jobs"]] == [None, 0, 1]


def test_draining_takes_no_more_jobs():
    """`goaway` says when and why; a submit after it is told to come again elsewhere."""
    session = make()
    session.drain(CloseCode.SERVICE_RESTART, "the server is shutting down", grace_ms=5000)
    assert submit(session) == []
    goaway, rejected = frames(session)
    assert goaway == {
        "type": "goaway",
        "code": 1012,
        "reason": "the server is shutting down",
        "grace_ms": 5000,
        "reconnect": True,
    }
    assert rejected["error"]["code"] == "draining"
    assert rejected["error"]["retryable"]


def test_only_so_many_ends_are_remembered():
    """A late cancel of a job that is long over is answered `unknown`; memory is bounded."""
    session = make()
    for number in range(REMEMBERED_ENDS + 1):
        submit(session, f"j{number}")
        session.finish(f"j{number}", COMPLETED, now=0.0)
        frames(session)
    session.tend(now=301.0)
    send(session, type="cancel", id="j0")
    send(session, type="cancel", id="j1")
    assert [frame["outcome"] for frame in frames(session)] == ["unknown", "done"]


# --- input that goes on ---------------------------------------------------------------------------


def test_an_open_job_may_begin_with_nothing():
    """It is accepted, stands in nobody's way, and nobody can say how long it will take."""
    session = make()
    (start,) = send(session, type="process", id="a", open=True)
    assert (start.job.intake.length, start.job.intake.live) == (0, False)
    submit(session, "b")
    accepted = frames(session)
    assert [(one["position"], one["eta_ms"]) for one in accepted] == [(0, None), (0, None)]


def test_an_append_is_answered_and_handed_on():
    """With the length that the text has come to, so that one who lost the answer can ask."""
    session = make()
    submit(session, open=True)
    assert send(session, type="append", id="a", text=" more") == [
        Feed("a", " more", replace=False, revision=0, final=False)
    ]
    assert send(session, type="append", id="a", final=True) == [
        Feed("a", "", replace=False, revision=0, final=True)
    ]
    send(session, type="jobs")
    _, first, second, jobs = frames(session)
    assert first == {
        "type": "reply",
        "op": "append",
        "id": "a",
        "outcome": "ok",
        "text_length": len(TEXT) + 5,
    }
    assert (second["outcome"], second["text_length"]) == ("ok", len(TEXT) + 5)
    assert (jobs["jobs"][0]["text_length"], jobs["jobs"][0]["final"]) == (len(TEXT) + 5, True)
    assert "position" not in jobs["jobs"][0]


@pytest.mark.parametrize(
    ("job", "frame", "code", "words"),
    [
        (
            {},
            {"type": "append", "text": "x"},
            "invalid_field",
            "this job was submitted whole: nothing can be added without open or live: true",
        ),
        (
            {},
            {"type": "revise", "text": "x"},
            "invalid_field",
            "this job was submitted whole: nothing can be added without open or live: true",
        ),
        (
            {"open": True},
            {"type": "revise", "text": "x"},
            "invalid_field",
            "this job is open and not live: append to it, or submit with live: true",
        ),
        (
            {"open": True},
            {"type": "append", "text": "x" * 25},
            "input_too_large",
            "text: 50 characters at most in all, these would make 51",
        ),
        (
            {"open": True, "text": "short"},
            {"type": "append", "final": True},
            "invalid_field",
            "text: 10 characters at least in all, these would make 5",
        ),
    ],
)
def test_what_cannot_be_added_is_refused_and_the_job_goes_on(job, frame, code, words):
    """One reply that says why; nothing is handed on."""
    session = make()
    submit(session, **job)
    assert send(session, id="a", **frame) == []
    reply = frames(session)[-1]
    assert (reply["type"], reply["op"], reply["outcome"]) == ("reply", frame["type"], "refused")
    assert (reply["error"]["code"], reply["error"]["message"]) == (code, words)
    assert session.live_jobs == 1


def test_an_append_that_comes_too_late_is_no_error():
    """To a job that has ended, that never was, that is being stopped; nothing follows from it."""
    session = make()
    submit(session, "over", open=True)
    session.finish("over", COMPLETED, now=0.0)
    submit(session, "stopped", open=True)
    send(session, type="cancel", id="stopped")
    frames(session)
    for job in ("over", "unknown", "stopped"):
        assert send(session, type="append", id=job, text="x") == []
    over, unknown, stopped = frames(session)
    assert (over["outcome"], over["status"]) == ("done", "completed")
    assert unknown == {"type": "reply", "op": "append", "id": "unknown", "outcome": "unknown"}
    assert (stopped["outcome"], stopped["error"]["message"]) == (
        "refused",
        "this job is being stopped",
    )


def test_an_append_of_nothing_that_ends_nothing_is_a_bad_frame():
    """It is a mistake of the client's."""
    session = make()
    submit(session, open=True)
    send(session, type="append", id="a")
    error = frames(session)[-1]["error"]
    assert (error["code"], error["message"]) == (
        "bad_frame",
        "append needs text, or final: true, or both",
    )


def test_a_revision_takes_what_was_to_be_told_of_the_text_before():
    """What waits is dropped, what comes late is too; `started` is about the job and stays."""
    session = make()
    submit(session, live=True)
    session.emit(Started(id="a", message="m", timestamp="t", text_length=1))
    session.emit(Chunking(id="a", message="old", revision=0))
    assert send(session, type="revise", id="a", text="another") == [
        Feed("a", "another", replace=True, revision=1, final=False)
    ]
    session.emit(Chunking(id="a", message="late", revision=0))
    session.emit(Chunking(id="a", message="new", revision=1))
    send(session, type="append", id="a", text=" one")
    session.emit(Chunking(id="a", message="newest", revision=2))
    send(session, type="append", id="a", final=True)
    session.finish("a", COMPLETED, now=0.0)
    sent = frames(session)
    replies = [
        (one["op"], one["revision"], one["text_length"]) for one in sent if one["type"] == "reply"
    ]
    assert replies == [("revise", 1, 7), ("append", 2, 11), ("append", 2, 11)]
    job = [one for one in sent if "seq" in one]
    assert [one.get("message") for one in job] == [None, "m", "newest", "m"]
    assert [one["seq"] for one in job] == [1, 2, 3, 4]


def test_input_that_does_not_come_fails_the_job():
    """What was made is sent and what was finished is in the partial result."""
    session = make()
    submit(session, open=True)
    session.emit(Chunking(id="a", message="m"))
    assert session.starve("a") == [Stop("a")]
    assert session.starve("a") == []
    session.finish("a", Ending(TIMING, {}, partial_result={"x": 1}), now=0.0)
    _, status, done = frames(session)
    assert status["status"] == "chunking"
    assert (done["status"], done["partial_result"]) == ("failed", {"x": 1})
    assert done["error"]["code"] == "input_timeout"
    assert session.starve("a") == []


def test_jobs_that_wait_for_their_writers_teach_nothing_about_speed():
    """Their time is that of somebody who types."""
    session = make()
    submit(session, "first", open=True)
    session.finish("first", COMPLETED, now=0.0)
    submit(session, "second")
    assert [one["eta_ms"] for one in frames(session) if one["type"] == "accepted"] == [None, None]
