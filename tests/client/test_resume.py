"""A lost connection is made again and the jobs go on; played by scripted servers."""

from __future__ import annotations

import asyncio

import pytest

import wsproc
from tests.client.scripted import PATIENCE_S, Peer, Watch, scripted
from wsproc.client import Client, ConnectionState, GenerateResult
from wsproc.frames.errors import ErrorCode
from wsproc.frames.server import Token

AT_ONCE = wsproc.Reconnect(first_delay_s=0.001, max_delay_s=0.01, max_time_s=PATIENCE_S)
TEXT = "Ada had a lovely day."


def connect(url: str, **options) -> Client:
    """A client that comes back at once."""
    return wsproc.connect(url, **{"reconnect": AT_ONCE, **options})


async def texts(job) -> list[str]:
    """Read a job's tokens to its end."""
    return [event.text async for event in job if isinstance(event, Token)]


# --- the session goes on ------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4500, 4503, 4504, 4508])
async def test_iteration_goes_on_where_it_stopped(code):
    """After a loss the job's frames follow without a hole, each once, the replayed ones too."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate", id="py-1")
        await peer.accept()
        await peer.token(2, "a")
        await peer.token(3, "b")
        if code == 1006:
            peer.vanish()
        else:
            await peer.close(code)

    async def second(peer: Peer) -> None:
        frame = await peer.resumed(py_1={"last_seq": 5, "recovered": True})
        assert frame["after"]["py-1"] in (1, 2, 3)  # what had come when the line was cut
        await peer.token(3, "b", replay=True)
        await peer.token(4, "c", replay=True)
        await peer.token(5, "d")
        await peer.complete(6, "abcd")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello")
        events = [event async for event in job]
    assert [event.seq for event in events] == [2, 3, 4, 5, 6]
    assert (await job.result())["text"] == "abcd"
    assert job.restarts == 0


async def test_a_session_survives_three_losses_in_a_row():
    """Each loss resumes the same session, with the numbers that were reached."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "a")
        await peer.close(1012)

    def next_one(seq: int):
        async def script(peer: Peer) -> None:
            frame = await peer.resumed(py_1={"last_seq": seq, "recovered": True})
            assert frame["after"] == {"py-1": seq - 1}
            await peer.token(seq, "x")
            await peer.close(4503)

        return script

    async def last(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 4, "recovered": True})
        await peer.complete(5, "axx")

    async with scripted(first, next_one(3), next_one(4), last) as url, connect(url) as client:
        assert [p async for p in client.generate("Hello").tokens()] == ["a", "x", "x"]


async def test_a_hole_behind_a_resume_is_a_protocol_error():
    """`seq == last + 1` holds across a resume too."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 3, "recovered": True})
        await peer.token(3, "b", replay=True)
        assert await peer.closed() == 1002

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello")
        with pytest.raises(wsproc.ProtocolError, match="frame 2 was due, frame 3 came"):
            await job.result()


async def test_a_snapshot_stands_for_what_the_server_did_not_keep():
    """Where the log was trimmed one snapshot comes, and `tokens` still gives the whole text."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "a")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 9, "recovered": False})
        snapshot = {"status": "snapshot", "state": "running", "partial_result": {"text": "abcd"}}
        await peer.send("status", id="py-1", seq=9, replay=True, **snapshot)
        await peer.token(10, "e")
        await peer.complete(11, "abcde")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello")
        assert [piece async for piece in job.tokens()] == ["a", "bcd", "e"]


async def test_the_end_is_the_snapshot_of_a_job_that_ended_meanwhile():
    """Of an ended job with a trimmed log only `done` comes, with any number."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 40, "recovered": False})
        await peer.complete(40, "all of it", replay=True)

    async with scripted(first, second) as url, connect(url) as client:
        assert [p async for p in client.generate("Hello").tokens()] == ["all of it"]


async def test_what_has_ended_is_not_asked_for_again():
    """`after` names ended jobs too, so that the server does not replay them from the start."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.complete(2)
        await peer.receive("ping")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        frame = await peer.resumed(py_1={"last_seq": 2, "recovered": True})
        assert frame["after"] == {"py-1": 2}
        await peer.receive("ping")
        await peer.send("pong")

    async with scripted(first, second) as url, connect(url) as client:
        await client.generate("Hello").result()
        assert await client.ping() > 0


# --- what was on its way ------------------------------------------------------------------------


