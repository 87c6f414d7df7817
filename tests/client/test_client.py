"""The Python client against a real server whose engine is played by the test."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

import wsproc
from tests.fakes import UNENDING, FakeEngine, plausible, serving
from wsproc.client.job import EVENTS_KEPT, Job
from wsproc.frames.errors import ErrorCode
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    Chunked,
    Completed,
    EntitiesComplete,
    Failed,
    GenerationStarted,
    SentimentProgress,
    Started,
    Token,
)

TEXT = "Ada had a lovely day. The train home was slow and awful. It rained."


@asynccontextmanager
async def client_of(engine: FakeEngine, **settings):
    """A client of a server with this engine."""
    async with serving(engine, **settings) as server, wsproc.connect(server.url) as client:
        yield client


# --- a job from its submit to its result --------------------------------------------------------


async def test_events_are_typed_frames_in_order_and_end_with_the_terminal_one():
    """Iterating yields the typed frames after `accepted`, numbered without a hole, `done` last."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.process(TEXT, include_entities=True, chunk_size=50)
        events = [event async for event in job]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Completed)
    assert [event.seq for event in events] == list(range(2, len(events) + 2))
    kinds = {type(event) for event in events}
    assert {Chunked, SentimentProgress, EntitiesComplete} <= kinds


async def test_accepted_is_there_before_any_event():
    """`process` returns at `accepted`, while the job still runs."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        job = await client.process(TEXT, meta={"page": 3}, include_summary=False)
        assert job.accepted.meta == {"page": 3}
        assert job.done is None
        await engine.calls.get()


async def test_result_comes_without_anyone_iterating():
    """`result` returns the whole result also when no event was read; a late reader has them all."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.process(TEXT, include_summary=False)
        result = await job.result()
        late = [event async for event in job]
    assert result["sentiment"]["overall_sentiment"] == "NEGATIVE"
    assert isinstance(late[0], Started)
    assert late[-1].result == result


async def test_a_second_iteration_ends_at_once():
    """Events are handed out once each; reading on after the end is no waiting for ever."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.generate("Hello you")
        assert [event async for event in job]
        assert [event async for event in job] == []


async def test_tokens_are_the_text_of_the_result():
    """The pieces of `tokens` joined are `result()["text"]`."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.generate("Hello you", max_tokens=4, temperature=0)
        pieces = [piece async for piece in job.tokens()]
        assert "".join(pieces) == (await job.result())["text"] == " word0 word1 word2 word3"


async def test_batch_takes_one_text_or_several():
    """`batch` gives one result for `text` and a list of results for `texts`."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        one = await (await client.batch(TEXT, include_summary=False)).result()
        many = await (await client.batch(texts=[TEXT, TEXT], include_summary=False)).result()
    assert one["chunks"] == 1
    assert many["total_texts"] == 2
    assert many["results"][1] == one


async def test_many_jobs_of_one_connection_interleave_and_stay_apart():
    """Jobs answered in reverse order end in reverse order, each with its own result."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        jobs = [await client.generate(f"prompt {n}") for n in range(20)]
        calls = [await engine.calls.get() for _ in jobs]
        for call in reversed(calls):
            call.delta(text=call.items[0]["prompt"])
            call.result(text=call.items[0]["prompt"], prompt_tokens=1, completion_tokens=1)
            call.end()
            number = int(call.items[0]["prompt"].removeprefix("prompt "))
            assert (await jobs[number].result())["text"] == f"prompt {number}"
        assert {job.state for job in await client.jobs()} == {"done"}


async def test_a_task_of_ones_own_is_submitted_by_its_name():
    """`submit` sends any type with any fields, and its statuses come as they are."""
    registry = wsproc.default_registry()

    class Shout(wsproc.Submit):
        type: str = "shout"
        word: str

    async def shout(request: Shout, job: wsproc.JobContext):
        yield job.status("drawing_breath", litres=4)
        yield wsproc.TaskResult({"loud": request.word.upper()})

    registry.add(Shout, shout)
    async with client_of(FakeEngine(), registry=registry) as client:
        job = await client.submit("shout", word="hey")
        first = await anext(aiter(job))
        assert (first.status, first.model_extra) == ("drawing_breath", {"litres": 4})
        assert await job.result() == {"loud": "HEY"}


