"""The stages of a text job: chunk sentiments, a summary and named entities, all three at once.

A stage that fails says so in its own error status; the others go on, and the job still completes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from wsproc.engine import DeadlineExceeded, Delta, EngineError, Result
from wsproc.frames.client import TextOptions
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
    SummarizationComplete,
    SummarizationProcessing,
    SummarizationProgress,
    SummaryResult,
)
from wsproc.tasks.chunks import Chunk, overall, split_text
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.memory import Memory
from wsproc.tasks.merge import merge

SHORTEST_SUMMARIZED = 101
"""Texts of 100 characters or fewer are not summarized, as in the HTTP service this follows."""

Frames = AsyncGenerator[JobFrame, None]
Events = AsyncGenerator[JobFrame | TaskResult, None]


def timestamp() -> str:
    """Return the time of day in ISO 8601, UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def stages_of(
    text: str, options: TextOptions, job: JobContext, memory: Memory | None = None
) -> Frames:
    """Yield the frames of one text after `started`; the whole result is then in `job.partial`.

    What is in the memory is not computed again.
    """
    yield Chunking(id=job.id, message="Splitting the text into chunks")
    chunks = split_text(text, options.chunk_size, options.split)
    yield Chunked(id=job.id, message=f"Split into {named(len(chunks))}", chunks=len(chunks))
    fresh = chunks if memory is None else memory.fresh(chunks)
    job.count(characters=sum(len(chunk.text) for chunk in fresh), chunks=len(fresh))
    begin_result(job, text_length=len(text), chunks=len(chunks))
    stages: list[Frames] = []
    if options.include_sentiment:
        stages.append(guard("sentiment", "sentiment_error", _sentiment(chunks, job, memory), job))
    if options.include_summary and len(text) >= SHORTEST_SUMMARIZED:
        frames = summary(text, options, job, memory)
        stages.append(guard("summary", "summarization_error", frames, job))
    if options.include_entities:
        stages.append(guard("entities", "entities_error", entities(text, job, memory), job))
    async with aclosing(merge(*stages)) as frames:
        async for frame in frames:
            yield frame


def begin_result(job: JobContext, *, text_length: int, chunks: int) -> None:
    """Lay out the result that the stages fill in."""
    job.partial |= {
        "text_length": text_length,
        "chunks": chunks,
        "sentiment": None,
        "summary": None,
        "entities": None,
        "failed_stages": [],
        "errors": {},
    }


async def guard(stage: str, status: Any, frames: Frames, job: JobContext) -> Frames:
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


async def _sentiment(chunks: list[Chunk], job: JobContext, memory: Memory | None) -> Frames:
    """Yield one progress for each chunk that is computed, in chunk order whatever the order of the
    results.
    """
    yield SentimentProcessing(id=job.id, message=f"Analyzing the sentiment of {named(len(chunks))}")
    known = {} if memory is None else memory.known(chunks)
    results = ChunkResults(known, job)
    missing = [place for place in range(len(chunks)) if place not in known]
    if missing:
        async with aclosing(classify([chunks[at] for at in missing], missing, job)) as outcomes:
            async for result in outcomes:
                if memory is not None:
                    memory.note(chunks[result.chunk - 1], result)
                for ready in results.add(result):
                    yield progress(job, ready, results.count, len(chunks))
    yield results.complete()


async def classify(
    chunks: Sequence[Chunk], places: Sequence[int], job: JobContext
) -> AsyncGenerator[ChunkResult, None]:
    """Yield the results of chunks, in any order; `places` says which chunks of the text they are,
    from 0.
    """
    async with job.call("sentiment", [{"text": chunk.text} for chunk in chunks]) as outcomes:
        async for outcome in outcomes.results():
            chunk = chunks[outcome.item]
            yield ChunkResult(
                chunk=places[outcome.item] + 1,
                start=chunk.start,
                end=chunk.end,
                sentiment=outcome.value["sentiment"],
                confidence=round(outcome.value["confidence"], 4),
            )