async def test_a_submit_without_an_answer_is_sent_again_as_it_was():
    """The server that never saw it gets the same id and body."""
    sent = []

    async def first(peer: Peer) -> None:
        await peer.welcome()
        sent.append(await peer.receive("process"))
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed()
        sent.append(await peer.receive("process"))
        await peer.accept("mine")
        await peer.complete(2, job="mine")

    async with scripted(first, second) as url, connect(url) as client:
        assert (await client.process(TEXT, id="mine", meta=[1]).result())["text"] == ""
    assert sent[0] == sent[1]


async def test_a_submit_that_the_session_knows_is_not_sent_again():
    """The replay begins with its `accepted`, and the caller gets its job by that."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        peer.vanish()

    async def second(peer: Peer) -> None:
        frame = await peer.resumed(py_1={"last_seq": 2, "recovered": True})
        assert frame["after"] == {}
        await peer.accept(replay=True, meta="m")
        await peer.token(2, "a", replay=True)
        await peer.complete(3, "a")
        await peer.receive("ping")  # and no submit before it
        await peer.send("pong")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello", meta="m")
        assert job.accepted.meta == "m"
        assert await texts(job) == ["a"]
        await client.ping()


async def test_a_submit_whose_log_was_trimmed_is_attached():
    """Not even `accepted` was kept: the job is there all the same, from its snapshot on."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 7, "recovered": False})
        await peer.complete(7, "abc", replay=True)

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello")
        assert job.accepted.duplicate
        assert (await job.result()).text == "abc"


async def test_questions_are_asked_again_in_their_order():
    """A cancel and a ping that had no answer get one on the next connection."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("cancel")
        await peer.receive("ping")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed()
        await peer.receive("cancel", id="x")
        await peer.receive("ping")
        await peer.send("pong")
        await peer.send("reply", op="cancel", id="x", outcome="unknown")

    async with scripted(first, second) as url, connect(url) as client:
        reply, seconds = await asyncio.gather(client.cancel("x"), client.ping())
    assert reply.outcome == "unknown"
    assert seconds > 0


@pytest.mark.parametrize("taken", [True, False])
async def test_an_append_whose_answer_was_lost_is_made_once(taken):
    """How long the job's text is tells whether the piece was taken; only if not it goes again."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("process", open=True, text="One. ")
        await peer.accept()
        await peer.receive("append", id="py-1", text="Two. ", final=False)
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 1, "recovered": True})
        await peer.receive("jobs", id="py-1")
        info = {"id": "py-1", "task": "process", "state": "running", "last_seq": 1}
        length = 10 if taken else 5
        jobs = [{**info, "text_length": length, "final": False}]
        await peer.send("reply", op="jobs", id="py-1", outcome="ok", jobs=jobs)
        if not taken:
            await peer.receive("append", text="Two. ", final=False)
            await peer.send("reply", op="append", id="py-1", outcome="ok", text_length=10)
        await peer.receive("append", id="py-1", text="Three.", final=True)
        await peer.send("reply", op="append", id="py-1", outcome="ok", text_length=16)
        await peer.complete(2)

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.process("One. ", open=True)
        await job.append("Two. ")
        assert (await job.append("Three.", final=True)).text_length == 16
        assert (await job.result()).text == "One. Two. Three."


@pytest.mark.parametrize(("status", "taken"), [("completed", True), ("failed", False)])
async def test_a_final_piece_whose_answer_was_lost_is_what_completed_the_job(status, taken):
    """A job that has completed had taken it; one that ended otherwise takes nothing any more."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("process", open=True)
        await peer.accept()
        await peer.receive("append", final=True)
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 2, "recovered": True})
        await peer.receive("jobs", id="py-1")
        info = {"id": "py-1", "task": "process", "state": "done", "last_seq": 2}
        jobs = [{**info, "status": status}]
        await peer.send("reply", op="jobs", id="py-1", outcome="ok", jobs=jobs)

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.process("One. ", open=True)
        if taken:
            assert (await job.append("Two.", final=True)).text_length == 9
        else:
            with pytest.raises(wsproc.InputRefused) as caught:
                await job.append("Two.", final=True)
            assert caught.value.reply.status == "failed"


async def test_an_append_that_fits_neither_is_told_as_not_known():
    """A text of another length than either way is not guessed about."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("process")
        await peer.accept()
        await peer.receive("append")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed(py_1={"last_seq": 1, "recovered": True})
        await peer.receive("jobs", id="py-1")
        info = {"id": "py-1", "task": "process", "state": "running", "last_seq": 1}
        jobs = [{**info, "text_length": 99, "final": False}]
        await peer.send("reply", op="jobs", id="py-1", outcome="ok", jobs=jobs)

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.process("One. ", open=True)
        with pytest.raises(wsproc.ConnectionLost):
            await job.append("Two. ")


