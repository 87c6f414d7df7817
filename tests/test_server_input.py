"""Jobs whose input goes on, over real sockets: appended to, revised, cancelled at every point."""

import asyncio
import logging
from typing import Any, Literal

import pytest

from tests.fakes import FakeCall, FakeEngine, fake_server, plausible, serving
from tests.waiting import until
from tests.wire import Wire, connected, left
from wsproc.frames.client import Submit
from wsproc.tasks import JobContext, TaskResult

SENTENCE = "I love this. Ada is great! "
OPEN = {"type": "process", "id": "a", "chunk_size": 50, "include_summary": False}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture):
    """Nothing may be logged as an error: no exception escapes a handler."""
    yield
    assert [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR] == []


async def result_of(wire: Wire, **job: Any) -> dict[str, Any]:
    """Run a job; return its result."""
    await wire.send(**{**job, "id": "whole"})
    return (await wire.next("done", id="whole"))["result"]


async def test_an_open_job_from_submit_to_done():
    """Results come while the text does; at its end the result is that of the whole text."""
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        job = {**OPEN, "include_entities": True}
        await wire.send(**job, open=True)
        await wire.send(type="append", id="a", text=SENTENCE * 3)
        await wire.next("status", status="sentiment_progress")
        await wire.send(type="append", id="a", text=SENTENCE)
        await wire.send(type="append", id="a", final=True)
        done = await wire.next("done")
        replies = [one for one in wire.frames if one["type"] == "reply"]
        lengths = [3 * len(SENTENCE), 4 * len(SENTENCE), 4 * len(SENTENCE)]
        assert [(one["outcome"], one["text_length"]) for one in replies] == [
            ("ok", length) for length in lengths
        ]
        assert done["result"] == await result_of(wire, **job, text=SENTENCE * 4)


async def test_a_live_job_from_submit_to_done():
    """Statuses tell their revision, none of an earlier one behind its reply; the last text wins."""
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        job = {**OPEN, "split": "sentence", "include_summary": True, "include_entities": True}
        await wire.send(**job, live=True, text="I hate it")
        for number in range(1, 30):
            await wire.send(type="revise", id="a", text=SENTENCE * number)
            if number % 7 == 0:
                await wire.next("status", status="sentiment_complete", revision=number)
        await wire.send(type="append", id="a", text="I hate it.", final=True)
        done = await wire.next("done")
        latest = 0
        for frame in wire.frames:
            latest = frame.get("revision", latest) if frame["type"] == "reply" else latest
            if frame["type"] == "status" and frame["status"] != "started":
                assert frame["revision"] >= latest
        whole = await result_of(wire, **job, text=SENTENCE * 29 + "I hate it.")
        assert done["result"] == {**whole, "revision": 30}


async def test_typing_on_costs_the_device_what_changes():
    """A hundred keystrokes at the end of a long text: each computes a chunk, or is passed over."""
    engine = FakeEngine(answers=plausible)
    text = "".join(f"This is sentence number {number} of it. " for number in range(60))
    async with serving(engine, max_text_chars=9000) as server, connected(server) as wire:
        await wire.send(**OPEN, live=True, text=text, split="sentence")
        for number in range(100):
            text += "typing "[number % 7]
            await wire.send(type="revise", id="a", text=text)
        await wire.send(type="append", id="a", final=True)
        done = await wire.next("done")
    assert done["result"]["revision"] == 100
    assert done["result"]["text_length"] == len(text)
    assert done["usage"]["chunks"] <= done["result"]["chunks"] + 100
    assert done["usage"]["characters"] < 3 * len(text)


async def test_a_job_whose_input_does_not_come_fails_and_others_go_on():
    """With what was finished by then; each append gives it new time."""
    engine = FakeEngine(answers=plausible)
    async with (
        serving(engine, input_timeout_s=0.4) as server,
        connected(server) as wire,
        connected(server) as other,
    ):
        await wire.send(**OPEN, open=True)
        for _ in range(4):
            await asyncio.sleep(0.2)
            await wire.send(type="append", id="a", text=SENTENCE)
        done = await wire.next("done")
        assert (done["status"], done["error"]["code"]) == ("failed", "input_timeout")
        assert done["partial_result"]["text_length"] == 4 * len(SENTENCE)
        assert len(done["partial_result"]["sentiment"]["chunk_sentiments"]) == 2
        await wire.send(type="append", id="a", text="late")
        reply = await wire.next("reply", outcome="done")
        assert reply["status"] == "failed"
        await other.send(**OPEN, text=SENTENCE)
        assert (await other.next("done"))["status"] == "completed"
        assert server.admission.live == 0


