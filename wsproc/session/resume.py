"""What a client that comes back is sent: of each job what it missed, or one frame in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsproc.frames.server import Recovered
from wsproc.job import Job
from wsproc.numbered import Numbered
from wsproc.replay import ReplayLog
from wsproc.session.snapshots import snapshot


@dataclass(frozen=True, slots=True)
class Missed:
    """One job's part of a resume: how it stands, and the frames to send again."""

    job_id: str
    recovered: Recovered
    frames: list[Numbered]


def missed(
    log: ReplayLog, live: Mapping[str, Job], after: Mapping[str, int], *, here: bool
) -> Iterator[Missed]:
    """Yield the part of every job that is known, in the order of their acceptance.

    `after` is what the client has seen of each; a number that was never reached counts as the last.
    `here` is whether this connection had the session already: then it was told that the jobs which
    its client has cancelled say nothing more but their end, and a resume does not change that.
    """
    for job_id in log:
        last = log.last_seq(job_id)
        frames = log.after(job_id, after.get(job_id, 0))
        if here and frames and _is_hushed(log, live, job_id):
            frames = _without_results(frames, log.done(job_id))
        recovered = Recovered(last_seq=last, recovered=frames is not None)
        yield Missed(job_id, recovered, _instead(log, live, job_id) if frames is None else frames)


def _without_results(frames: list[Numbered], done: Numbered | None) -> list[Numbered] | None:
    """Return the frames of a cancelled job; None where a status or a token is among them."""
    return frames if all(one.seq == 1 or one == done for one in frames) else None


def _is_hushed(log: ReplayLog, live: Mapping[str, Job], job_id: str) -> bool:
    """Whether a job's client has cancelled it, also where it is over."""
    job, ended = live.get(job_id), log.ended(job_id)
    return (job is not None and job.is_hushed) or (ended is not None and ended.hushed)


def _instead(log: ReplayLog, live: Mapping[str, Job], job_id: str) -> list[Numbered]:
    """Return the one frame that stands for those that are gone: the end, or how far it is."""
    job = live.get(job_id)
    if job is not None:
        return [] if job.is_hushed else [snapshot(job, log.last_seq(job_id))]
    done = log.done(job_id)
    return [] if done is None else [done]