# --- a submit on its way ------------------------------------------------------------------------


async def test_a_submit_leads_straight_to_what_is_wanted_of_it():
    """Without awaiting the job first: its result, its events, its tokens, its block."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        assert (await client.process(TEXT, include_summary=False).result()).sentiment == "NEGATIVE"
        assert [type(event) async for event in client.generate("Hello")][-1] is Completed
        assert "".join([p async for p in client.generate("Hello", max_tokens=1).tokens()])
        async with client.generate(UNENDING) as job:
            assert isinstance(await anext(job), GenerationStarted)
        assert (await job.wait()).status == "cancelled"
        first, second = await asyncio.gather(client.generate("Hello"), client.generate("Again"))
        assert first.id != second.id


@pytest.mark.parametrize("way", ["events", "tokens"])
async def test_leaving_a_submit_early_cancels_what_nobody_can_reach(way):
    """Its job has no other handle: breaking out of its events or tokens stops the work."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        submission = client.generate("Hello")
        asking = asyncio.create_task(
            left_early(submission.tokens() if way == "tokens" else submission)
        )
        call = await engine.calls.get()
        call.delta(text="Wor")
        await asking
        await call.cancelled.wait()


async def left_early(events) -> None:
    """Read one event."""
    async for _ in events:
        break


async def test_a_timeout_of_its_own_stops_the_work():
    """`timeout=` raises TimeoutError and sends the cancel, as a timeout around it does."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        job = await client.generate("Hello")
        call = await engine.calls.get()
        with pytest.raises(TimeoutError):
            await job.result(timeout=0.01)
        await call.cancelled.wait()
        with pytest.raises(TimeoutError):
            await client.generate(UNENDING).result(timeout=0.01)


async def test_the_same_submit_again_is_the_same_job():
    """Same id and body: the stored end comes again, nothing is run twice. Another body: refused."""
    engine = FakeEngine(answers=plausible)
    async with client_of(engine) as client:
        first = await client.generate("Hello", id="mine")
        text = (await first.result()).text
        again = await client.generate("Hello", id="mine")
        assert again.accepted.duplicate
        assert (await again.result()).text == text
        assert [event async for event in again] == [again.done]
        assert len(engine._open) == 1
        with pytest.raises(wsproc.JobRejected) as caught:
            await client.generate("Goodbye", id="mine")
        assert caught.value.code is ErrorCode.ID_CONFLICT


# --- input that goes on -------------------------------------------------------------------------


async def test_an_open_job_takes_more_text_until_the_final_piece():
    """`append` tells what the text has come to; the result is that of the whole."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.process("Ada had a ", open=True, include_summary=False)
        assert (await job.append("lovely day.")).text_length == 21
        await job.append(" It was good.", final=True)
        result = await job.result()
        assert result.text == "Ada had a lovely day. It was good."
        assert result.chunks[0].text == result.text
        with pytest.raises(wsproc.InputRefused) as caught:
            await job.append("too late")
        assert caught.value.outcome == "done"


async def test_a_live_job_follows_its_text():
    """`revise` gives the whole new text; the result is that of the last one."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.process("The foo", live=True, include_summary=False)
        assert (await job.revise("The food was bad")).revision == 1
        assert (await job.revise("The food was good")).revision == 2
        await job.append(final=True)
        result = await job.result()
        assert (result.text, result.sentiment) == ("The food was good", "POSITIVE")


async def test_text_for_a_job_that_takes_none_is_refused_with_the_reason():
    """The job goes on, and the refusal says why."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.generate(UNENDING)
        with pytest.raises(wsproc.InputRefused) as caught:
            await job.append("more")
        assert caught.value.outcome == "refused"
        assert caught.value.error is not None
        with pytest.raises(ValueError, match="append needs text"):
            await job.append()


# --- what the server refuses --------------------------------------------------------------------


