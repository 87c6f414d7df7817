"""The streamed text job: its statuses, their order, and what a failing stage leaves standing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from tests.fakes import FakeCall, FakeEngine, plausible
from wsproc.engine import DeadlineExceeded, EndReason, OutOfMemory
from wsproc.frames.client import Process
from wsproc.frames.server import JobFrame
from wsproc.tasks import JobContext, TaskResult
from wsproc.tasks.process import process

TEXT = "I love this. Ada is great! " * 5 + "I hate that. " * 5


async def run(request: Process, engine: FakeEngine) -> tuple[list, JobContext]:
    """Run a job to its end; return its events and its context."""
    job = JobContext("a", engine)
    async with aclosing(process(request, job)) as events:
        return [event async for event in events], job


def statuses(events: list) -> list[str]:
    """Return the statuses in order."""
    return [event.status for event in events if isinstance(event, JobFrame)]


def of(events: list, status: str) -> JobFrame:
    """Return the one frame that has a status."""
    (frame,) = [one for one in events if getattr(one, "status", None) == status]
    return frame


async def test_the_stream_of_a_whole_job():
    """Each stage's statuses in order, every chunk once, and a result that holds it all."""
    request = Process(text=TEXT, chunk_size=50, include_entities=True)
    events, job = await run(request, FakeEngine(answers=plausible))
    assert statuses(events)[:3] == ["started", "chunking", "chunked"]
    assert of(events, "started").text_length == len(TEXT)
    assert of(events, "chunked").chunks == 4
    by_stage = {
        "sentiment": ["processing", *["progress"] * 4, "complete"],
        "summarization": ["processing", "complete"],
        "entities": ["processing", "complete"],
    }
    for stage, expected in by_stage.items():
        own = [one.partition("_")[2] for one in statuses(events) if one.startswith(stage)]
        assert own == expected
    result = events[-1]
    assert isinstance(result, TaskResult)
    whole = of(events, "sentiment_complete")
    assert result.result["text_length"] == len(TEXT)
    assert result.result["sentiment"]["overall_sentiment"] == whole.overall_sentiment == "POSITIVE"
    assert result.result["summary"]["summary"] == "I love this."
    assert result.result["entities"]["total_entities"] == 5
    assert result.result["entities"]["entity_types"] == {"PERSON": ["Ada"] * 5}
    assert (result.result["failed_stages"], result.result["errors"]) == ([], {})
    assert job.usage == {"characters": len(TEXT), "chunks": 4}


async def test_chunk_results_come_in_chunk_order():
    """Whatever the order of the engine's results; progress never falls and ends at exactly 1."""

    def backwards(call: FakeCall) -> None:
        for item in reversed(range(len(call.items))):
            call.result(item, sentiment="NEUTRAL", confidence=1 / 3)
        call.end()

    request = Process(text=TEXT, chunk_size=50, include_summary=False)
    events, _ = await run(request, FakeEngine(answers=backwards))
    frames = [one for one in events if getattr(one, "status", "") == "sentiment_progress"]
    assert [frame.current_item for frame in frames] == [1, 2, 3, 4]
    assert [frame.progress for frame in frames] == [0.25, 0.5, 0.75, 1.0]
    assert [(frame.chunk_result.start, frame.chunk_result.end) for frame in frames] == [
        (0, 50),
        (50, 100),
        (100, 150),
        (150, len(TEXT)),
    ]
    assert {frame.chunk_result.confidence for frame in frames} == {0.3333}


@pytest.mark.parametrize(("length", "summarized"), [(100, False), (101, True)])
async def test_short_texts_are_not_summarized(length: int, summarized: bool):
    """100 characters or fewer, as in the HTTP service; the result says None then."""
    request = Process(text="x" * length, include_sentiment=False)
    events, _ = await run(request, FakeEngine(answers=plausible))
    assert ("summarization_complete" in statuses(events)) is summarized
    assert (events[-1].result["summary"] is not None) is summarized


async def test_nothing_asked_for_is_nothing_called():
    """A job without stages is the chunking alone."""
    engine = FakeEngine()
    request = Process(text=TEXT, include_sentiment=False, include_summary=False)
    events, job = await run(request, engine)
    assert statuses(events) == ["started", "chunking", "chunked"]
    assert job.calls == []
    assert events[-1].result["sentiment"] is None


