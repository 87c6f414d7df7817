"""Input that goes on after the submit: what is taken of it, and how that is answered."""

from __future__ import annotations

from typing import Any

from wsproc.frames.client import Append, Revise
from wsproc.frames.errors import ErrorInfo
from wsproc.frames.server import FinalStatus, InputReply
from wsproc.intake import not_open, stopping
from wsproc.job import Job, JobState
from wsproc.session.actions import Feed


def feed(job: Job, frame: Append | Revise) -> tuple[InputReply, Feed | None]:
    """Take a job's input; return the answer, and what to give to the job, None if it is refused."""
    error = _take(job, frame)
    if error is not None or job.intake is None:
        return InputReply(op=frame.type, id=job.id, outcome="refused", error=error), None
    taken = InputReply(op=frame.type, id=job.id, outcome="ok", **progress_of(job))
    replace, final = isinstance(frame, Revise), job.intake.ended
    return taken, Feed(job.id, frame.text or "", replace, job.intake.revision, final)


def too_late(frame: Append | Revise, status: FinalStatus | None) -> InputReply:
    """Answer input for a job that is not there; `status` is how it ended, where that is known."""
    if status is None:
        return InputReply(op=frame.type, id=frame.id, outcome="unknown")
    return InputReply(op=frame.type, id=frame.id, outcome="done", status=status)


def progress_of(job: Job) -> dict[str, Any]:
    """Say how far a job's input has come, where it goes on."""
    if job.intake is None:
        return {}
    revision = {"revision": job.intake.revision} if job.intake.live else {}
    return {"text_length": job.intake.length, **revision}


def _take(job: Job, frame: Append | Revise) -> ErrorInfo | None:
    """Take a job's input, or return why it cannot be taken."""
    if job.intake is None:
        return not_open()
    if job.state is JobState.CANCELLING:
        return stopping()
    if isinstance(frame, Revise):
        return job.intake.revise(frame.text)
    return job.intake.append(frame.text or "", final=frame.final)
