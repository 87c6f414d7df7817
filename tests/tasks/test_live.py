"""A text that changes: stale work stops, unchanged chunks are kept, the last text's result wins."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeCall, FakeEngine, plausible
from tests.tasks.test_growing import Open, whole
from wsproc.engine import EngineError
from wsproc.frames.client import OpenProcess, Process
from wsproc.frames.server import Started

A, B, C = (f"{letter} is great. ".rjust(50) for letter in "ABC")
ONE_CALL = {"include_summary": False, "chunk_size": 50}


class Live(Open):
    """A live job in the hands of a test."""

    def __init__(self, engine: FakeEngine, text: str, **options) -> None:
        super().__init__(OpenProcess(text=text, live=True, **options), engine)
        self.options = options

    def revise(self, text: str) -> None:
        """Let the text be another one."""
        revision = self.source.now.revision + 1
        self.source.feed(text, replace=True, revision=revision, final=False)

    def finish(self) -> None:
        """Say that the text is the last one."""
        self.source.feed("", replace=False, revision=self.source.now.revision, final=True)

    def told(self) -> list[tuple[int, str]]:
        """Return the revision and the status of every status but `started`."""
        frames = [one for one in self.events if hasattr(one, "status")]
        return [(one.revision, one.status) for one in frames if not isinstance(one, Started)]


async def test_a_revision_computes_what_changed():
    """One chunk of three; the complete result has all of them, with the offsets of today."""
    engine = FakeEngine()
    job = Live(engine, A + B + C, **ONE_CALL)
    plausible(await engine.calls.get())
    await job.settle()
    job.revise(A + "x" + B[1:] + C)
    call = await engine.calls.get()
    assert [item["text"] for item in call.items] == ["x" + B[1:]]
    plausible(call)
    await job.settle()
    assert [status for revision, status in job.told() if revision == 1] == [
        "chunking",
        "chunked",
        "sentiment_processing",
        "sentiment_progress",
        "sentiment_complete",
    ]
    assert job.progress()[-1] == (3, 3, 1.0)
    progress = [one for one in job.events if getattr(one, "status", "") == "sentiment_progress"]
    assert progress[-1].chunk_result.chunk == 2
    assert job.job.usage == {"characters": 200, "chunks": 4}
    job.finish()
    result = (await job.end()).result
    assert result["revision"] == 1
    assert [one["chunk"] for one in result["sentiment"]["chunk_sentiments"]] == [1, 2, 3]
    assert engine.calls.empty()


async def test_a_revision_stops_the_work_on_the_one_before():
    """On the device: its calls are closed before the new ones are open, and nothing more is told
    of it.
    """
    engine = FakeEngine(slow_to_stop=True)
    job = Live(engine, A + B, chunk_size=50, include_summary=False, include_entities=True)
    calls = [await engine.calls.get() for _ in range(2)]
    job.revise(A + C)
    for call in calls:
        await call.cancelled.wait()
    await job.settle()
    assert engine.calls.empty()
    assert 1 not in dict(job.told())
    for call in calls:
        call.end()
    again = [await engine.calls.get() for _ in range(2)]
    assert {call.stage for call in again} == {"sentiment", "entities"}
    for call in again:
        plausible(call)
    job.finish()
    assert (await job.end()).result["revision"] == 1
    assert (0, "sentiment_complete") not in job.told()


async def test_what_was_computed_before_the_revision_is_kept():
    """A chunk that was finished in time is not computed again."""
    engine = FakeEngine()
    job = Live(engine, A + B, **ONE_CALL)
    call = await engine.calls.get()
    call.result(0, sentiment="POSITIVE", confidence=0.75)
    await job.settle()
    job.revise(A + C)
    call = await engine.calls.get()
    assert [item["text"] for item in call.items] == [C]


async def test_revisions_that_come_meanwhile_are_one():
    """Twenty while the first is being stopped: the device sees the last alone."""
    engine = FakeEngine(slow_to_stop=True)
    job = Live(engine, A, **ONE_CALL)
    first = await engine.calls.get()
    for number in range(20):
        job.revise(f"{number}".rjust(50))
    await first.cancelled.wait()
    first.end()
    second = await engine.calls.get()
    assert second.items[0]["text"] == "19".rjust(50)
    plausible(second)
    job.finish()
    assert (await job.end()).result["revision"] == 20
    assert {revision for revision, _ in job.told()} == {0, 20}


async def test_the_same_text_again_is_told_again_and_not_computed():
    """From the memory, summary and entities included, as the revision that it is."""
    engine = FakeEngine(answers=plausible)
    job = Live(engine, A + B + C, include_entities=True)
    await job.settle()
    before = len(job.job.calls), job.job.usage.copy()
    job.revise(A + B + C)
    await job.settle()
    assert (len(job.job.calls), job.job.usage) == (0, before[1])
    first, second = ([s for r, s in job.told() if r == revision] for revision in (0, 1))
    assert {*first} - {*second} == {"sentiment_progress"}
    assert "summarization_complete" in second


async def test_the_end_neither_stops_nor_repeats_the_work():
    """`final` says that the text stays; what is under way goes on."""
    engine = FakeEngine()
    job = Live(engine, A, **ONE_CALL)
    call = await engine.calls.get()
    job.finish()
    await job.settle()
    assert not call.cancelled.is_set()
    plausible(call)
    assert (await job.end()).result["revision"] == 0
    assert engine.calls.empty()


async def test_a_stage_that_failed_is_tried_with_the_next_text():
    """And the result says nothing of what failed before."""
    failing = True

    def answer(call: FakeCall) -> None:
        if failing:
            call.fail(EngineError("no"))
            call.end()
        else:
            plausible(call)

    job = Live(FakeEngine(answers=answer), A, **ONE_CALL)
    await job.settle()
    assert (0, "sentiment_error") in job.told()
    failing = False
    job.revise(A + B)
    job.finish()
    result = (await job.end()).result
    assert result["failed_stages"] == []
    assert result["sentiment"]["positive_chunks"] == 2


async def test_a_text_may_become_empty_and_come_back():
    """As it does when somebody starts over."""
    job = Live(FakeEngine(answers=plausible), A, include_entities=True)
    await job.settle()
    job.revise("")
    await job.settle()
    assert job.job.partial["chunks"] == 0
    job.revise(A + B)
    await job.settle()
    job.finish()
    assert (await job.end()).result["chunks"] == 1


async def test_a_cancel_while_a_revision_is_worked_on_and_while_none_is():
    """The open calls are closed; the partial result is that of the latest text."""
    engine = FakeEngine()
    job = Live(engine, A, **ONE_CALL)
    call = await engine.calls.get()
    await job.cancel()
    assert call.cancelled.is_set()
    job = Live(FakeEngine(answers=plausible), A, **ONE_CALL)
    await job.settle()
    await job.cancel()
    assert job.job.partial["sentiment"]["positive_chunks"] == 1


async def test_many_revisions_leave_no_calls_behind():
    """A job that is revised all day holds no more than one that is new; its first work is kept."""
    engine = FakeEngine(answers=plausible)
    job = Live(engine, A, **ONE_CALL)
    await job.settle()
    began = job.job.first_work()
    for number in range(50):
        job.revise(f"{number}".rjust(50))
        await job.settle()
    assert job.job.calls == []
    assert job.job.first_work() == began


TEXTS = st.lists(st.sampled_from([A, B, C, "I hate it. ", "x", "\n\n"]), max_size=5).map("".join)


@given(
    TEXTS,
    st.lists(st.tuples(TEXTS, st.integers(0, 2)), max_size=8),
    st.sampled_from(["fixed", "sentence"]),
)
def test_any_series_of_revisions_ends_like_the_last_text(
    text: str, steps: list[tuple[str, int]], split: str
):
    """Submitted alone; and no frame of a revision comes behind one of a later one."""
    options = {"split": split, "chunk_size": 50, "include_entities": True}

    async def type_on() -> Live:
        job = Live(FakeEngine(answers=plausible), text, **options)
        for step, pauses in steps:
            job.revise(step)
            for _ in range(pauses):
                await job.settle()
        job.finish()
        await job.end()
        return job

    job = asyncio.run(type_on())
    last = steps[-1][0] if steps else text
    expected, _ = asyncio.run(whole(Process.model_construct(text=last, **options)))
    assert dict(job.events[-1].result) == {**expected, "revision": len(steps)}
    revisions = [revision for revision, _ in job.told()]
    assert revisions == sorted(revisions)
