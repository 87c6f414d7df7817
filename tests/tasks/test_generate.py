"""Generation: tokens as they come, and a result that is their concatenation."""

import asyncio

import pytest

from tests.fakes import FakeCall, FakeEngine, plausible
from wsproc.engine import EndReason, InvalidItem
from wsproc.engine.stream import MOST_APART
from wsproc.frames.client import Generate
from wsproc.frames.server import GenerationStarted, JobFrame, Token
from wsproc.tasks import JobContext, TaskResult
from wsproc.tasks.generate import MOST_JOINED, generate
from wsproc.tasks.stages import Events


async def test_the_tokens_joined_are_the_text():
    """`started` with the prompt's length, the tokens, the result; usage counts both sides."""
    job = JobContext("a", FakeEngine(answers=plausible))
    started, *tokens, result = [event async for event in generate(Generate(prompt="Hi you"), job)]
    assert isinstance(started, GenerationStarted)
    assert started.prompt_length == 6
    assert all(isinstance(token, Token) for token in tokens)
    assert isinstance(result, TaskResult)
    assert "".join(token.text for token in tokens) == result.result["text"] == job.partial["text"]
    assert job.usage == {"prompt_tokens": 2, "completion_tokens": 5}


async def test_every_sampling_field_reaches_the_model():
    """What is left out is None, the model's own default, but for the seed."""
    engine = FakeEngine()
    request = Generate(prompt="x", max_tokens=3, temperature=0.5, top_k=2, seed=1, stop=["."])
    reader = asyncio.create_task(_collect(request, JobContext("a", engine)))
    call = await engine.calls.get()
    assert call.stage == "generation"
    assert call.items == (
        {
            "prompt": "x",
            "max_tokens": 3,
            "temperature": 0.5,
            "top_p": None,
            "top_k": 2,
            "seed": 1,
            "stop": ["."],
        },
    )
    plausible(call)
    assert isinstance((await reader)[-1], TaskResult)


async def test_a_generation_that_is_stopped_has_consumed_what_it_made():
    """Its usage has the tokens so far, as the model told them last."""
    job, events, first, call = await _begun()
    for made in (1, 3):
        call.delta(text="word ", prompt_tokens=4, completion_tokens=made)
    await first
    await anext(events)
    await events.aclose()
    assert call.cancelled.is_set()
    assert job.usage == {"prompt_tokens": 4, "completion_tokens": 3}


async def test_a_generation_that_is_held_back_loses_nothing():
    """Its reader pauses while the model goes on: tokens are merged, counts are the last ones."""
    job, events, first, call = await _begun()
    for made in range(1, 1001):
        call.delta(text=f"{made} ", prompt_tokens=4, completion_tokens=made)
    tokens = [await first]
    while job.partial["text"] != "".join(call.said):
        tokens.append(await anext(events))
    await events.aclose()
    assert "".join(token.text for token in tokens) == job.partial["text"]
    assert len(tokens) < MOST_APART + len(job.partial["text"]) / MOST_JOINED + 1
    assert max(len(token.text) for token in tokens) < MOST_JOINED + 10
    assert job.usage == {"prompt_tokens": 4, "completion_tokens": 1000}


async def test_a_request_without_a_seed_gets_a_random_one():
    """One that its worker's death does not change; JSON readers keep it exact."""
    seeds = set()

    def answer(call: FakeCall) -> None:
        seeds.add(call.items[0]["seed"])
        plausible(call)

    for _ in range(5):
        await _collect(Generate(prompt="x"), JobContext("a", FakeEngine(answers=answer)))
    assert len(seeds) == 5
    assert all(0 <= seed < 2**53 for seed in seeds)


async def test_a_seed_of_0_is_a_seed():
    """Though it is falsy."""
    seeds = []

    def answer(call: FakeCall) -> None:
        seeds.append(call.items[0]["seed"])
        plausible(call)

    await _collect(Generate(prompt="x", seed=0), JobContext("a", FakeEngine(answers=answer)))
    assert seeds == [0]


async def test_an_item_that_the_model_refuses_fails_the_job():
    """There is nothing else to go on with; what came before stays in the partial result."""

    def answer(call: FakeCall) -> None:
        call.delta(text="so far")
        call.fail(InvalidItem("the prompt is too long"))
        call.end()

    job = JobContext("a", FakeEngine(answers=answer))
    with pytest.raises(InvalidItem, match="the prompt is too long"):
        await _collect(Generate(prompt="x"), job)
    assert job.partial == {"text": "so far"}


async def test_closing_leaves_the_call_first():
    """The engine has left when the generator is closed, also right behind a token."""
    engine = FakeEngine(slow_to_stop=True)
    events = generate(Generate(prompt="x"), JobContext("a", engine))
    await anext(events)
    token = asyncio.ensure_future(anext(events))
    call = await engine.calls.get()
    call.delta(text="t")
    await token
    closing = asyncio.create_task(events.aclose())
    await call.cancelled.wait()
    assert not closing.done()
    call.end(EndReason.CANCELLED)
    await closing


async def _collect(request: Generate, job: JobContext) -> list:
    return [event async for event in generate(request, job)]


async def _begun() -> tuple[JobContext, Events, asyncio.Future[JobFrame | TaskResult], FakeCall]:
    """Return a generation that waits for its first token, its job and its call of the engine."""
    engine = FakeEngine()
    job = JobContext("a", engine)
    events = generate(Generate(prompt="x"), job)
    await anext(events)
    first = asyncio.ensure_future(anext(events))
    return job, events, first, await engine.calls.get()
