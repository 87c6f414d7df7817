"""The quiet job: the work of `process` with one answer."""

import asyncio
from contextlib import aclosing

import pytest

from tests.fakes import FakeCall, FakeEngine, plausible
from wsproc.engine import DeadlineExceeded, EndReason, EngineError
from wsproc.frames.client import Batch, Process
from wsproc.tasks import JobContext, TaskResult
from wsproc.tasks.batch import batch
from wsproc.tasks.process import process

TEXTS = ["I love Ada. " * 10, "I hate this text. " * 10, "A short one."]


async def test_one_text_gives_the_result_of_process():
    """The same fields with the same values, and no progress."""
    engine = FakeEngine(answers=plausible)
    (only,) = [event async for event in batch(Batch(text=TEXTS[0]), JobContext("a", engine))]
    streamed = [event async for event in process(Process(text=TEXTS[0]), JobContext("b", engine))]
    assert only.result == streamed[-1].result


async def test_many_texts_are_answered_in_their_order():
    """Each with the result that it would have alone; usage is that of all."""
    engine = FakeEngine(answers=plausible)
    job = JobContext("a", engine)
    (only,) = [event async for event in batch(Batch(texts=TEXTS), job)]
    assert isinstance(only, TaskResult)
    assert only.result["total_texts"] == 3
    overall = [one["sentiment"]["overall_sentiment"] for one in only.result["results"]]
    assert overall == ["POSITIVE", "NEGATIVE", "NEUTRAL"]
    assert [one["text_length"] for one in only.result["results"]] == [len(one) for one in TEXTS]
    assert job.usage == {"characters": sum(map(len, TEXTS)), "chunks": 3}


async def test_a_stage_that_fails_for_one_text_fails_for_that_text():
    """The others keep their results, and the job completes."""

    def answer(call: FakeCall) -> None:
        if "hate" in call.items[0]["text"]:
            call.fail(EngineError("too much"))
            call.end()
        else:
            plausible(call)

    request = Batch(texts=TEXTS, include_summary=False)
    engine = FakeEngine(answers=answer)
    (only,) = [event async for event in batch(request, JobContext("a", engine))]
    assert [one["failed_stages"] for one in only.result["results"]] == [[], ["sentiment"], []]


async def test_a_deadline_ends_the_whole_job():
    """With what was finished by then in its partial result, text by text."""

    def answer(call: FakeCall) -> None:
        if "hate" in call.items[0]["text"]:
            call.end(EndReason.DEADLINE)
        else:
            plausible(call)

    job = JobContext("a", FakeEngine(answers=answer))
    with pytest.raises(ExceptionGroup) as caught:
        await _consume(Batch(texts=TEXTS, include_summary=False), job)
    assert caught.group_contains(DeadlineExceeded)
    assert len(job.partial["results"]) == 3


@pytest.mark.parametrize("request_", [Batch(text=TEXTS[0]), Batch(texts=TEXTS)])
async def test_a_cancel_leaves_every_call(request_: Batch):
    """And returns only then."""
    engine = FakeEngine(slow_to_stop=True)
    job = JobContext("a", engine)

    consumer = asyncio.create_task(_consume(request_, job))
    texts = request_.texts or [request_.text]
    expected = sum(2 if len(text) > 100 else 1 for text in texts)
    calls = [await engine.calls.get() for _ in range(expected)]
    consumer.cancel()
    for call in calls:
        await call.cancelled.wait()
        assert not consumer.done()
        call.end(EndReason.CANCELLED)
    with pytest.raises(asyncio.CancelledError):
        await consumer


async def _consume(request: Batch, job: JobContext) -> None:
    async with aclosing(batch(request, job)) as events:
        async for _ in events:
            pass