async def test_an_open_job_of_a_forgotten_session_goes_on_with_its_whole_text():
    """The new server is given all that the old one had taken, and then what follows."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("process", open=True, text="One. ")
        await peer.accept()
        await peer.receive("append", text="Two. ")
        await peer.send("reply", op="append", id="py-1", outcome="ok")
        await peer.receive("append", text="Three. ")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("process", open=True, text="One. Two. ")
        await peer.accept()
        await peer.receive("jobs", id="py-1")
        info = {"id": "py-1", "task": "process", "state": "running", "last_seq": 1}
        jobs = [{**info, "text_length": 10, "final": False}]
        await peer.send("reply", op="jobs", id="py-1", outcome="ok", jobs=jobs)
        await peer.receive("append", text="Three. ")
        await peer.send("reply", op="append", id="py-1", outcome="ok")
        await peer.receive("append", final=True)
        await peer.send("reply", op="append", id="py-1", outcome="ok")
        await peer.close(4500)

    async def third(peer: Peer) -> None:
        await peer.resumed("unknown_session", session="s2")
        frame = await peer.receive("process", text="One. Two. Three. ")
        assert "open" not in frame  # its input has ended: it is a job like others now
        await peer.accept()
        await peer.complete(2)

    async with scripted(first, second, third) as url, connect(url) as client:
        job = await client.process("One. ", open=True)
        await job.append("Two. ")
        await job.append("Three. ")
        await job.append(final=True)
        assert (await job.result()).text == "One. Two. Three. "
        assert job.restarts == 2


async def test_a_submit_made_while_the_connection_is_away_waits_for_it():
    """Nothing fails in between: the job goes out when the connection stands again."""
    states = Watch()

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed()
        await peer.receive("generate")
        await peer.accept()
        await peer.complete(2, "here")

    async with scripted(first, second) as url, connect(url, on_state=states) as client:
        await states.until("reconnecting")
        assert (await client.generate("Hello").result()).text == "here"


async def test_a_submit_given_up_while_away_is_cancelled_on_return():
    """A caller that goes away in between leaves no job behind on the server."""
    given_up = asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await given_up.wait()
        await peer.resumed(py_1={"last_seq": 1, "recovered": True})
        await peer.accept(replay=True)
        await peer.receive("cancel", id="py-1")
        await peer.send("reply", op="cancel", id="py-1", outcome="cancelling")
        await peer.stop(2, "client")
        await peer.receive("jobs")
        await peer.send("reply", op="jobs", outcome="ok", jobs=[])

    states = Watch()
    async with scripted(first, second) as url, connect(url, on_state=states) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.generate("Hello"), 0.05)
        given_up.set()
        await states.until("open", "reconnecting", "open")
        assert await client.jobs() == []


async def test_a_submit_given_up_while_away_is_not_made_in_a_new_session():
    """Where the server has forgotten everything, nothing is submitted for someone who left."""
    given_up = asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await given_up.wait()
        await peer.resumed("epoch_changed")
        await peer.receive("cancel", id="py-1")
        await peer.send("reply", op="cancel", id="py-1", outcome="unknown")
        await peer.receive("ping")
        await peer.send("pong")

    async with scripted(first, second) as url, connect(url) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.generate("Hello"), 0.05)
        given_up.set()
        await client.ping()


# --- the session is gone ------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["epoch_changed", "unknown_session"])
async def test_a_job_of_a_forgotten_session_is_submitted_again(outcome):
    """A restarted server gets the same job; its reader is told nothing twice."""
    sent = []

    async def first(peer: Peer) -> None:
        await peer.welcome()
        sent.append(await peer.receive("generate"))
        await peer.accept()
        await peer.token(2, "Hel")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed(outcome)
        sent.append(await peer.receive("generate"))
        await peer.accept()
        await peer.token(2, "He")
        await peer.token(3, "llo")
        await peer.complete(4, "Hello")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Say hello")
        assert [piece async for piece in job.tokens()] == ["Hel", "lo"]
        assert job.restarts == 1
    assert sent[0] == sent[1]
    assert sent[0]["seed"] >= 0  # the dice fall the same again


async def test_a_server_that_cannot_resume_is_one_that_has_forgotten():
    """An `error` about `resume` is understood, and the job goes on all the same."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.welcome("s2")
        await peer.receive("resume")
        error = {"code": "bad_frame", "message": "not offered", "retryable": False}
        await peer.send("error", error=error, re={"type": "resume"})
        await peer.receive("generate")
        await peer.accept()
        await peer.complete(2, "x")

    async with scripted(first, second) as url, connect(url) as client:
        assert (await client.generate("Hello").result()).text == "x"


