"""`map`: many inputs, a bounded number at once, in order or as they complete."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

import wsproc
from tests.client.scripted import Peer, scripted
from tests.fakes import UNENDING, FakeEngine, plausible, serving
from wsproc.client import GenerateResult, ProcessResult

PATIENCE_S = 20


def text(n: int) -> str:
    """The n-th text, long enough for a server."""
    return f"text number {n}"


@asynccontextmanager
async def client_of(engine: FakeEngine, **settings):
    """A client of a server with this engine."""
    async with serving(engine, **settings) as server, wsproc.connect(server.url) as client:
        yield client


def finish(call, words: str = "done") -> None:
    """Complete a generation by hand."""
    call.result(text=words, prompt_tokens=1, completion_tokens=1)
    call.end()


async def test_results_come_in_the_order_of_the_inputs():
    """Each result is that of its input, with its text, whatever came first."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        texts = [f"{'good' if n % 2 else 'bad'} {text(n)}" for n in range(40)]
        results = [result async for result in client.map(texts, include_summary=False)]
    assert [result.text for result in results] == texts
    assert all(isinstance(result, ProcessResult) for result in results)
    assert [result.sentiment for result in results[:2]] == ["NEGATIVE", "POSITIVE"]


async def test_an_earlier_input_is_waited_for():
    """A result that is ready before its turn waits for it."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        results = client.map(["one", "two"], task="generate")
        first = asyncio.create_task(anext(results))
        calls = [await engine.calls.get() for _ in range(2)]
        finish(calls[1], "second")
        await client.ping()
        assert not first.done()
        finish(calls[0], "first")
        assert [(await first).text, (await anext(results)).text] == ["first", "second"]
        with pytest.raises(StopAsyncIteration):
            await anext(results)


async def test_unordered_results_come_as_they_complete_and_tell_their_number():
    """`ordered=False` hands out what is ready; `enumerate` says which input it was."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        pairs = client.map(["zero", "one", "two"], task="generate", ordered=False).enumerate()
        first = asyncio.create_task(anext(pairs))
        made = [await engine.calls.get() for _ in range(3)]
        calls = {call.items[0]["prompt"]: call for call in made}
        finish(calls["two"])
        number, result = await first
        assert (number, result.prompt) == (2, "two")
        assert isinstance(result, GenerateResult)
        finish(calls["zero"])
        finish(calls["one"])
        assert sorted([number async for number, _ in pairs]) == [0, 1]


async def test_an_endless_input_is_read_only_as_there_is_room():
    """No more inputs are read than may run, and no more run than `concurrency`."""
    engine = FakeEngine()
    read = []

    def endless():
        for n in itertools.count():
            read.append(n)
            yield f"prompt {n}"

    async with client_of(engine) as client:
        async with client.map(endless(), task="generate", concurrency=3) as results:
            asking = asyncio.create_task(anext(results))
            calls = [await engine.calls.get() for _ in range(3)]
            await client.ping()
            assert read == [0, 1, 2]
            assert len(await client.jobs()) == 3
            for call in calls[1:]:  # what is ready ahead of its turn is bounded too
                finish(call)
            calls += [await engine.calls.get() for _ in range(2)]
            for call in calls[3:]:
                finish(call)
            calls.append(await engine.calls.get())
            await client.ping()
            assert read == [0, 1, 2, 3, 4, 5]
            finish(calls[0])
            assert (await asking).prompt == "prompt 0"
        await calls[-1].cancelled.wait()
    assert len(read) <= 7


async def test_inputs_may_be_async_and_mappings():
    """An async iterator is awaited; a mapping gives a job's own fields over the common ones."""

    async def inputs():
        yield {"text": text(1), "id": "mine", "chunk_size": 50}
        await asyncio.sleep(0)
        yield text(2)

    heard: list[str] = []
    async with (
        serving(FakeEngine(answers=plausible)) as server,
        wsproc.connect(server.url, tap=heard.append) as client,
    ):
        results = [r async for r in client.map(inputs(), chunk_size=60, include_summary=False)]
    assert [result.text for result in results] == [text(1), text(2)]
    assert any('"id":"mine"' in message for message in heard)


