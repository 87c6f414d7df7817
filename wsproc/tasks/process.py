"""The streamed text job: of a text that is there, that is still coming, or that changes."""

from __future__ import annotations

from contextlib import aclosing

from wsproc.frames.client import Process
from wsproc.frames.server import Started
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.growing import growing_stages
from wsproc.tasks.live import live_stages
from wsproc.tasks.stages import Events, stages_of, timestamp


async def process(request: Process, job: JobContext) -> Events:
    """Run a `process` job; see PROTOCOL.md for its statuses and their fields."""
    text = request.text
    yield Started(
        id=job.id, message="Processing started", timestamp=timestamp(), text_length=len(text)
    )
    if job.input is None:
        stages = stages_of(text, request, job)
    elif request.live:
        stages = live_stages(request, job, job.input)
    else:
        stages = growing_stages(request, job, job.input)
    async with aclosing(stages) as frames:
        async for frame in frames:
            yield frame
    yield TaskResult(job.partial)