async def test_what_nobody_had_read_yet_is_simply_read_from_the_second_run():
    """Unread events of the first run are forgotten, so nothing binds the second one to them."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "Hello")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "Goodbye")
        await peer.complete(3, "Goodbye")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Say something")
        await job.wait()
        assert await texts(job) == ["Goodbye"]


async def test_a_text_that_comes_out_differently_is_lost_and_not_patched_together():
    """The second run must continue what was read of the first; if not, the job is stopped."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "Hello")
        await peer.receive("ping")
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("generate")
        await peer.accept()
        await peer.receive("ping")
        await peer.token(2, "Good")
        await peer.receive("cancel", id="py-1")
        await peer.send("pong")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Say something")
        assert (await anext(job)).text == "Hello"
        asking = asyncio.create_task(client.ping())
        with pytest.raises(wsproc.JobLost, match="came out differently"):
            await job.result()
        await asking


async def test_a_task_of_ones_own_is_lost_unless_it_may_be_repeated():
    """What a task of one's own does twice nobody here knows: by itself it is not run again."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("shout")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.submit("shout", word="hey")
        with pytest.raises(wsproc.JobLost, match="forgotten") as caught:
            await job.result()
        assert caught.value.close_code == 1012
        assert client.state.phase == "open"


async def test_a_submit_of_such_a_task_is_not_sent_twice_either():
    """It may have run: the caller is told that it is not known."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("shout")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")

    async with scripted(first, second) as url, connect(url) as client:
        with pytest.raises(wsproc.JobLost):
            await client.submit("shout", word="hey")


@pytest.mark.parametrize("resubmit", [True, ["shout"]])
async def test_resubmit_allows_it(resubmit):
    """`resubmit=True`, or the task's name, has it run again."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("shout")
        await peer.accept()
        await peer.send("status", id="py-1", seq=2, status="breathing", litres=4)
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("shout", word="hey")
        await peer.accept()
        await peer.send("status", id="py-1", seq=2, status="breathing", litres=4)
        await peer.send("status", id="py-1", seq=3, status="breathing", litres=5)
        await peer.complete(4)

    async with scripted(first, second) as url, connect(url, resubmit=resubmit) as client:
        job = await client.submit("shout", word="hey")
        events = [event async for event in job]
    assert [event.litres for event in events[:-1]] == [4, 5]


async def test_resubmit_can_be_turned_off():
    """With `resubmit=False` a forgotten job is lost, whatever its task."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        assert "seed" not in await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")

    async with scripted(first, second) as url, connect(url, resubmit=False) as client:
        with pytest.raises(wsproc.JobLost):
            await client.generate("Hello").result()


async def test_a_job_whose_stop_was_asked_for_is_not_run_again():
    """Who cancels and then loses the connection gets no second run."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.receive("cancel")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("cancel", id="py-1")
        await peer.send("reply", op="cancel", id="py-1", outcome="unknown")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello")
        assert (await job.cancel()).outcome == "unknown"
        with pytest.raises(wsproc.JobLost):
            await job.result()


async def test_a_second_run_has_what_is_left_of_the_time():
    """`timeout_ms` runs from the first acceptance, also over a restart."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate", timeout_ms=60_000)
        await peer.accept()
        await asyncio.sleep(0.02)
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        frame = await peer.receive("generate")
        assert 0 < frame["timeout_ms"] < 60_000
        await peer.accept()
        await peer.complete(2)

    async with scripted(first, second) as url, connect(url) as client:
        await client.generate("Hello", timeout_ms=60_000).result()