async def test_a_refused_job_raises_with_code_and_path():
    """A rejected submit raises JobRejected naming the field; the connection lives on."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        with pytest.raises(wsproc.JobRejected) as caught:
            await client.process(TEXT, chunk_size=9)
        assert caught.value.code is ErrorCode.INVALID_FIELD
        assert caught.value.path == "chunk_size"
        assert not caught.value.retryable
        assert await client.ping() > 0


async def test_a_full_connection_says_when_to_try_again():
    """Over the limit of jobs `retry_after_ms` is told and the rejection is retryable."""
    async with client_of(FakeEngine(), max_jobs_per_connection=1) as client:
        await client.generate("first")
        with pytest.raises(wsproc.JobRejected) as caught:
            await client.generate("second")
    assert caught.value.code is ErrorCode.TOO_MANY_JOBS
    assert caught.value.retryable
    assert caught.value.retry_after_ms == 1000


async def test_an_unknown_task_is_a_rejection():
    """A type that the server answers with `error` ends its own submit and nothing else."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        with pytest.raises(wsproc.JobRejected, match="unknown_type"):
            await client.submit("proces", text=TEXT)
        assert await (await client.generate("still here")).result()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": "a b"}, ErrorCode.INVALID_FIELD),
        ({"id": "taken"}, ErrorCode.ID_CONFLICT),
        ({"meta": "x" * 300_000}, ErrorCode.INPUT_TOO_LARGE),
    ],
)
async def test_what_would_confuse_or_end_the_connection_is_refused_here(fields, code):
    """A wrong id, a taken id and an oversized message never reach the server."""
    async with client_of(FakeEngine()) as client:
        await client.generate("first", id="taken")
        with pytest.raises(wsproc.JobRejected) as caught:
            await client.generate("second", **fields)
        assert caught.value.code is code
        assert [job.id for job in await client.jobs()] == ["taken"]


async def test_fields_that_are_no_json_raise_value_error():
    """What cannot be written as JSON is the caller's mistake and told as ValueError."""
    async with client_of(FakeEngine()) as client:
        with pytest.raises(ValueError, match="JSON"):
            await client.process("a lone surrogate \ud800 in here")


# --- cancelling ---------------------------------------------------------------------------------


async def test_cancel_stops_the_engine_and_keeps_what_was_finished():
    """`cancel` gets its reply, the engine's call is cancelled, `result` raises with the partial."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        job = await client.generate("Hello")
        call = await engine.calls.get()
        call.delta(text="Wor")
        assert isinstance(await anext(aiter(job)), GenerationStarted)
        assert (await anext(aiter(job))).text == "Wor"
        assert (await job.cancel()).outcome == "cancelling"
        with pytest.raises(wsproc.JobCancelled) as caught:
            await job.result()
        assert call.cancelled.is_set()
    assert caught.value.reason == "client"
    assert caught.value.partial_result == {"text": "Wor"}
    assert caught.value.done.timing_ms.stop is not None


async def test_cancel_after_the_end_is_no_error():
    """A late cancel is answered `done` with the final status."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.generate("Hello")
        await job.result()
        reply = await job.cancel()
        assert (reply.outcome, reply.status) == ("done", "completed")


async def test_cancel_all_reaches_every_job():
    """`cancel_all` names the jobs that it reached, and all of them end as cancelled."""
    async with client_of(FakeEngine()) as client:
        jobs = [await client.generate(f"prompt {n}") for n in range(3)]
        reply = await client.cancel_all()
        assert reply.ids == [job.id for job in jobs]
        assert [(await job.wait()).status for job in jobs] == ["cancelled"] * 3


async def test_a_timeout_around_result_stops_the_work():
    """When the only one who waits gives up, the engine's call is cancelled."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        job = await client.generate("Hello")
        call = await engine.calls.get()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await job.result()
        await call.cancelled.wait()
        assert isinstance(await job.wait(), Cancelled)


async def test_a_job_that_another_still_waits_for_is_not_stopped():
    """Of two who wait one may give up; the other gets the result."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        job = await client.generate("Hello")
        call = await engine.calls.get()
        faithful = asyncio.create_task(job.result())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await job.result()
        await client.ping()  # a cancel would have gone out before this
        assert not call.cancelled.is_set()
        call.result(text="there", prompt_tokens=1, completion_tokens=1)
        call.end()
        assert (await faithful)["text"] == "there"