async def test_a_job_with_its_whole_input_has_no_input_timeout():
    """What it waits for then is the device."""
    engine = FakeEngine()
    async with serving(engine, input_timeout_s=0.05) as server, connected(server) as wire:
        await wire.send(**OPEN, open=True)
        await wire.send(type="append", id="a", text=SENTENCE, final=True)
        call = await engine.calls.get()
        await asyncio.sleep(0.2)
        plausible(call)
        assert (await wire.next("done"))["status"] == "completed"


async def test_a_deadline_counts_the_time_that_the_input_took():
    """It runs from the acceptance."""
    async with serving(FakeEngine()) as server, connected(server) as wire:
        await wire.send(**OPEN, open=True, timeout_ms=50)
        done = await wire.next("done")
        assert done["error"]["code"] == "deadline_exceeded"


class Count(Submit):
    """The request of a task of one's own whose input goes on."""

    goes_on = ("open",)
    least_chars = 3

    type: Literal["count"] = "count"


async def count(request: Count, job: JobContext):
    """Say how long the text is, whenever there is more."""
    async for now in job.input:
        yield job.status("counting", characters=len(now.text))
    yield TaskResult({"characters": len(now.text)})


async def test_a_task_of_ones_own_may_read_input_that_goes_on():
    """It says so in its request; the limits, replies and the timeout are the server's."""
    server = fake_server(FakeEngine())
    server.registry.add(Count, count)
    async with server, connected(server) as wire:
        await wire.send(type="count", id="a", open=True)
        await wire.next("status", characters=0)
        await wire.send(type="append", id="a", text="ab")
        await wire.next("status", characters=2)
        await wire.send(type="append", id="a", final=True)
        refused = await wire.next("reply", outcome="refused")
        assert refused["error"]["message"] == (
            "text: 3 characters at least in all, these would make 2"
        )
        await wire.send(type="append", id="a", text="c", final=True)
        assert (await wire.next("done"))["result"] == {"characters": 3}
        await wire.send(type="count", id="b", live=True)
        rejected = await wire.next("rejected")
        assert rejected["error"]["message"] == (
            "live: a count job takes its whole input at once; process can be live"
        )


# --- cancel ---------------------------------------------------------------------------------------


async def _right_behind_the_submit(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job)


async def _while_input_is_awaited(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job)
    await wire.next("status", status="sentiment_processing")


async def _while_a_chunk_is_computed(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job, text=SENTENCE * 3)
    await engine.calls.get()


async def _while_more_came(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job, text=SENTENCE * 3)
    await engine.calls.get()
    verb = "revise" if "live" in job else "append"
    await wire.send(type=verb, id="a", text="x" * 120)
    await engine.calls.get()


async def _between_two_texts(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job, text=SENTENCE * 3)
    plausible(await engine.calls.get())
    await wire.next("status", status="sentiment_progress")


async def _behind_the_end_of_the_input(wire: Wire, engine: FakeEngine, job: dict) -> None:
    await wire.send(**job, text=SENTENCE * 3)
    await wire.send(type="append", id="a", final=True)
    await engine.calls.get()
    await wire.next("reply", op="append")


