"""The quiet text job: the work of `process`, one `done` and no progress, for one text or many."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

from wsproc.frames.client import Batch
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.growing import growing_stages
from wsproc.tasks.stages import Events, Frames, stages_of


async def batch(request: Batch, job: JobContext) -> Events:
    """Run a `batch` job; with `texts` the result is {"results": [...], "total_texts": n}."""
    if job.input is not None:
        await _consume(growing_stages(request, job, job.input))
        yield TaskResult(job.partial)
        return
    if request.text is not None:
        await _consume(stages_of(request.text, request, job))
        yield TaskResult(job.partial)
        return
    parts = [_part_of(job) for _ in request.texts or ()]
    job.partial["results"] = [part.partial for part in parts]
    async with asyncio.TaskGroup() as group:
        for text, part in zip(request.texts or (), parts, strict=True):
            group.create_task(_consume(stages_of(text, request, part)))
    for part in parts:
        job.count(**part.usage)
    job.partial["total_texts"] = len(parts)
    yield TaskResult(job.partial)


def _part_of(job: JobContext) -> JobContext:
    """Return a context for one text of the job; its calls count as the job's own."""
    return replace(job, partial={}, usage={})


async def _consume(frames: Frames) -> None:
    async with aclosing(frames):
        async for _ in frames:
            pass