async def test_the_stages_run_at_once():
    """All their calls are open before any is answered."""
    engine = FakeEngine()
    job = JobContext("a", engine)
    request = Process(text=TEXT, include_entities=True)

    async def consume() -> list:
        return [event async for event in process(request, job)]

    consumer = asyncio.create_task(consume())
    calls = [await engine.calls.get() for _ in range(3)]
    assert {call.stage for call in calls} == {"sentiment", "summary", "entities"}
    for call in calls:
        plausible(call)
    assert isinstance((await consumer)[-1], TaskResult)


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        ("sentiment", "sentiment_error"),
        ("summary", "summarization_error"),
        ("entities", "entities_error"),
    ],
)
async def test_a_stage_that_fails_ends_nothing_but_itself(stage: str, status: str):
    """Its error has a status of its own; the others go on and the result names the failed one."""

    def answer(call: FakeCall) -> None:
        if call.stage == stage:
            call.fail(OutOfMemory("it does not fit"))
            call.end()
        else:
            plausible(call)

    request = Process(text=TEXT, include_entities=True)
    events, _ = await run(request, FakeEngine(answers=answer))
    error = of(events, status).error
    assert (error.code, error.message) == ("out_of_memory", "it does not fit")
    complete = {one for one in statuses(events) if one.endswith("_complete")}
    assert len(complete) == 2
    result = events[-1].result
    assert result["failed_stages"] == [stage]
    assert result["errors"] == {
        stage: {"code": "out_of_memory", "message": "it does not fit", "retryable": False}
    }


async def test_a_stage_that_is_missing_when_called_fails_alone():
    """A model can go away between the acceptance and the call."""
    engine = FakeEngine(stages=("sentiment",), answers=plausible)
    events, _ = await run(Process(text=TEXT), engine)
    assert of(events, "summarization_error").error.code == "model_unavailable"
    assert "sentiment_complete" in statuses(events)


async def test_a_deadline_ends_the_job_and_not_a_stage():
    """It is the job's, so that no result is made to look complete."""

    def answer(call: FakeCall) -> None:
        call.end(EndReason.DEADLINE)

    with pytest.raises(DeadlineExceeded):
        await run(Process(text=TEXT), FakeEngine(answers=answer))


async def test_partial_results_grow_as_chunks_come():
    """What a client gets when it cancels is what was finished by then."""
    engine = FakeEngine()
    job = JobContext("a", engine)
    request = Process(text=TEXT, chunk_size=50, include_summary=False)
    async with aclosing(process(request, job)) as events:
        consumer = asyncio.create_task(_until(events, "sentiment_progress"))
        call = await engine.calls.get()
        call.result(0, sentiment="POSITIVE", confidence=0.5)
        await consumer
        (chunk,) = job.partial["sentiment"]["chunk_sentiments"]
        assert (chunk["chunk"], chunk["sentiment"]) == (1, "POSITIVE")
        assert job.partial["chunks"] == 4


async def _until(events: AsyncGenerator, status: str) -> None:
    async for event in events:
        if getattr(event, "status", None) == status:
            return


@pytest.mark.parametrize("chunks", [4, 40])
async def test_closing_returns_when_the_engine_has_left(chunks: int):
    """Also while frames wait for a reader: nothing of a job is left to the garbage collector."""
    engine = FakeEngine(slow_to_stop=True)
    job = JobContext("a", engine)
    events = process(Process(text="x" * 50 * chunks, chunk_size=50), job)
    consumer = asyncio.create_task(_until(events, "sentiment_progress"))
    calls = [await engine.calls.get() for _ in range(2)]
    sentiment = next(call for call in calls if call.stage == "sentiment")
    for item in range(chunks - 1):
        sentiment.result(item, sentiment="NEUTRAL", confidence=0.5)
    await consumer
    closing = asyncio.create_task(events.aclose())
    for call in calls:
        await call.cancelled.wait()
        assert not closing.done()
        call.end(EndReason.CANCELLED)
    await closing
    assert all(call.stream.end is not None for call in calls)


async def test_summaries_are_shown_as_far_as_they_are():
    """A model that gives parts has them shown; the whole follows."""

    def answer(call: FakeCall) -> None:
        call.delta(text="One")
        call.delta(text="One two")
        call.result(summary="One two.", truncated=True, windows=2)
        call.end()

    request = Process(
        text=TEXT, include_sentiment=False, summary_min_length=2, summary_max_length=9
    )
    engine = FakeEngine(answers=answer)
    events, job = await run(request, engine)
    parts = [e.partial_summary for e in events if hasattr(e, "partial_summary")]
    assert parts == ["One", "One two"]
    whole = of(events, "summarization_complete")
    assert (whole.summary, whole.truncated, whole.windows) == ("One two.", True, 2)
    assert whole.compression_ratio == round(8 / len(TEXT), 4)
    assert job.calls[0].call.items == ({"text": TEXT, "min_length": 2, "max_length": 9},)


async def test_a_defect_of_a_stage_is_no_status():
    """What is none of the engine's errors ends the job, since nobody foresaw it."""

    def answer(call: FakeCall) -> None:
        call.result(sentiment="HAPPY", confidence=0.5)

    with pytest.raises(ValueError, match="sentiment"):
        await run(Process(text=TEXT, include_summary=False), FakeEngine(answers=answer))