@pytest.mark.parametrize("kind", ["open", "live"])
@pytest.mark.parametrize(
    "reach",
    [
        _right_behind_the_submit,
        _while_input_is_awaited,
        _while_a_chunk_is_computed,
        _while_more_came,
        _between_two_texts,
        _behind_the_end_of_the_input,
    ],
)
async def test_a_cancel_at_every_point(reach, kind: str):
    """One reply, one `done`, silence behind it; an append then is too late; others go on."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire, connected(server) as other:
        await reach(wire, engine, {**OPEN, kind: True})
        await wire.send(type="cancel", id="a")
        await wire.send(type="append", id="a", text="more")
        await wire.next("reply", op="cancel", outcome="cancelling")
        late = await wire.next("reply", op="append")
        done = wire.of("a")[-1] if wire.of("a")[-1]["type"] == "done" else await wire.next("done")
        assert (done["status"], done["reason"]) == ("cancelled", "client")
        assert late["outcome"] in ("refused", "done")
        while not engine.calls.empty():
            assert engine.calls.get_nowait().cancelled.is_set()
        await other.send(**OPEN, text=SENTENCE)
        plausible(await engine.calls.get())
        assert (await other.next("done"))["status"] == "completed"
        await wire.send(type="ping")
        await wire.next("pong")
        assert server.admission.live == 0


async def test_a_disconnect_ends_a_job_that_waits_for_input():
    """Nothing is left of it."""
    async with serving(FakeEngine(), input_timeout_s=9999) as server:
        async with connected(server) as wire:
            await wire.send(**OPEN, open=True)
            await wire.next("status", status="sentiment_processing")
        await until(lambda: server.admission.live == 0)


async def test_the_device_is_free_of_an_old_text_before_the_new_one_begins():
    """A revision really stops the work on the one before, and only that of its own job."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(**OPEN, live=True, text=SENTENCE * 3)
        await wire.send(**{**OPEN, "id": "b"}, text=SENTENCE)
        calls: dict[str, FakeCall] = {}
        for _ in range(2):
            call = await engine.calls.get()
            calls["a" if len(call.items) == 2 else "b"] = call
        await wire.send(type="revise", id="a", text="x" * 60)
        await calls["a"].cancelled.wait()
        assert not calls["b"].cancelled.is_set()
        assert engine.calls.empty()
        calls["a"].end()
        plausible(await engine.calls.get())
        plausible(calls["b"])
        await wire.next("done", id="b")
        await wire.send(type="append", id="a", final=True)
        assert (await wire.next("done", id="a"))["result"]["text_length"] == 60


# --- lost connections -----------------------------------------------------------------------------


async def test_an_open_job_goes_on_where_the_connection_was_lost():
    """A snapshot tells how much of the text has come; the same submit again adds nothing."""
    engine = FakeEngine(answers=plausible)
    job = {**OPEN, "include_entities": True}
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**job, open=True, text=SENTENCE)
            await wire.send(type="append", id="a", text=SENTENCE * 2)
            await wire.next("status", status="sentiment_progress")
            seen = wire.of("a")[-1]["seq"]
            wire.lose()
        await left(server)
        async with connected(server) as again:
            await again.resume(wire.welcome["session"], {"a": seen})
            await again.send(**job, open=True, text=SENTENCE)
            duplicate = await again.next("accepted")
            assert duplicate["duplicate"]
            await again.send(type="jobs", id="a")
            (info,) = (await again.next("reply", op="jobs"))["jobs"]
            assert (info["text_length"], info["final"]) == (3 * len(SENTENCE), False)
            await again.send(type="append", id="a", text=SENTENCE, final=True)
            done = await again.next("done")
            assert done["result"] == await result_of(again, **job, text=SENTENCE * 4)


async def test_a_live_job_goes_on_where_the_connection_was_lost():
    """Nothing new comes of a text that was revised, before the loss or after it."""
    engine = FakeEngine()
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**OPEN, live=True, text=SENTENCE * 3)
            first = await engine.calls.get()
            await wire.next("status", status="sentiment_processing")
            wire.lose()
        await left(server)
        plausible(first)
        async with connected(server) as again:
            await again.resume(wire.welcome["session"], {"a": wire.of("a")[-1]["seq"]})
            await again.next("status", status="sentiment_complete", revision=0)
            await again.send(type="revise", id="a", text="x" * 60)
            await again.next("reply", op="revise", revision=1)
            plausible(await engine.calls.get())
            await again.send(type="append", id="a", final=True)
            done = await again.next("done")
            assert (done["result"]["revision"], done["result"]["text_length"]) == (1, 60)
            late = [one for one in again.frames if one.get("revision") == 0]
            assert {one["status"] for one in late} >= {"sentiment_progress", "sentiment_complete"}


async def test_a_job_that_nobody_came_back_to_has_its_input_timeout():
    """A kept one too: its text will not come by itself."""
    async with serving(FakeEngine(), input_timeout_s=0.3) as server:
        async with connected(server) as wire:
            await wire.send(**OPEN, open=True, on_disconnect="keep", text=SENTENCE)
            await wire.next("accepted")
            wire.lose()
        await until(lambda: server.admission.live == 0)
        async with connected(server) as again:
            await again.resume(wire.welcome["session"])
            done = await again.next("done")
            assert done["error"]["code"] == "input_timeout"
            assert done["partial_result"]["text_length"] == len(SENTENCE)
