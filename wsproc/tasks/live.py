"""The stages of a text that changes while it is worked on, as somebody types.

Each text is a revision. A later one stops the work on the one before, on the device too; what was
computed for chunks that are still there is kept. Revisions that come while one is being stopped or
begun are passed over: only the latest counts. The result is that of the last text submitted alone.
"""

from __future__ import annotations

from contextlib import aclosing

from wsproc.frames.client import TextOptions
from wsproc.tasks.context import JobContext
from wsproc.tasks.job_input import JobInput, Snapshot
from wsproc.tasks.memory import Memory
from wsproc.tasks.merge import until
from wsproc.tasks.stages import Frames, stages_of


async def live_stages(options: TextOptions, job: JobContext, source: JobInput) -> Frames:
    """Yield the frames of each revision that is worked on, each with its number; the whole result
    of the last one is then in `job.partial`.
    """
    memory = Memory()
    async for now in source:
        if now.revision != job.partial.get("revision"):
            frames = until(source.revised(now.revision), _revision(now, options, job, memory))
            async with aclosing(frames):
                async for frame in frames:
                    yield frame
            job.forget_ended()


async def _revision(now: Snapshot, options: TextOptions, job: JobContext, memory: Memory) -> Frames:
    job.partial.clear()
    job.partial["revision"] = now.revision
    async with aclosing(stages_of(now.text, options, job, memory)) as frames:
        async for frame in frames:
            yield frame.model_copy(update={"revision": now.revision})
