"""Which jobs a session has: those that live, those whose results are kept, and how others ended."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from wsproc.admission import Admission, JobKey
from wsproc.frames.client import Submit
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import FinalStatus, JobInfo, JobsReply, Timing
from wsproc.intake import Intake
from wsproc.job import Job, JobEvent, JobState, StopReason
from wsproc.queue_time import Ran
from wsproc.replay import Ended, ReplayLog
from wsproc.session.snapshots import ended_info, live_info
from wsproc.session.submits import kind
from wsproc.tenant import Tenant

REMEMBERED_ENDS = 100
"""How many ended jobs a session remembers by their final status, for late cancels, once their
results are forgotten: up to 16 KiB, in each of ten thousand sessions.
"""


class Book:
    """The jobs of one session, `owner`; `admission` counts those of all sessions, `tenant` those
    of its principal.

    The log knows a job from its `accepted` on until its result is forgotten, and so its id is taken
    for that long.
    """

    __slots__ = ("_admission", "_assigned", "_owner", "_remembered", "live", "log", "tenant")

    def __init__(self, owner: str, admission: Admission, log: ReplayLog, tenant: Tenant) -> None:
        self.live: dict[str, Job] = {}
        self.log = log
        self.tenant = tenant
        self._owner = owner
        self._admission = admission
        self._remembered: OrderedDict[str, FinalStatus] | None = None
        self._assigned = 0

    def objection(self, request: Submit, most: int, now: float) -> ErrorInfo | None:
        """Return why there is no room for a job now; a session may have `most` live ones."""
        too_many = self._too_many(most)
        if too_many is not None:
            turn_ms = self._admission.next_turn_ms(kind(request), request.priority, now)
            return error_info(ErrorCode.TOO_MANY_JOBS, too_many, retry_after_ms=turn_ms)
        timeout_s = None if request.timeout_ms is None else request.timeout_ms / 1000
        priority = request.priority
        return self._admission.objection(self._owner, kind(request), priority, timeout_s, now)

    def _too_many(self, most: int) -> str | None:
        if len(self.live) >= most:
            return f"{most} jobs are running on this connection; wait for one to end"
        return self.tenant.too_many()

    def enter(
        self, request: Submit, digest: bytes, intake: Intake | None, now: float
    ) -> tuple[Job, int, float | None]:
        """Register a job; return it, how many start before it, and in how many ms it may be done.

        A request without an id is given one.
        """
        name = request.id or self._new_id()
        job = Job(name, request, accepted_at=now, digest=digest, intake=intake)
        self.live[job.id] = job
        self.tenant.take()
        if self._remembered is not None:
            self._remembered.pop(job.id, None)
        whole = intake is None
        position = self._admission.enter(
            self._key(job.id), request.priority, kind(request), now, waits=whole
        )
        if not whole:
            return job, position, None
        crowd = self._admission.live
        return job, position, self._admission.pace.expect_ms(kind(request), request.size(), crowd)

    def begin(self, job: Job) -> None:
        """Note a job's first work on a device."""
        job.apply(JobEvent.BEGIN)
        self._admission.begin(self._key(job.id))

    def stop(self, job: Job, reason: StopReason) -> None:
        """Note that a job is being stopped, and waits no more."""
        job.apply(JobEvent.STOP)
        job.stop_reason = reason
        self._admission.withdraw(self._key(job.id), late=reason is StopReason.DEADLINE)

    def end(self, job: Job, status: FinalStatus, timing: Timing, now: float) -> None:
        """Note that a job is over: its slot is free, its result is kept."""
        del self.live[job.id]
        self.tenant.give_back()
        ended = Ended(job.request.type, status, job.digest, at=now, hushed=job.is_hushed)
        job.apply(JobEvent.END)
        self.log.end(job.id, ended)
        if status == "completed" and job.intake is None:
            self._learn(job, timing)
        late = job.stop_reason is StopReason.DEADLINE and status != "completed"
        how: Literal["done", "late", "stopped"] = "late" if late else "stopped"
        ran = Ran(timing.run / 1000, now, "done" if status == "completed" else how)
        self._admission.leave(self._key(job.id), ran)
        self._remember(job.id, status)

    # --- what is known --------------------------------------------------------------------------

    def digest(self, job_id: str) -> bytes | None:
        """Return what tells the submit of a known job from others."""
        known: Job | Ended | None = self.live.get(job_id) or self.log.ended(job_id)
        return None if known is None else known.digest

    def position(self, job_id: str) -> int:
        """Return how many jobs are to start before one, 0 where it does not wait."""
        return self._admission.position(self._key(job_id)) or 0

    def final_status(self, job_id: str) -> FinalStatus | None:
        """Return how a job ended, as long as that is remembered."""
        ended = self.log.ended(job_id)
        if ended is not None:
            return ended.status
        return None if self._remembered is None else self._remembered.get(job_id)

    def snapshot(self, job_id: str | None) -> JobsReply:
        """Return where all jobs stand, or one of them."""
        if job_id is None:
            return JobsReply(outcome="ok", jobs=[self._info(one) for one in self.log])
        if job_id not in self.log:
            return JobsReply(id=job_id, outcome="unknown", jobs=[])
        return JobsReply(id=job_id, outcome="ok", jobs=[self._info(job_id)])

    def _info(self, job_id: str) -> JobInfo:
        last_seq, ended = self.log.last_seq(job_id), self.log.ended(job_id)
        if ended is not None:
            return ended_info(job_id, ended, last_seq)
        job = self.live[job_id]
        waits = job.state is JobState.QUEUED
        position = self._admission.position(self._key(job_id)) if waits else None
        return live_info(job, last_seq, position)

    # --- ids and ends ---------------------------------------------------------------------------

    def _new_id(self) -> str:
        while True:
            self._assigned += 1
            name = f"job-{self._assigned}"
            if name not in self.log and name not in (self._remembered or ()):
                return name

    def _key(self, job_id: str) -> JobKey:
        return (self._owner, job_id)

    def _learn(self, job: Job, timing: Timing) -> None:
        """Let later estimates know how long this job took."""
        crowd = self._admission.crowd(self._key(job.id))
        seconds = (timing.queued + timing.run) / 1000
        self._admission.pace.note(kind(job.request), job.request.size(), crowd, seconds)

    def _remember(self, job_id: str, status: FinalStatus) -> None:
        if self._remembered is None:
            self._remembered = OrderedDict()
        self._remembered[job_id] = status
        if len(self._remembered) > REMEMBERED_ENDS:
            self._remembered.popitem(last=False)
