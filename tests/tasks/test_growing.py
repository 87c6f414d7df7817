"""A text that is still coming: what is told when, and that it ends like the whole at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeCall, FakeEngine, plausible
from tests.tasks.test_process import of, statuses
from wsproc.engine import EngineError
from wsproc.frames.client import Batch, OpenBatch, OpenProcess, Process, TextOptions
from wsproc.frames.server import JobFrame
from wsproc.tasks import JobContext, TaskResult
from wsproc.tasks.batch import batch
from wsproc.tasks.job_input import JobInput
from wsproc.tasks.process import process


class Open:
    """An open job in the hands of a test: it appends, and looks at what has come."""

    def __init__(self, request: TextOptions, engine: FakeEngine) -> None:
        self.source = JobInput(request.text or "")
        self.job = JobContext("a", engine, input=self.source)
        self.events: list[JobFrame | TaskResult] = []
        task = batch if isinstance(request, Batch) else process
        self._consumer = asyncio.create_task(self._consume(task(request, self.job)))

    async def _consume(self, events: AsyncGenerator) -> None:
        async with aclosing(events):
            async for event in events:
                self.events.append(event)

    def append(self, text: str, *, final: bool = False) -> None:
        """Let more of the text come."""
        self.source.feed(text, replace=False, revision=0, final=final)

    async def settle(self) -> None:
        """Let all happen that can."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def end(self) -> TaskResult:
        """Wait for the result."""
        await self._consumer
        result = self.events[-1]
        assert isinstance(result, TaskResult)
        return result

    async def cancel(self) -> None:
        """Stop the job, as a runner does."""
        self._consumer.cancel()
        await asyncio.gather(self._consumer, return_exceptions=True)
        assert self._consumer.cancelled()

    def progress(self) -> list[tuple[int, int, float]]:
        """Return what the progress frames said."""
        return [
            (one.current_item, one.total_items, one.progress)
            for one in self.events
            if getattr(one, "status", "") == "sentiment_progress"
        ]


async def whole(request: TextOptions) -> tuple[dict, dict]:
    """Return the result and the usage of the text submitted at once."""
    job = JobContext("a", FakeEngine(answers=plausible))
    task = batch if isinstance(request, Batch) else process
    events = [event async for event in task(request, job)]
    return dict(events[-1].result), job.usage


async def test_chunks_are_told_as_they_come_and_the_rest_at_the_end():
    """Chunk results while the text is open; its number of chunks, summary and entities after."""
    request = OpenProcess(text="I love this. ", open=True, chunk_size=50, include_entities=True)
    job = Open(request, FakeEngine(answers=plausible))
    await job.settle()
    assert statuses(job.events) == ["started", "chunking", "sentiment_processing"]
    assert of(job.events, "started").text_length == 13
    job.append("Ada is great! " * 7)
    await job.settle()
    assert job.progress() == [(1, 3, 1 / 3), (2, 3, 2 / 3)]
    assert not {"chunked", "summarization_processing"} & {*statuses(job.events)}
    assert job.job.partial["text_length"] == 111
    assert len(job.job.partial["sentiment"]["chunk_sentiments"]) == 2
    job.append("I hate it.", final=True)
    result = await job.end()
    assert of(job.events, "chunked").chunks == 3
    assert job.progress()[-1] == (3, 3, 1.0)
    assert {"sentiment_complete", "summarization_complete", "entities_complete"} <= {
        *statuses(job.events)
    }
    text = "I love this. " + "Ada is great! " * 7 + "I hate it."
    request = Process(text=text, chunk_size=50, include_entities=True)
    assert (dict(result.result), job.job.usage) == await whole(request)


async def test_no_chunk_waits_for_the_one_before():
    """Its call is open at once, however long another takes; results come in chunk order."""
    engine = FakeEngine()
    job = Open(OpenProcess(text="x" * 50, open=True, chunk_size=50, include_summary=False), engine)
    first = await engine.calls.get()
    job.append("y" * 100)
    second = await engine.calls.get()
    assert [len(call.items) for call in (first, second)] == [1, 2]
    plausible(second)
    await job.settle()
    assert job.progress() == []
    plausible(first)
    await job.settle()
    assert [current for current, _, _ in job.progress()] == [1, 2, 3]
    job.append("", final=True)
    result = (await job.end()).result["sentiment"]
    assert [one["start"] for one in result["chunk_sentiments"]] == [0, 50, 100]