async def test_a_failure_ends_the_iteration_and_cancels_the_rest():
    """What a job raises is raised at its turn; the others are stopped on the server."""
    engine = FakeEngine()
    async with client_of(engine) as client:
        results = client.map([text(1), {"text": "short"}, text(3)], include_summary=False)
        asking = asyncio.create_task(anext(results))
        calls = [await engine.calls.get() for _ in range(2)]
        calls[0].result(sentiment="NEUTRAL", confidence=0.5)
        calls[0].end()
        assert (await asking).text == text(1)
        with pytest.raises(wsproc.JobRejected):
            await anext(results)
        await calls[1].cancelled.wait()


async def test_errors_may_take_the_place_of_results():
    """With `return_exceptions` the iteration goes on over a rejected job."""
    async with client_of(FakeEngine(answers=plausible)) as client:
        inputs = [text(1), "short", text(3)]
        results = client.map(inputs, include_summary=False, return_exceptions=True)
        first, second, third = [result async for result in results]
    assert isinstance(first, ProcessResult)
    assert isinstance(second, wsproc.JobRejected)
    assert second.path == "text"
    assert isinstance(third, ProcessResult)


async def test_leaving_early_cancels_what_is_left():
    """`break` is enough: the jobs that still run are stopped, and no further input is read."""
    read = []

    def inputs():
        for n in itertools.count():
            read.append(n)
            yield f"prompt {n}" if n == 0 else f"{UNENDING} {n}"

    async with client_of(FakeEngine(answers=plausible)) as client:
        async for result in client.map(inputs(), task="generate", concurrency=4):
            assert result.prompt == "prompt 0"
            break
        async with asyncio.timeout(PATIENCE_S):
            while any(job.state != "done" for job in await client.jobs()):
                await client.ping()
    assert len(read) <= 5


async def test_a_busy_server_is_asked_again():
    """`too_many_jobs`, `queue_full` and `rate_limited` are waited out, for `retry_after_ms`."""
    seen = []

    async def busy(peer: Peer) -> None:
        await peer.welcome()
        for code in ("too_many_jobs", "queue_full", "rate_limited"):
            frame = await peer.receive("generate")
            seen.append(frame["prompt"])
            error = {"code": code, "message": "", "retryable": True, "retry_after_ms": 5}
            if code == "rate_limited":
                await peer.send("error", error=error, re={"type": "generate", "id": frame["id"]})
            else:
                await peer.send("rejected", id=frame["id"], error=error)
        frame = await peer.receive("generate")
        seen.append(frame["prompt"])
        await peer.accept(frame["id"])
        await peer.complete(2, "at last", job=frame["id"])

    async with scripted(busy) as url, wsproc.connect(url) as client:
        results = [r async for r in client.map(["one"], task="generate", concurrency=2)]
    assert [result.text for result in results] == ["at last"]
    assert seen == ["one"] * 4


async def test_more_jobs_than_the_server_takes_all_come_through():
    """A concurrency above the server's limit costs retries, not results."""
    async with client_of(FakeEngine(answers=plausible), max_jobs_per_connection=2) as client:
        prompts = [f"prompt {n}" for n in range(6)]
        results = [r async for r in client.map(prompts, task="generate", concurrency=6)]
    assert [result.prompt for result in results] == prompts


async def test_mistakes_are_told_before_anything_is_sent():
    """A concurrency of nothing, one id for all, a text for a task of one's own."""
    client = wsproc.connect()
    with pytest.raises(ValueError, match="concurrency"):
        client.map([], concurrency=0)
    with pytest.raises(ValueError, match="id: each job needs its own"):
        client.map([], task="own", id="a")
    with pytest.raises(ValueError, match="mapping"):
        await anext(client.map(["text"], task="own"))


async def test_an_error_of_the_input_is_raised_and_cancels_the_rest():
    """What the caller's iterator raises is not swallowed."""
    engine = FakeEngine()

    def inputs():
        yield "one"
        raise RuntimeError("the disk is gone")

    async with client_of(engine) as client:
        asking = asyncio.create_task(anext(client.map(inputs(), task="generate")))
        call = await engine.calls.get()
        with pytest.raises(RuntimeError, match="disk"):
            await asking
        await call.cancelled.wait()


async def test_no_input_gives_no_result():
    """An empty input ends at once."""
    async with client_of(FakeEngine()) as client:
        assert [result async for result in client.map([])] == []
