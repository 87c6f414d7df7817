"""What a client that comes back is sent: of each job what it missed, or one frame in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsproc.frames.server import Recovered
from wsproc.job import Job
from wsproc.replay import Numbered, ReplayLog
from wsproc.session.snapshots import snapshot


@dataclass(frozen=True, slots=True)
class Missed:
    """One job's part of a resume: how it stands, and the frames to send again."""

    job_id: str
    recovered: Recovered
    frames: list[Numbered]


def missed(log: ReplayLog, live: Mapping[str, Job], after: Mapping[str, int]) -> Iterator[Missed]:
    """Yield the part of every job that is known, in the order of their acceptance.

    `after` is what the client has seen of each; a number that was never reached counts as the last.
    """
    for job_id in log:
        last = log.last_seq(job_id)
        frames = log.after(job_id, after.get(job_id, 0))
        recovered = Recovered(last_seq=last, recovered=frames is not None)
        yield Missed(job_id, recovered, _instead(log, live, job_id) if frames is None else frames)


def _instead(log: ReplayLog, live: Mapping[str, Job], job_id: str) -> list[Numbered]:
    """Return the one frame that stands for those that are gone: the end, or how far it is."""
    job = live.get(job_id)
    if job is not None:
        return [] if job.is_hushed else [snapshot(job, log.last_seq(job_id))]
    done = log.done(job_id)
    return [] if done is None else [done]
