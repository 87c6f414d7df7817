"""The stages of a text that is still coming: chunks as soon as each is sure, the rest at its end.

The result is that of the whole text submitted at once, however it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from wsproc.frames.client import TextOptions
from wsproc.frames.server import Chunked, Chunking, ChunkResult, SentimentProcessing
from wsproc.tasks.chunks import Chunk, GrowingChunks
from wsproc.tasks.context import JobContext
from wsproc.tasks.job_input import JobInput
from wsproc.tasks.merge import flatten, merge
from wsproc.tasks.stages import (
    SHORTEST_SUMMARIZED,
    ChunkResults,
    Frames,
    begin_result,
    classify,
    entities,
    guard,
    named,
    progress,
    summary,
)


class ChunkFeed:
    """Chunks on their way from the reader of a text to the sentiment stage."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        self._groups: asyncio.Queue[list[Chunk]] = asyncio.Queue()

    @property
    def expected(self) -> int:
        """How many chunks there are, and one for what is to come while something is."""
        return self.count + (not self.ended)

    def put(self, chunks: list[Chunk], *, ended: bool) -> None:
        """Hand on the chunks that have become sure."""
        self.count += len(chunks)
        self.ended = ended
        self._groups.put_nowait(chunks)

    async def groups(self) -> AsyncGenerator[tuple[int, list[Chunk]], None]:
        """Yield those that came together, with the place of the first, from 0."""
        place = 0
        while place < self.expected:
            chunks = await self._groups.get()
            if chunks:
                yield place, chunks
            place += len(chunks)


async def growing_stages(options: TextOptions, job: JobContext, source: JobInput) -> Frames:
    """Yield the frames of a text that comes; the whole result is then in `job.partial`."""
    yield Chunking(id=job.id, message="Splitting the text into chunks as it comes")
    begin_result(job, text_length=0, chunks=0)
    feed = ChunkFeed()
    stages: list[Frames] = [_chunks(options, job, source, feed)]
    if options.include_sentiment:
        stages.append(guard("sentiment", "sentiment_error", _sentiment(feed, job), job))
    if options.include_summary:
        frames = _summary(options, job, source)
        stages.append(guard("summary", "summarization_error", frames, job))
    if options.include_entities:
        stages.append(guard("entities", "entities_error", _entities(job, source), job))
    async with aclosing(merge(*stages)) as frames:
        async for frame in frames:
            yield frame


async def _chunks(
    options: TextOptions, job: JobContext, source: JobInput, feed: ChunkFeed
) -> Frames:
    """Split the text as it comes; say at its end into how many chunks."""
    chunks = GrowingChunks(options.chunk_size, options.split)
    async for now in source:
        sure = chunks.read(now.text, final=now.final)
        feed.put(sure, ended=now.final)
        job.count(characters=sum(len(chunk.text) for chunk in sure), chunks=len(sure))
        job.partial |= {"text_length": len(now.text), "chunks": feed.count}
    yield Chunked(id=job.id, message=f"Split into {named(feed.count)}", chunks=feed.count)


async def _sentiment(feed: ChunkFeed, job: JobContext) -> Frames:
    """Yield a progress for each chunk, in chunk order, while others are still to come.

    While they are, one more is expected than there are; so progress reaches 1 at the end alone.
    It never falls, though more chunks come than were expected.
    """
    yield SentimentProcessing(
        id=job.id, message="Analyzing the sentiment of the chunks as they come"
    )
    results = ChunkResults({}, job)
    told = 0.0
    async with aclosing(flatten(_calls(feed, job))) as outcomes:
        async for result in outcomes:
            for ready in results.add(result):
                frame = progress(job, ready, results.count, feed.expected, least=told)
                told = frame.progress
                yield frame
    yield results.complete()


async def _calls(
    feed: ChunkFeed, job: JobContext
) -> AsyncGenerator[AsyncGenerator[ChunkResult, None], None]:
    """Yield a call for each group of chunks: none waits for the one before."""
    async for place, chunks in feed.groups():
        yield classify(chunks, range(place, place + len(chunks)), job)


async def _summary(options: TextOptions, job: JobContext, source: JobInput) -> Frames:
    text = await source.whole()
    if len(text) < SHORTEST_SUMMARIZED:
        return
    async with aclosing(summary(text, options, job)) as frames:
        async for frame in frames:
            yield frame


async def _entities(job: JobContext, source: JobInput) -> Frames:
    text = await source.whole()
    async with aclosing(entities(text, job)) as frames:
        async for frame in frames:
            yield frame