async def test_a_busy_server_is_asked_again_to_take_a_job_back():
    """A restarted server that is full for a moment gets the job after `retry_after_ms`."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        full = {"code": "queue_full", "message": "full", "retryable": True, "retry_after_ms": 5}
        for _ in range(3):
            await peer.receive("generate")
            await peer.send("rejected", id="py-1", error=full)
        await peer.receive("generate")
        await peer.accept()
        await peer.complete(2, "at last")

    async with scripted(first, second) as url, connect(url) as client:
        assert (await client.generate("Hello").result()).text == "at last"


async def test_a_job_that_is_not_taken_back_is_lost_with_the_reason():
    """A rejection that will not change is told."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("generate")
        error = {"code": "unsupported_task", "message": "no generation here", "retryable": False}
        await peer.send("rejected", id="py-1", error=error)

    async with scripted(first, second) as url, connect(url) as client:
        with pytest.raises(wsproc.JobLost, match="no generation here"):
            await client.generate("Hello").result()


# --- a server that goes away in order -----------------------------------------------------------

GOAWAY = {"code": 1012, "reason": "restart", "grace_ms": 10, "reconnect": True}
DRAINING = {"code": "draining", "message": "going away", "retryable": True}


async def test_a_drain_is_not_seen_by_its_jobs():
    """Jobs that a shutdown stopped, and submits that came too late, run on the next server."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate", id="py-1")
        await peer.accept()
        await peer.token(2, "He")
        await peer.send("goaway", **GOAWAY)
        await peer.stop(3, "shutdown", partial_result={"text": "He"})
        await peer.receive("process", id="late")
        await peer.send("rejected", id="late", error=DRAINING)
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")
        await peer.receive("generate")
        await peer.receive("process", id="late")
        await peer.accept("late")
        await peer.accept("py-1.1")
        await peer.token(2, "Hello", job="py-1.1")
        await peer.complete(3, "Hello", job="py-1.1")
        await peer.complete(2, job="late")

    states = Watch()
    async with scripted(first, second) as url, connect(url, on_state=states) as client:
        job = await client.generate("Say hello")
        assert (await anext(job)).text == "He"
        await states.until("draining")
        late = asyncio.create_task(client.process(TEXT, id="late").result())
        rest = [event async for event in job]
        assert [event.id for event in rest] == ["py-1", "py-1"]
        assert rest[0].text == "llo"
        await late
    assert states.phases == ["connecting", "open", "draining", "reconnecting", "open", "closed"]
    assert states.states[4].resumed is False


async def test_a_stop_that_was_held_back_is_told_where_no_server_comes():
    """The jobs that a shutdown stopped end as it ended them, once the trying is over."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.send("goaway", **GOAWAY)
        await peer.stop(2, "shutdown", partial_result={"text": "He"})
        await peer.close(1012)

    never = wsproc.Reconnect(first_delay_s=0.001, max_tries=2)
    async with scripted(only) as url, connect(url, reconnect=never) as client:
        job = await client.generate("Hello")
        with pytest.raises(wsproc.JobCancelled) as caught:
            await job.result()
    assert caught.value.reason == "shutdown"
    assert caught.value.partial_result == {"text": "He"}


async def test_a_server_that_does_not_want_one_back_is_left_alone():
    """`goaway` without `reconnect` ends the client: its jobs end as the server ended them."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.send("goaway", **{**GOAWAY, "reconnect": False})
        await peer.close(1012)

    async with scripted(only) as url, connect(url) as client:
        with pytest.raises(wsproc.JobLost):
            await client.generate("Hello").result()


async def test_a_job_stopped_while_the_client_was_away_too_long_runs_again_under_another_id():
    """In the session its id names the cancelled run; the owner sees the one name that he knows."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate", id="mine")
        await peer.accept("mine")
        peer.vanish()

    async def second(peer: Peer) -> None:
        await peer.resumed(mine={"last_seq": 2, "recovered": True})
        await peer.stop(2, "disconnect", job="mine", replay=True)
        again = await peer.receive("generate")
        assert again["id"] == "mine.1"
        await peer.accept("mine.1")
        await peer.token(2, "a", job="mine.1")
        await peer.receive("jobs")
        info = {"id": "mine.1", "task": "generate", "state": "running", "last_seq": 1}
        await peer.send("reply", op="jobs", outcome="ok", jobs=[info])
        await peer.receive("cancel", id="mine.1")
        await peer.send("reply", op="cancel", id="mine.1", outcome="cancelling")
        await peer.stop(3, "client", job="mine.1")

    async with scripted(first, second) as url, connect(url) as client:
        job = await client.generate("Hello", id="mine")
        assert (await anext(job)).id == "mine"
        assert [one.id for one in await client.jobs()] == ["mine"]
        assert (await job.cancel()).id == "mine"
        with pytest.raises(wsproc.JobCancelled) as caught:
            await job.result()
        assert caught.value.job_id == "mine"
        assert caught.value.reason == "client"


