"""A call as its caller sees it."""

import asyncio

import pytest

from wsproc.engine import (
    Call,
    CallStream,
    DeadlineExceeded,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    Result,
)
from wsproc.engine.call import Value
from wsproc.engine.stream import MOST_APART

CALL = Call(7, "s", ({}, {}))


def make() -> tuple[CallStream, list[int]]:
    """Return a stream and the list of the ids that it cancels."""
    cancels: list[int] = []
    return CallStream(CALL, cancels.append), cancels


def end(reason: EndReason = EndReason.COMPLETED) -> End:
    """Return the call's end."""
    return End(7, reason, 1.0, 2.0)


async def test_outcomes_come_in_order_until_the_end():
    """Those that came before the reader did, and those that came after."""
    stream, cancels = make()
    stream.feed(Delta(7, 0, {"t": 1}))
    reader = asyncio.create_task(_collect(stream))
    await asyncio.sleep(0)
    stream.feed(Result(7, 0, {"t": 2}))
    stream.feed(Result(7, 1, {"t": 3}))
    await asyncio.sleep(0)
    assert not reader.done()
    stream.feed(end())
    assert await reader == [Delta(7, 0, {"t": 1}), Result(7, 0, {"t": 2}), Result(7, 1, {"t": 3})]
    assert stream.end == end()
    assert cancels == []


async def test_iterating_raises_the_first_failure_and_outcomes_does_not():
    """Who wants the other items all the same asks for the outcomes."""
    fed = [Failure(7, 0, EngineError("broken")), Result(7, 1, {}), end()]
    stream, _ = make()
    for outcome in fed:
        stream.feed(outcome)
    with pytest.raises(EngineError, match="broken"):
        await _collect(stream)
    stream, _ = make()
    for outcome in fed:
        stream.feed(outcome)
    assert [one async for one in stream.outcomes()] == fed[:2]


async def test_results_leaves_the_deltas_out():
    """For callers that want the whole of each item alone."""
    stream, _ = make()
    for outcome in (Delta(7, 0, {}), Result(7, 0, {"x": 1}), Delta(7, 1, {}), end()):
        stream.feed(outcome)
    assert [one async for one in stream.results()] == [Result(7, 0, {"x": 1})]


async def test_a_deadline_is_raised_behind_what_came():
    """What was finished in time is not lost."""
    stream, _ = make()
    stream.feed(Result(7, 0, {}))
    stream.feed(end(EndReason.DEADLINE))
    assert await anext(aiter(stream)) == Result(7, 0, {})
    with pytest.raises(DeadlineExceeded, match="the deadline passed before the work was finished"):
        await _collect(stream)


def joined(earlier: Value, later: Value) -> Value:
    """Merge two deltas."""
    return {"text": earlier["text"] + later["text"]}


async def test_the_deltas_of_a_caller_that_pauses_are_merged():
    """The engine goes on meanwhile: what waits is bounded, and nothing of it is lost."""
    stream, _ = make()
    stream.merge = joined
    words = [f"{number} " for number in range(5000)]
    for word in words:
        stream.feed(Delta(7, 0, {"text": word}))
        if word == "4000 ":
            stream.feed(Delta(7, 1, {"text": word}))
    stream.feed(Result(7, 0, {"text": "".join(words)}))
    stream.feed(end())
    *deltas, result = await _collect(stream)
    assert len(deltas) == MOST_APART + 2
    assert [one.value["text"] for one in deltas[: MOST_APART - 1]] == words[: MOST_APART - 1]
    assert "".join(one.value["text"] for one in deltas if one.item == 0) == result.value["text"]
    assert [one.value["text"] for one in deltas if one.item == 1] == ["4000 "]


async def test_deltas_that_nobody_can_merge_wait_as_they_are():
    """Only their caller knows what they mean."""
    stream, _ = make()
    for number in range(MOST_APART + 3):
        stream.feed(Delta(7, 0, {"n": number}))
    stream.feed(end())
    assert [one.value["n"] for one in await _collect(stream)] == [*range(MOST_APART + 3)]


async def test_leaving_early_cancels_once_and_waits_for_the_end():
    """`stop_ms` then is the time from the cancel to the end."""
    stream, cancels = make()

    async def leave() -> None:
        async with stream:
            pass

    leaving = asyncio.create_task(leave())
    again = asyncio.create_task(stream.aclose())
    for _ in range(3):
        await asyncio.sleep(0)
    assert cancels == [7]
    assert not leaving.done()
    assert not again.done()
    stream.feed(Result(7, 0, {}))
    stream.feed(end(EndReason.CANCELLED))
    await asyncio.gather(leaving, again)
    assert stream.end is not None
    assert stream.end.stop_ms is not None
    assert stream.end.stop_ms >= 0


async def test_leaving_behind_the_end_cancels_nothing():
    """A finished call has no stop time."""
    stream, cancels = make()
    stream.feed(end())
    async with stream:
        pass
    assert cancels == []
    assert stream.end.stop_ms is None


async def test_a_reader_and_a_closer_at_once():
    """Neither misses what wakes the other."""
    stream, _ = make()
    reader = asyncio.create_task(_collect(stream))
    await asyncio.sleep(0)
    closer = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    stream.feed(Delta(7, 0, {}))
    await asyncio.sleep(0)
    stream.feed(end(EndReason.CANCELLED))
    _, seen = await asyncio.gather(closer, reader)
    assert seen == [Delta(7, 0, {})]


async def test_a_cancelled_reader_still_waits_for_the_engine():
    """`async with` under a cancel: the error goes on once the engine has left."""
    stream, cancels = make()

    async def read() -> None:
        async with stream:
            async for _ in stream:
                pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    reader.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert cancels == [7]
    assert not reader.done()
    stream.feed(end(EndReason.CANCELLED))
    with pytest.raises(asyncio.CancelledError):
        await reader


@pytest.mark.parametrize(
    ("fed", "times"),
    [
        ([Delta(7, 0, {}), Result(7, 0, {}), end()], 1),
        ([end()], 1),
        ([end(EndReason.CANCELLED)], 0),
        ([end(EndReason.DEADLINE)], 0),
        ([], 0),
    ],
)
async def test_the_first_work_is_told_once(fed: list, times: int):
    """A call that ended before anything of it ran has had none."""
    stream, _ = make()
    told = []
    stream.on_first = lambda: told.append(1)
    for outcome in fed:
        stream.feed(outcome)
    assert len(told) == times


async def _collect(stream: CallStream) -> list:
    return [outcome async for outcome in stream]
