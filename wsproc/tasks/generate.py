"""Text generation, token by token."""

from __future__ import annotations

import secrets

from wsproc.engine import Delta
from wsproc.frames.client import Generate
from wsproc.frames.server import GenerationStarted, Token
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.stages import Events, timestamp

SEEDS = 2**53
"""Seeds are drawn below this: whole numbers that every JSON reader keeps exact."""

SAMPLING = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop")


async def generate(request: Generate, job: JobContext) -> Events:
    """Run a `generate` job; the tokens joined are `result.text`.

    A request without a seed gets a random one, so that the engine can go on with the generation as
    it was going when a worker died.
    """
    yield GenerationStarted(
        id=job.id,
        message="Generation started",
        timestamp=timestamp(),
        prompt_length=len(request.prompt),
    )
    item = {"prompt": request.prompt, **{name: getattr(request, name) for name in SAMPLING}}
    if item["seed"] is None:
        item["seed"] = secrets.randbelow(SEEDS)
    job.partial["text"] = ""
    async with job.call("generation", [item]) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, Delta):
                job.partial["text"] += outcome.value["text"]
                yield Token(id=job.id, text=outcome.value["text"])
            else:
                result = dict(outcome.value)
                job.count(
                    prompt_tokens=result["prompt_tokens"],
                    completion_tokens=result["completion_tokens"],
                )
                yield TaskResult(result, "Generation complete")
