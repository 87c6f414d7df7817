"""A frame in a few words, for people who watch what comes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from wsproc.frames.server import (
    Accepted,
    Cancelled,
    CancelReply,
    Chunked,
    Completed,
    CustomStatus,
    Done,
    EntitiesComplete,
    Error,
    Failed,
    GenerationStarted,
    Goaway,
    Rejected,
    SentimentComplete,
    SentimentProgress,
    ServerFrame,
    StageError,
    Started,
    Status,
    SummarizationComplete,
    SummarizationProgress,
    Timing,
    Token,
    Welcome,
)


def title(frame: ServerFrame) -> str:
    """Return what kind of frame it is: its status where it has one."""
    if isinstance(frame, Status):
        return frame.status
    if isinstance(frame, Completed | Cancelled | Failed):
        return f"done {frame.status}"
    return frame.type


def words(frame: ServerFrame) -> str:
    """Return what a frame says, in one line; empty where its title says it all."""
    if isinstance(frame, Done):
        return f"{_of_error(frame)}({timing(frame.timing_ms)})"
    for kind, say in _WORDS:
        if isinstance(frame, kind):
            return say(frame)
    return str(getattr(frame, "message", ""))


def _of_error(frame: Any) -> str:
    error = getattr(frame, "error", None)
    return f"{error.code.value}: {error.message}  " if error else ""


def _of_chunk(frame: SentimentProgress) -> str:
    chunk = frame.chunk_result
    found = f"{chunk.sentiment:<8} {chunk.confidence:.2f}"
    return f"{frame.current_item}/{frame.total_items}  {found}  [{chunk.start}:{chunk.end}]"


def _of_entities(frame: EntitiesComplete) -> str:
    labels = Counter(entity.label for entity in frame.entities).most_common()
    kinds = ", ".join(f"{count} {label}" for label, count in labels)
    return f"{frame.total_entities} entities{': ' if kinds else ''}{kinds}"


def _of_summary(frame: SummarizationComplete) -> str:
    return f"{len(frame.summary)} characters, {frame.compression_ratio:.0%} of the text"


_WORDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (Welcome, lambda frame: f"server {frame.server}, tasks {', '.join(frame.tasks)}"),
    (Accepted, lambda frame: f"position {frame.position}"),
    ((Rejected, Error, StageError), _of_error),
    (CancelReply, lambda frame: f"cancel: {frame.outcome}"),
    (Goaway, lambda frame: f"{frame.reason}, in {frame.grace_ms} ms"),
    (Token, lambda frame: json.dumps(frame.text, ensure_ascii=False)),
    (Started, lambda frame: f"{frame.text_length} characters"),
    (GenerationStarted, lambda frame: f"prompt of {frame.prompt_length} characters"),
    (Chunked, lambda frame: f"{frame.chunks} chunks"),
    (SentimentProgress, _of_chunk),
    (SentimentComplete, lambda frame: f"{frame.overall_sentiment} over all"),
    (SummarizationProgress, lambda frame: f"… {frame.partial_summary[-60:]}"),
    (SummarizationComplete, _of_summary),
    (EntitiesComplete, _of_entities),
    (CustomStatus, lambda frame: json.dumps(frame.model_extra, ensure_ascii=False)),
)


def timing(times: Timing) -> str:
    """Return a job's times in words, such as `queued 2 ms, ran 34 ms`."""
    stop = "" if times.stop is None else f", the device was free {times.stop:.0f} ms after the stop"
    return f"queued {times.queued:.0f} ms, ran {times.run:.0f} ms{stop}"


def colour(frame: ServerFrame) -> str:
    """Return the rich style of a frame's title."""
    match frame:
        case SentimentProgress():
            return SENTIMENT_STYLES[frame.chunk_result.sentiment]
        case Completed() | SentimentComplete() | SummarizationComplete() | EntitiesComplete():
            return "green"
        case Rejected() | Error() | StageError() | Failed():
            return "red"
        case Cancelled() | CancelReply() | Goaway():
            return "yellow"
        case _:
            return "cyan"


SENTIMENT_STYLES = {"POSITIVE": "green", "NEUTRAL": "bright_black", "NEGATIVE": "red"}


def ending(done: Cancelled | Failed) -> str:
    """Say why a job has no result."""
    if isinstance(done, Failed):
        return f"the job failed: {done.error.code.value}: {done.error.message}"
    return f"the job was cancelled ({done.reason})"