async def test_progress_does_not_fall_when_more_comes_than_was_expected():
    """And it is 1 only when all is there."""
    engine = FakeEngine(answers=plausible)
    job = Open(OpenProcess(text="x" * 200, open=True, chunk_size=50, include_summary=False), engine)
    await job.settle()
    job.append("y" * 400)
    await job.settle()
    told = [progress for _, _, progress in job.progress()]
    assert told == sorted(told)
    assert len(told) == 12
    assert told[-1] < 1
    job.append("z", final=True)
    await job.end()
    assert job.progress()[-1] == (13, 13, 1.0)


async def test_a_stage_that_fails_ends_itself_alone():
    """The chunks are still counted, and the other stages do their work at the end."""

    def answer(call: FakeCall) -> None:
        if call.stage == "sentiment":
            call.fail(EngineError("too much"))
            call.end()
        else:
            plausible(call)

    engine = FakeEngine(answers=answer)
    job = Open(OpenProcess(text="x" * 60, open=True, chunk_size=50), engine)
    await job.settle()
    assert "sentiment_error" in statuses(job.events)
    job.append("I love it. " * 9, final=True)
    result = (await job.end()).result
    assert (result["failed_stages"], result["chunks"]) == (["sentiment"], 4)
    assert result["summary"]["summary"].startswith("x" * 60)


@pytest.mark.parametrize("request_", [OpenProcess(open=True), OpenBatch(open=True)])
async def test_a_cancel_while_the_text_is_awaited(request_: TextOptions):
    """Nothing is left waiting; what came is in the partial result."""
    job = Open(request_, FakeEngine())
    job.append("some of it")
    await job.settle()
    await job.cancel()
    assert job.job.partial["text_length"] == 10


async def test_a_cancel_while_chunks_are_computed():
    """Every open call is closed, those of the chunks before and after."""
    engine = FakeEngine()
    job = Open(OpenProcess(text="x" * 50, open=True, chunk_size=50), engine)
    first = await engine.calls.get()
    job.append("y" * 50)
    second = await engine.calls.get()
    await job.cancel()
    assert first.cancelled.is_set()
    assert second.cancelled.is_set()


async def test_a_quiet_job_may_be_open_too():
    """One answer at the end, that of the whole."""
    job = Open(OpenBatch(open=True, include_entities=True), FakeEngine(answers=plausible))
    for piece in ("I love ", "Ada. I hate ", "it."):
        job.append(piece)
        await job.settle()
    assert job.events == []
    job.append("", final=True)
    result = await job.end()
    text = "I love Ada. I hate it."
    assert dict(result.result) == (await whole(Batch(text=text, include_entities=True)))[0]


TEXTS = st.lists(
    st.sampled_from(
        [
            "I love it. ",
            "I hate it! ",
            "Ada said: Zoë is slow.",
            "\n\n",
            "😀",
            " and so on",
            "so. it",
        ]
    ),
    min_size=2,
    max_size=30,
).map("".join)


@given(
    TEXTS,
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12),
    st.sampled_from(["fixed", "sentence"]),
    st.booleans(),
)
def test_any_cut_into_appends_ends_like_the_whole(
    text: str, steps: list[tuple[int, bool]], split: str, ends_at_once: bool
):
    """The result, the usage and the chunk results that were told, in order, each once."""
    options = {"split": split, "chunk_size": 50, "include_entities": True}

    async def grow() -> Open:
        job, at = Open(OpenProcess(open=True, **options), FakeEngine(answers=plausible)), 0
        for length, pause in steps:
            job.append(text[at : at + length])
            at += length
            if pause:
                await job.settle()
        if not ends_at_once:
            job.append(text[at:])
            at = len(text)
            await job.settle()
        job.append(text[at:], final=True)
        await job.end()
        return job

    text = text.ljust(10)
    job = asyncio.run(grow())
    expected = asyncio.run(whole(Process(text=text, **options)))
    assert (dict(job.events[-1].result), job.job.usage) == expected
    told = [one.chunk_result for one in job.events if hasattr(one, "chunk_result")]
    assert [one.model_dump() for one in told] == expected[0]["sentiment"]["chunk_sentiments"]
    progress = [one for _, _, one in job.progress()]
    assert progress == sorted(progress)
    assert 1.0 not in progress[:-1]