async def test_without_reconnect_a_shutdown_ends_jobs_as_before():
    """`reconnect=False` is told everything at once."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.send("goaway", **GOAWAY)
        await peer.stop(2, "shutdown")
        await peer.receive("process")
        await peer.send("rejected", id="py-2", error=DRAINING)
        await peer.close(1012)

    async with scripted(only) as url, connect(url, reconnect=False) as client:
        with pytest.raises(wsproc.JobCancelled, match="shutdown"):
            await client.generate("Hello").result()
        with pytest.raises(wsproc.JobRejected) as caught:
            await client.process(TEXT)
        assert caught.value.code is ErrorCode.DRAINING


# --- when it ends -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1008, 1009, 4400, 4403, 4408, 4409, 4429])
async def test_other_codes_end_the_client(code):
    """After these the client does not come back: jobs are lost with the code and the reason."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(code, "go away")

    states = Watch()
    async with scripted(only) as url, connect(url, on_state=states) as client:
        with pytest.raises(wsproc.JobLost, match="go away") as lost:
            await client.generate("Hello").result()
        assert lost.value.close_code == code
        with pytest.raises(wsproc.ConnectionLost) as gone:
            await client.ping()
        assert gone.value.close_code == code
        assert states.phases == ["connecting", "open", "closed"]
        assert states.states[-1].cause is not None


async def test_the_trying_ends_and_tells_both_reasons():
    """After `max_tries` everyone is told how the connection was lost and why it did not return."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012, "restart")

    never = wsproc.Reconnect(first_delay_s=0.001, max_tries=3)
    states = Watch()
    async with (
        scripted(first) as url,
        connect(url, reconnect=never, on_state=states) as client,
    ):
        job = await client.generate("Hello")
        with pytest.raises(wsproc.JobLost, match=r"restart.*not be made again.*no script"):
            await job.result()
        with pytest.raises(wsproc.ConnectionLost):
            await client.generate("more")
    tries = [state for state in states.states if state.phase == "reconnecting"]
    assert [state.tries for state in tries] == [1, 2, 3]
    assert all(0 <= state.delay_s <= 0.001 * 2**n for n, state in enumerate(tries))
    assert isinstance(tries[0].cause, wsproc.ConnectionLost)
    assert isinstance(tries[1].cause, wsproc.ConnectFailed)


async def test_being_turned_away_ends_the_trying_at_once():
    """A 44xx on the way back is final, however much time is left."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.close(4403, "not you")

    async with scripted(first, second) as url, connect(url) as client:
        with pytest.raises(wsproc.JobLost, match="not you"):
            await client.generate("Hello").result()


async def test_a_server_that_never_answers_resume_is_a_failed_try():
    """Half a server is none: the try ends with the opening timeout and another one is made."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.close(1012)

    async def deaf(peer: Peer) -> None:
        await peer.welcome("s2")
        await peer.receive("resume")
        assert await peer.closed() == 1006

    async def third(peer: Peer) -> None:
        await peer.resumed()
        await peer.receive("ping")
        await peer.send("pong")

    async with (
        scripted(first, deaf, third) as url,
        connect(url, open_timeout_s=0.3) as client,
    ):
        assert await client.ping() > 0


async def test_closing_ends_the_trying_at_once():
    """`close` while the client is away does not wait for anything."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(1012)

    states = Watch()

    slow = wsproc.Reconnect(first_delay_s=1000, max_delay_s=1000)
    async with scripted(first) as url:
        client = wsproc.connect(url, reconnect=slow, on_state=states)
        async with client:
            job = await client.generate("Hello")
            await states.until("reconnecting")
        with pytest.raises(wsproc.JobLost) as lost:
            await job.result()
        assert lost.value.close_code == 1000
        assert client.state == ConnectionState("closed")


