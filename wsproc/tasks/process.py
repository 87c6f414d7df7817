"""The streamed text job: chunk sentiments, a summary and named entities, all three at once.

A stage that fails says so in its own error status; the others go on, and the job still completes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from wsproc.engine import DeadlineExceeded, Delta, EngineError, Result
from wsproc.frames.client import Process, TextOptions
from wsproc.frames.errors import ErrorCode, error_info
from wsproc.frames.server import (
    Chunked,
    Chunking,
    ChunkResult,
    EntitiesComplete,
    EntitiesProcessing,
    EntitiesResult,
    Entity,
    JobFrame,
    SentimentComplete,
    SentimentProcessing,
    SentimentProgress,
    StageError,
    Started,
    SummarizationComplete,
    SummarizationProcessing,
    SummarizationProgress,
    SummaryResult,
)
from wsproc.tasks.chunks import Chunk, overall, split_text
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.merge import merge

SHORTEST_SUMMARIZED = 101
"""Texts of 100 characters or fewer are not summarized, as in the HTTP service this follows."""

Frames = AsyncGenerator[JobFrame, None]
Events = AsyncGenerator[JobFrame | TaskResult, None]


def timestamp() -> str:
    """Return the time of day in ISO 8601, UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def process(request: Process, job: JobContext) -> Events:
    """Run a `process` job; see PROTOCOL.md for its statuses and their fields."""
    text = request.text
    yield Started(
        id=job.id, message="Processing started", timestamp=timestamp(), text_length=len(text)
    )
    async with aclosing(stages_of(text, request, job)) as frames:
        async for frame in frames:
            yield frame
    yield TaskResult(job.partial)


async def stages_of(text: str, options: TextOptions, job: JobContext) -> Frames:
    """Yield the frames of one text after `started`; the whole result is then in `job.partial`."""
    yield Chunking(id=job.id, message="Splitting the text into chunks")
    chunks = split_text(text, options.chunk_size, options.split)
    yield Chunked(id=job.id, message=f"Split into {_chunks(chunks)}", chunks=len(chunks))
    job.count(characters=len(text), chunks=len(chunks))
    job.partial |= {
        "text_length": len(text),
        "chunks": len(chunks),
        "sentiment": None,
        "summary": None,
        "entities": None,
        "failed_stages": [],
        "errors": {},
    }
    stages: list[Frames] = []
    if options.include_sentiment:
        stages.append(_guard("sentiment", "sentiment_error", _sentiment(chunks, job), job))
    if options.include_summary and len(text) >= SHORTEST_SUMMARIZED:
        summary = _summary(text, options, job)
        stages.append(_guard("summary", "summarization_error", summary, job))
    if options.include_entities:
        stages.append(_guard("entities", "entities_error", _entities(text, job), job))
    async with aclosing(merge(*stages)) as frames:
        async for frame in frames:
            yield frame


async def _guard(stage: str, status: Any, frames: Frames, job: JobContext) -> Frames:
    """Turn a stage's failure into its error status, so that it ends nothing but itself."""
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    except DeadlineExceeded:
        raise
    except EngineError as error:
        info = error_info(ErrorCode(error.code), error.message)
        job.partial["failed_stages"].append(stage)
        job.partial["errors"][stage] = info.model_dump(exclude_unset=True)
        yield StageError(id=job.id, status=status, error=info)


async def _sentiment(chunks: list[Chunk], job: JobContext) -> Frames:
    """Yield one progress a chunk, in chunk order whatever the order of the results."""
    yield SentimentProcessing(id=job.id, message=f"Analyzing the sentiment of {_chunks(chunks)}")
    total = len(chunks)
    done: list[ChunkResult] = []
    waiting: dict[int, ChunkResult] = {}
    job.partial["sentiment"] = {"chunk_sentiments": []}
    async with job.call("sentiment", [{"text": chunk.text} for chunk in chunks]) as outcomes:
        async for outcome in outcomes.results():
            waiting[outcome.item] = _chunk_result(outcome, chunks[outcome.item])
            while len(done) in waiting:
                result = waiting.pop(len(done))
                done.append(result)
                job.partial["sentiment"]["chunk_sentiments"].append(result.model_dump())
                yield SentimentProgress(
                    id=job.id,
                    progress=len(done) / total,
                    current_item=len(done),
                    total_items=total,
                    chunk_result=result,
                )
    whole = overall(done)
    job.partial["sentiment"] = whole.model_dump()
    yield SentimentComplete(id=job.id, **dict(whole))


def _chunks(chunks: list[Chunk]) -> str:
    return "1 chunk" if len(chunks) == 1 else f"{len(chunks)} chunks"


def _chunk_result(outcome: Result, chunk: Chunk) -> ChunkResult:
    return ChunkResult(
        chunk=outcome.item + 1,
        start=chunk.start,
        end=chunk.end,
        sentiment=outcome.value["sentiment"],
        confidence=round(outcome.value["confidence"], 4),
    )


async def _summary(text: str, options: TextOptions, job: JobContext) -> Frames:
    yield SummarizationProcessing(id=job.id, message="Summarizing the text")
    item = {
        "text": text,
        "min_length": options.summary_min_length,
        "max_length": options.summary_max_length,
    }
    async with job.call("summary", [item]) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, Delta):
                yield SummarizationProgress(id=job.id, partial_summary=outcome.value["text"])
            else:
                summary = _summary_result(text, outcome)
                job.partial["summary"] = summary.model_dump()
                yield SummarizationComplete(id=job.id, **dict(summary))


def _summary_result(text: str, outcome: Result) -> SummaryResult:
    summary = outcome.value["summary"]
    return SummaryResult(
        summary=summary,
        compression_ratio=round(len(summary) / len(text), 4),
        truncated=outcome.value["truncated"],
        windows=outcome.value["windows"],
    )


async def _entities(text: str, job: JobContext) -> Frames:
    yield EntitiesProcessing(id=job.id, message="Looking for named entities")
    async with job.call("entities", [{"text": text}]) as outcomes:
        async for outcome in outcomes.results():
            found = _entities_result(outcome)
            job.partial["entities"] = found.model_dump()
            yield EntitiesComplete(id=job.id, **dict(found))


def _entities_result(outcome: Result) -> EntitiesResult:
    entities = [Entity(**entity) for entity in outcome.value["entities"]]
    types: dict[str, list[str]] = {}
    for entity in entities:
        types.setdefault(entity.label, []).append(entity.text)
    return EntitiesResult(entities=entities, entity_types=types, total_entities=len(entities))