class ChunkResults:
    """The chunk results of one text in chunk order, noted in the job's partial result as they are
    complete; those that are `known` by their place, from 0, are not told again.
    """

    def __init__(self, known: Mapping[int, ChunkResult], job: JobContext) -> None:
        self.count = len(known)
        self._job = job
        self._known = known
        self._waiting = dict(known)
        self._done: list[ChunkResult] = []
        self._noted: list[dict[str, Any]] = []
        job.partial["sentiment"] = {"chunk_sentiments": self._noted}

    def add(self, result: ChunkResult) -> Iterator[ChunkResult]:
        """Yield what is to be told now: this result and those that waited for it. `count` is how
        many are there with each.
        """
        self._waiting[result.chunk - 1] = result
        for ready in self._in_order():
            if ready.chunk - 1 not in self._known:
                self.count += 1
                yield ready

    def complete(self) -> SentimentComplete:
        """Return the frame that says that all is there."""
        for _ in self._in_order():
            pass
        whole = overall(self._done)
        self._job.partial["sentiment"] = whole.model_dump()
        return SentimentComplete(id=self._job.id, **dict(whole))

    def _in_order(self) -> Iterator[ChunkResult]:
        while (ready := self._waiting.pop(len(self._done), None)) is not None:
            self._done.append(ready)
            self._noted.append(ready.model_dump())
            yield ready


def progress(
    job: JobContext, result: ChunkResult, count: int, total: int, least: float = 0.0
) -> SentimentProgress:
    """Build the frame of one chunk's result, the `count`th of `total`; `least` is what was told."""
    return SentimentProgress(
        id=job.id,
        progress=max(least, count / total),
        current_item=count,
        total_items=total,
        chunk_result=result,
    )


def named(chunks: int) -> str:
    """Return a number of chunks in words."""
    return "1 chunk" if chunks == 1 else f"{chunks} chunks"


async def summary(
    text: str, options: TextOptions, job: JobContext, memory: Memory | None = None
) -> Frames:
    """Yield the frames of the summary stage."""
    yield SummarizationProcessing(id=job.id, message="Summarizing the text")
    found = None if memory is None else memory.summaries.get(text)
    if found is None:
        item = {
            "text": text,
            "min_length": options.summary_min_length,
            "max_length": options.summary_max_length,
        }
        async with job.call("summary", [item], merge=_newer) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Delta):
                    yield SummarizationProgress(id=job.id, partial_summary=outcome.value["text"])
                else:
                    found = _summary_result(text, outcome)
    if found is not None:
        if memory is not None:
            memory.summaries = {text: found}
        job.partial["summary"] = found.model_dump()
        yield SummarizationComplete(id=job.id, **dict(found))


def _newer(_: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make one delta of two: a summary so far holds the one before."""
    return later


def _summary_result(text: str, outcome: Result) -> SummaryResult:
    summary = outcome.value["summary"]
    return SummaryResult(
        summary=summary,
        compression_ratio=round(len(summary) / len(text), 4),
        truncated=outcome.value["truncated"],
        windows=outcome.value["windows"],
    )


async def entities(text: str, job: JobContext, memory: Memory | None = None) -> Frames:
    """Yield the frames of the entities stage."""
    yield EntitiesProcessing(id=job.id, message="Looking for named entities")
    found = None if memory is None else memory.entities.get(text)
    if found is None:
        async with job.call("entities", [{"text": text}]) as outcomes:
            async for outcome in outcomes.results():
                found = _entities_result(outcome)
    if found is not None:
        if memory is not None:
            memory.entities = {text: found}
        job.partial["entities"] = found.model_dump()
        yield EntitiesComplete(id=job.id, **dict(found))


def _entities_result(outcome: Result) -> EntitiesResult:
    entities = [Entity(**entity) for entity in outcome.value["entities"]]
    types: dict[str, list[str]] = {}
    for entity in entities:
        types.setdefault(entity.label, []).append(entity.text)
    return EntitiesResult(entities=entities, entity_types=types, total_entities=len(entities))
