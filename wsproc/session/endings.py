"""How a job ended, and the one terminal frame that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsproc.frames.client import Submit
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import Cancelled, Completed, Failed, Timing
from wsproc.job import Job, StopReason


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job's run ended: with a result, with an error, or with neither where it was stopped."""

    timing: Timing
    usage: Mapping[str, int]
    result: Mapping[str, Any] | None = None
    message: str = ""
    timestamp: str = ""
    error: ErrorInfo | None = None
    partial_result: Mapping[str, Any] | None = None


def done_frame(job: Job, ending: Ending) -> Completed | Cancelled | Failed:
    """Choose the terminal frame: a result wins, then an error, then the reason of the stop."""
    common: dict[str, Any] = {
        "id": job.id,
        "usage": dict(ending.usage),
        "timing_ms": ending.timing,
        **meta_of(job.request),
    }
    if ending.result is not None:
        return Completed(
            **common,
            message=ending.message,
            total_processing_time=round((ending.timing.queued + ending.timing.run) / 1000, 4),
            timestamp=ending.timestamp,
            result=dict(ending.result),
        )
    if ending.partial_result:
        common["partial_result"] = dict(ending.partial_result)
    if ending.error is not None:
        return Failed(**common, error=ending.error)
    if job.stop_reason is StopReason.DEADLINE:
        message = f"the job was not finished within its timeout_ms of {job.request.timeout_ms}"
        return Failed(**common, error=error_info(ErrorCode.DEADLINE_EXCEEDED, message))
    if job.stop_reason is StopReason.INPUT_TIMEOUT:
        message = "the input was not ended, and no more of it came in time"
        return Failed(**common, error=error_info(ErrorCode.INPUT_TIMEOUT, message))
    common["reason"] = job.stop_reason or StopReason.SHUTDOWN
    return Cancelled(**common)


def meta_of(request: Submit) -> dict[str, Any]:
    """Return the `meta` of a submit where it has one: absent and null stay apart."""
    return {"meta": request.meta} if "meta" in request.model_fields_set else {}
