"""How things stand: one job in a line, and one job as a frame in place of those that are gone."""

from __future__ import annotations

from typing import Any

from wsproc.frames.server import JobInfo, Snapshot
from wsproc.job import Job
from wsproc.numbered import Numbered
from wsproc.protocol import encode
from wsproc.replay import Ended
from wsproc.session.feeds import progress_of


def live_info(job: Job, last_seq: int, position: int | None) -> JobInfo:
    """Tell where a live job stands; `position` is how many start before a queued one."""
    info: dict[str, Any] = {
        "id": job.id,
        "task": job.request.type,
        "state": job.state.value,
        "last_seq": last_seq,
        **progress_of(job),
    }
    if job.intake is not None:
        info["final"] = job.intake.ended
    if position is not None:
        info["position"] = position
    return JobInfo(**info)


def ended_info(job_id: str, ended: Ended, last_seq: int) -> JobInfo:
    """Tell how a job ended whose result is kept."""
    return JobInfo(id=job_id, task=ended.task, state="done", last_seq=last_seq, status=ended.status)


def snapshot(job: Job, last_seq: int) -> Numbered:
    """Return one frame that stands for all of a live job's up to `last_seq`.

    What a task of one's own has put into `partial` and is no JSON is left out: the job itself ends
    as well as it can.
    """
    fields: dict[str, Any] = {"id": job.id, "state": job.state.value}
    if job.intake is not None and job.intake.live:
        fields["revision"] = job.intake.revision
    try:
        message = encode(Snapshot(**fields, partial_result=job.partial), last_seq)
    except (TypeError, ValueError):
        message = encode(Snapshot(**fields, partial_result={}), last_seq)
    return Numbered(None, message)