async def test_a_connection_that_held_for_a_while_is_counted_anew():
    """`max_tries` is for one outage: a line that breaks now and then is always made again."""

    async def first(peer: Peer) -> None:
        await peer.welcome()
        await peer.close(1012)

    async def held(peer: Peer) -> None:
        await peer.resumed()
        await asyncio.sleep(0.01)
        await peer.close(1012)

    async def last(peer: Peer) -> None:
        await peer.resumed()
        await peer.receive("ping")
        await peer.send("pong")

    once = wsproc.Reconnect(first_delay_s=0.005, max_tries=1)
    async with scripted(first, held, held, held, last) as url, connect(url, reconnect=once) as one:
        assert await one.ping() > 0


async def test_a_fault_of_the_client_itself_leaves_nobody_waiting(caplog, monkeypatch):
    """An error that nothing expects is logged and ends the client for everyone who waits on it."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.token(2, "a")
        assert await peer.closed() == 1000

    def broken(job, frame) -> None:
        raise KeyError("a bug")

    async with scripted(only) as url, connect(url) as client:
        monkeypatch.setattr("wsproc.client.job.Job.receive", broken)
        with pytest.raises(wsproc.JobLost, match="a bug"):
            await client.generate("Hello").result()
    assert "the client failed" in caplog.text


async def test_a_watcher_that_raises_harms_nothing(caplog):
    """`on_state` is the program's own business; its error is logged."""

    def watch(state: ConnectionState) -> None:
        raise RuntimeError("no screen")

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("ping")
        await peer.send("pong")

    async with scripted(only) as url, connect(url, on_state=watch) as client:
        assert await client.ping() > 0
    assert "on_state raised an error" in caplog.text


# --- another program's session ------------------------------------------------------------------


async def test_a_session_of_another_client_is_taken_up_with_its_jobs():
    """Its jobs are told from the start, with the task that the server names and their results."""

    async def only(peer: Peer) -> None:
        await peer.welcome("s2")
        frame = await peer.receive("resume", session="s1")
        assert frame["after"] == {}
        known = {
            "told": {"last_seq": 3, "recovered": True},
            "cut": {"last_seq": 9, "recovered": False},
        }
        await peer.send("reply", op="resume", outcome="ok", jobs=known)
        await peer.accept("told", replay=True, meta="mine")
        await peer.token(2, "a", job="told", replay=True)
        await peer.complete(3, "a", job="told", replay=True)
        await peer.complete(9, "b", job="cut", replay=True)
        await peer.receive("jobs")
        info = {"state": "done", "last_seq": 3, "task": "generate"}
        jobs = [{"id": "told", **info}, {"id": "cut", **info}]
        await peer.send("reply", op="jobs", outcome="ok", jobs=jobs)

    async with scripted(only) as url, connect(url, session="s1") as client:
        assert client.session == "s1"
        assert set(client.adopted) == {"told", "cut"}
        told = client.adopted["told"]
        assert await texts(told) == ["a"]
        assert told.accepted.meta == "mine"
        assert isinstance(await told.result(), GenerateResult)
        assert (await client.adopted["cut"].result()).text == "b"


@pytest.mark.parametrize("outcome", ["epoch_changed", "unknown_session"])
async def test_a_session_that_is_gone_is_told(outcome):
    """Opening fails, as there is nothing to take up; why is in words."""

    async def only(peer: Peer) -> None:
        await peer.resumed(outcome)
        assert await peer.closed() == 1000

    async with scripted(only) as url:
        with pytest.raises(wsproc.SessionLost) as caught:
            await connect(url, session="s1").open()
    assert caught.value.outcome == outcome
    assert isinstance(caught.value, wsproc.ConnectFailed)


async def test_an_adopted_job_is_not_run_again():
    """What it was given is not known here: a server that has lost it has lost it."""

    async def first(peer: Peer) -> None:
        await peer.resumed(mine={"last_seq": 1, "recovered": True})
        await peer.accept("mine", replay=True)
        await peer.receive("jobs")
        jobs = [{"id": "mine", "state": "running", "last_seq": 1, "task": "generate"}]
        await peer.send("reply", op="jobs", outcome="ok", jobs=jobs)
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.resumed("epoch_changed")

    async with scripted(first, second) as url, connect(url, session="s1") as client:
        assert client.adopted["mine"].task == "generate"
        with pytest.raises(wsproc.JobLost):
            await client.adopted["mine"].result()