async def test_breaking_out_of_the_events_stops_nothing_but_leaving_async_with_does():
    """`break` keeps the job; the end of `async with job` cancels one that still runs."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        async with await client.generate("Hello") as job:
            call = await engine.calls.get()
            async for _ in job:
                break
            await client.ping()
            assert not call.cancelled.is_set()
        await call.cancelled.wait()
        assert (await job.wait()).status == "cancelled"


async def test_a_submit_whose_caller_is_cancelled_is_cancelled_too():
    """Giving up between submit and `accepted` leaves no job behind on the server."""
    async with client_of(FakeEngine()) as client:
        submit = asyncio.create_task(client.generate("Hello", id="orphan"))
        await asyncio.sleep(0)
        submit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submit
        await client.ping()
        assert [job.status for job in await client.jobs() if job.state == "done"] == ["cancelled"]
        again = await client.generate("Hello again")
        assert again.accepted.seq == 1


async def test_a_deadline_fails_the_job_with_what_was_finished():
    """`timeout_ms` ends a job as failed with `deadline_exceeded` and its partial result."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        job = await client.generate(UNENDING, timeout_ms=20)
        with pytest.raises(wsproc.JobFailed) as caught:
            await job.result()
    assert caught.value.code is ErrorCode.DEADLINE_EXCEEDED
    assert caught.value.partial_result == {"text": " one two three"}
    assert isinstance(caught.value.done, Failed)
    assert caught.value.error is caught.value.done.error


# --- connections --------------------------------------------------------------------------------


async def test_the_welcome_tells_tasks_and_limits():
    """`welcome` has what the server offers, from the first moment on."""
    async with client_of(FakeEngine(), max_text_chars=1234) as client:
        assert client.welcome.tasks == ["process", "batch", "generate"]
        assert client.welcome.limits.max_text_chars == 1234


async def test_a_client_that_is_not_open_says_so():
    """Asking before opening is a clear error, and sends nothing."""
    client = wsproc.connect()
    for asked in (client.ping(), client.jobs(), client.generate("Hello")):
        with pytest.raises(wsproc.ConnectFailed, match="not open"):
            await asked


async def test_nobody_listening_is_told_in_words():
    """A refused connection says so and names the way out."""
    async with serving(FakeEngine()) as server:
        url = server.url
    with pytest.raises(wsproc.ConnectFailed, match="wsproc serve"):
        await wsproc.connect(url).open()


async def test_a_client_is_opened_once():
    """Opening an open one, or one that was closed, is a mistake and told as one."""
    async with client_of(FakeEngine()) as client:
        with pytest.raises(RuntimeError, match="opened once"):
            await client.open()
        assert await client.ping() > 0
    with pytest.raises(RuntimeError, match="opened once"):
        await client.open()


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "ws://", "ftp://host", "ws://[::1"])
async def test_what_is_no_address_is_told_in_words(url):
    """A malformed address is one error of ours and not one of a library."""
    with pytest.raises(wsproc.ConnectFailed, match="ws://HOST:PORT"):
        await wsproc.connect(url).open()


async def test_being_turned_away_has_its_close_code():
    """A server that closes right after the handshake is ConnectFailed with its code and reason."""
    async with serving(FakeEngine(), max_connections=1) as server, wsproc.connect(server.url):
        with pytest.raises(wsproc.ConnectFailed, match="too many") as caught:
            await wsproc.connect(server.url).open()
    assert caught.value.close_code == 1013


async def test_being_refused_by_http_has_the_same_code():
    """A 403 in place of the handshake is 4403, with the server's reason."""
    async with serving(FakeEngine()) as server:
        with pytest.raises(wsproc.ConnectFailed, match="origin") as caught:
            await wsproc.connect(server.url, origin="https://elsewhere.example").open()
    assert caught.value.close_code == 4403
    assert not caught.value.retryable


async def test_a_browser_address_is_understood():
    """The address of the console page connects as well."""
    async with serving(FakeEngine()) as server:
        address = server.url.replace("ws://", "http://")
        async with wsproc.connect(address) as client:
            assert await client.ping() > 0


