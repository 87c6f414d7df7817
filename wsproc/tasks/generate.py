"""Text generation, token by token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from wsproc.engine import Delta
from wsproc.frames.client import Generate
from wsproc.frames.server import GenerationStarted, Token
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.stages import Events, timestamp

SEEDS = 2**53
"""Seeds are drawn below this: whole numbers that every JSON reader keeps exact."""

MOST_JOINED = 1024
"""Characters of one delta to which no more is joined: a frame stays one that clients can take."""

COUNTS = ("prompt_tokens", "completion_tokens")

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
    async with job.call("generation", [item], merge=_join) as outcomes:
        async for outcome in outcomes:
            _count(job, outcome.value)
            if isinstance(outcome, Delta):
                job.partial["text"] += outcome.value["text"]
                yield Token(id=job.id, text=outcome.value["text"])
            else:
                yield TaskResult(dict(outcome.value), "Generation complete")


def _join(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Make one delta of two: the text of both, the counts so far."""
    if len(earlier["text"]) >= MOST_JOINED:
        return None
    return {**later, "text": earlier["text"] + later["text"]}


def _count(job: JobContext, told: Mapping[str, Any]) -> None:
    """Note the tokens so far: one that is stopped has consumed them, too."""
    job.usage |= {name: told[name] for name in COUNTS if name in told}
