"""How the Python client is used, for the type checker alone: checked by mypy, never executed.

A line that ceases to check is a change for every typed program that uses the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import assert_type

import wsproc
import wsproc.sync
from wsproc.client import (
    BatchResult,
    Chunk,
    ConnectionState,
    Entity,
    GenerateResult,
    Job,
    ProcessResult,
    Result,
    Submission,
    SyncJob,
)
from wsproc.frames.errors import ErrorCode
from wsproc.frames.server import Cancelled, CancelReply, Completed, Failed, JobFrame, JobInfo


async def token() -> str:
    """A token from elsewhere."""
    return "secret"


def watch(state: ConnectionState) -> None:
    """What a user interface does with a state."""
    if state.phase == "reconnecting":
        assert_type(state.delay_s, float | None)


def opening() -> None:
    """Every way to say what `connect` wants."""
    wsproc.connect()
    wsproc.connect("wss://example.org", token="secret", reconnect=False, resubmit=True)
    wsproc.connect(token=lambda: "secret", on_state=watch, tap=print, resubmit=["process", "mine"])
    wsproc.connect(token=token, reconnect=wsproc.Reconnect(max_tries=5), open_timeout_s=3)
    wsproc.connect(token=3)  # type: ignore[arg-type]
    wsproc.Reconnect(3)  # type: ignore[call-arg]


async def jobs(client: wsproc.Client) -> None:
    """A job of each task, its events and its result."""
    submission = client.process("text", chunk_size=100, split="sentence", on_disconnect="keep")
    assert_type(submission, Submission[ProcessResult])
    job = await submission
    assert_type(job, Job[ProcessResult])
    async for event in job:
        assert_type(event, JobFrame)
    assert_type(await job.wait(), Completed | Cancelled | Failed)
    result = await job.result(timeout=3)
    assert_type(result, ProcessResult)
    assert_type(await client.process("text").result(), ProcessResult)
    assert_type(await client.batch("text").result(), ProcessResult)
    assert_type(await client.batch(texts=["a", "b"]).result(), BatchResult)
    assert_type(await client.generate("prompt", stop=["."]).result(), GenerateResult)
    assert_type(await client.submit("mine", anything=1).result(), Result)
    async for token in client.generate("prompt").tokens():
        assert_type(token, str)
    async with client.generate("prompt") as running:
        assert_type(running, Job[GenerateResult])
    assert_type(await job.cancel(), CancelReply)
    assert_type(await client.jobs(), list[JobInfo])
    client.process("text", chunk_sise=100)  # type: ignore[call-arg]
    client.process("text", split="word")  # type: ignore[arg-type]
    client.batch("text", texts=["b"])  # type: ignore[call-overload]
    client.generate("prompt", max_tokens="3")  # type: ignore[arg-type]


async def at_once(client: wsproc.Client) -> None:
    """A submit is a coroutine for everyone who takes one."""
    one, two = await asyncio.gather(client.process("text"), client.generate("prompt"))
    assert_type(one, Job[ProcessResult])
    assert_type(two, Job[GenerateResult])
    assert_type(asyncio.create_task(client.process("text")), asyncio.Task[Job[ProcessResult]])


def any_job(job: Job) -> str:
    """Take a job of any task: without a parameter its result is the plain one."""
    return job.id


async def any_job_is_given(client: wsproc.Client) -> None:
    """A job with a result of its own is also one of any."""
    any_job(await client.process("text"))


async def texts() -> AsyncIterator[str]:
    """Texts from elsewhere."""
    yield "text"


async def mapping(client: wsproc.Client) -> None:
    """`map` knows the result of each built-in task, and that errors may stand in for results."""
    async for processed in client.map(["a", "b"], chunk_size=100):
        assert_type(processed, ProcessResult)
    async for number, generated in client.map(texts(), task="generate", ordered=False).enumerate():
        assert_type(number, int)
        assert_type(generated, GenerateResult)
    async for either in client.map(["a"], return_exceptions=True):
        assert_type(either, ProcessResult | wsproc.WsprocError)
    async with client.map([{"text": "a", "id": "b"}], concurrency=4) as results:
        assert_type(await anext(results), ProcessResult)
    client.map(["a"], max_tokens=3)  # type: ignore[call-overload]
    client.map([1])  # type: ignore[list-item]


def results(processed: ProcessResult, batch: BatchResult, generated: GenerateResult) -> None:
    """Attributes are typed, keys are the wire's."""
    assert_type(processed.chunks, list[Chunk])
    assert_type(processed.entities, list[Entity])
    assert_type(processed.summary, str | None)
    assert_type(processed.chunks[0].confidence, float)
    assert_type(batch.results, list[ProcessResult])
    assert_type(generated.text, str)
    processed["sentiment"]["overall_sentiment"]


def errors(error: wsproc.WsprocError) -> ErrorCode | int | str | None:
    """Each error has its own facts."""
    match error:
        case wsproc.Unauthorized():
            return error.close_code
        case wsproc.JobLost():
            return error.job_id
        case wsproc.ConnectionLost():
            return error.close_code
        case wsproc.JobRejected() | wsproc.JobFailed():
            return error.code
        case wsproc.JobCancelled():
            return error.reason
        case _:
            return None


def blocking() -> None:
    """The blocking client has the same types."""
    with wsproc.connect_sync(token="secret") as client:
        assert_type(client, wsproc.sync.Client)
        job = client.process("text")
        assert_type(job, SyncJob[ProcessResult])
        for event in job:
            assert_type(event, JobFrame)
        assert_type(job.result(), ProcessResult)
        assert_type(client.batch(texts=["a"]).result(), BatchResult)
        for token in client.generate("prompt").tokens():
            assert_type(token, str)
        for generated in client.map(["a"], task="generate"):
            assert_type(generated, GenerateResult)
        for number, either in client.map(["a"], return_exceptions=True).enumerate():
            assert_type(number, int)
            assert_type(either, ProcessResult | wsproc.WsprocError)