async def test_a_server_that_goes_away_in_order_ends_the_jobs_first():
    """Without reconnecting a drain cancels the jobs with reason shutdown; the rest is lost."""
    async with (
        serving(FakeEngine(), drain_s=0) as server,
        wsproc.connect(server.url, reconnect=False) as client,
    ):
        job = await client.generate("Hello")
        await server.close()
        with pytest.raises(wsproc.JobCancelled) as caught:
            await job.result()
        assert caught.value.reason == "shutdown"
        assert client.goaway is not None
        with pytest.raises(wsproc.ConnectionLost) as lost:
            await client.ping()
        assert lost.value.close_code == 1012


async def test_closing_the_client_loses_what_still_runs():
    """After `close` a job that had no end raises JobLost, which is a ConnectionLost."""
    async with client_of(FakeEngine()) as client:
        job = await client.generate("Hello")
        await client.close()
        with pytest.raises(wsproc.JobLost) as caught:
            await job.result()
        assert caught.value.close_code == 1000
        with pytest.raises(wsproc.ConnectionLost):
            await client.generate("more")


# --- servers that break the protocol ------------------------------------------------------------

WELCOME = {
    "type": "welcome",
    "protocol": "wsproc.v1",
    "server": "0",
    "session": "s",
    "epoch": "e",
    "tasks": [],
    "limits": {
        "max_frame_bytes": 1000,
        "max_text_chars": 1000,
        "max_texts": 1,
        "max_jobs": 1,
        "max_tokens": 1,
    },
    "resume_s": 0,
    "heartbeat_s": 15,
}


@asynccontextmanager
async def scripted(*frames: dict | str):
    """A server that sends a welcome, waits for one message, sends these frames and waits."""

    async def handle(socket: ServerConnection) -> None:
        await socket.send(json.dumps(WELCOME))
        await socket.recv()
        for frame in frames:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, subprotocols=["wsproc.v1"]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with wsproc.connect(f"ws://127.0.0.1:{port}") as client:
            yield client


def accepted(**fields) -> dict:
    """An `accepted` for the client's first job."""
    return {"type": "accepted", "id": "py-1", "seq": 1, "position": 0, "eta_ms": None, **fields}


def token(seq: int, text: str = "x") -> dict:
    """A token of the client's first job."""
    return {"type": "token", "id": "py-1", "seq": seq, "text": text}


@pytest.mark.parametrize("seq", [1, 2, 4])
async def test_a_frame_out_of_order_is_a_protocol_error(seq):
    """Each frame must be the next of its job: a doubled or missing one ends the connection."""
    async with scripted(accepted(), token(2), token(seq)) as client:
        job = await client.generate("Hello")
        with pytest.raises(wsproc.ProtocolError, match="frame 3 was due"):
            await job.result()
        with pytest.raises(wsproc.ProtocolError):
            await client.ping()


@pytest.mark.parametrize(
    "frame", ["no JSON", {"type": "token", "id": "py-1", "seq": 2}, accepted(seq=2)]
)
async def test_an_unreadable_frame_is_a_protocol_error(frame):
    """A frame that is no JSON, or lacks a field, or starts at a wrong number fails the submit."""
    async with scripted(frame) as client:
        with pytest.raises(wsproc.ProtocolError):
            await client.generate("Hello")


async def test_unknown_types_fields_and_jobs_are_ignored():
    """What a later server may add does no harm."""
    news = {"type": "weather", "sunny": True}
    stranger = {**token(7), "id": "someone-else"}
    done = {
        "type": "done",
        "id": "py-1",
        "seq": 2,
        "status": "completed",
        "message": "",
        "total_processing_time": 0.1,
        "timestamp": "",
        "usage": {},
        "timing_ms": {"queued": 0, "run": 1},
        "result": {"text": ""},
        "carbon": "none",
    }
    async with scripted(news, accepted(mood="good"), stranger, done) as client:
        assert await (await client.generate("Hello")).result() == {"text": ""}


async def test_a_server_without_a_welcome_is_not_taken_for_one():
    """An echo server is told apart at once."""

    async def handle(socket: ServerConnection) -> None:
        await socket.send("hello")
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(wsproc.ConnectFailed, match="no wsproc server"):
            await wsproc.connect(f"ws://127.0.0.1:{port}").open()


async def test_errors_that_are_about_nothing_of_ours_are_logged(caplog):
    """What a server says about the connection as such harms no job and is not lost."""
    error = {"code": "bad_frame", "message": "something is odd", "retryable": False}
    async with scripted({"type": "error", "error": error}, accepted()) as client:
        await client.generate("Hello")
    assert "something is odd" in caplog.text


async def test_a_server_that_does_not_begin_with_a_welcome_is_none():
    """A frame of the protocol is not enough: the first one is the welcome."""

    async def handle(socket: ServerConnection) -> None:
        await socket.send('{"type": "pong"}')
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, subprotocols=["wsproc.v1"]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(wsproc.ConnectFailed, match="did not begin with a welcome"):
            await wsproc.connect(f"ws://127.0.0.1:{port}").open()


async def test_a_silent_server_is_given_up():
    """No welcome within the timeout is ConnectFailed, and no socket is left."""

    async def handle(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(wsproc.ConnectFailed, match="said nothing"):
            await wsproc.connect(f"ws://127.0.0.1:{port}", open_timeout_s=0.2).open()


async def test_the_tap_sees_every_message_as_it_came():
    """`tap` gets the text of each frame, the welcome first."""
    heard: list[str] = []
    async with serving(FakeEngine(answers=plausible)) as server:
        client = wsproc.connect(server.url, tap=heard.append)
        async with client:
            await (await client.generate("Hello")).result()
    types = [json.loads(message)["type"] for message in heard]
    assert types == ["welcome", "accepted", "status", *["token"] * 5, "done"]


async def test_a_tap_that_raises_leaves_nobody_waiting(caplog):
    """An error of the tap is logged and ends the connection for everyone who waits on it."""

    def tap(message: str) -> None:
        if '"token"' in message:
            raise RuntimeError("the tap is broken")

    async with serving(FakeEngine(answers=plausible)) as server:
        client = wsproc.connect(server.url, tap=tap)
        async with client:
            job = await client.generate("Hello")
            with pytest.raises(wsproc.JobLost, match="the tap is broken"):
                await job.result()
    assert "the tap raised" in caplog.text


# --- memory -------------------------------------------------------------------------------------


def unread_job() -> Job:
    """A job that nobody reads, of a client that is asked for nothing."""
    accepted = Accepted(id="a", seq=1, position=0, eta_ms=None)
    return Job("generate", accepted, wsproc.connect(), {})


async def test_unread_tokens_are_joined_over_the_limit():
    """A generation that nobody reads keeps a bounded number of events and all of its text."""
    job = unread_job()
    for seq in range(2, EVENTS_KEPT + 102):
        job.receive(Token(id="a", seq=seq, text="x"))
    kept = [(await anext(job)).text for _ in range(EVENTS_KEPT)]
    job.lose(wsproc.ConnectionLost("gone", 1006))
    with pytest.raises(wsproc.JobLost):
        await anext(job)
    assert sum(map(len, kept)) == EVENTS_KEPT + 100
    assert job.dropped == 0


async def test_other_unread_events_are_dropped_oldest_first():
    """Over the limit the oldest event goes, and `dropped` counts it."""
    job = unread_job()
    for seq in range(2, EVENTS_KEPT + 12):
        job.receive(Chunked(id="a", seq=seq, message="", chunks=seq))
    assert job.dropped == 10
    assert (await anext(aiter(job))).seq == 12


# --- the package --------------------------------------------------------------------------------


def test_using_the_client_loads_no_model_library():
    """`import wsproc` and `wsproc.connect` cost no torch, transformers or spaCy."""
    script = (
        "import sys, wsproc; wsproc.connect; wsproc.Server; wsproc.Engine\n"
        "print([name for name in ('torch', 'transformers', 'spacy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_had():
    """What `__all__` names is there, and what it does not name is an AttributeError."""
    assert all(getattr(wsproc, name) is not None for name in wsproc.__all__)
    assert set(wsproc.__all__) <= set(dir(wsproc))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = wsproc.nothing_like_it
