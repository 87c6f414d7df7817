"""What jobs make and clients get: frames wait, leave, are kept, and are sent again.

A session outlives its connections. While one is attached, frames wait in the outbox and are
numbered as they leave. While none is, they are numbered at once and go into the log, where a client
that comes back finds them. Jobs are stopped here, whoever wants that, since stopping one purges
what it has unsent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wsproc.admission import Admission
from wsproc.events import label
from wsproc.frames.server import JobFrame, ResumeReply
from wsproc.job import Job, JobState, StopReason
from wsproc.numbered import Fresh, revision_of
from wsproc.outbox import Outbox, is_stale
from wsproc.replay import ReplayLog
from wsproc.session.actions import Stop
from wsproc.session.book import Book
from wsproc.session.endings import Ending, done_frame
from wsproc.session.offer import Offer
from wsproc.session.resume import missed
from wsproc.tenant import Tenant


class Delivery:
    """The outgoing half of a session. Times (`now`) are seconds on any one steady clock."""

    __slots__ = ("_book", "_lapses_at", "attached", "label", "log", "offer", "outbox", "token")

    def __init__(
        self,
        token: str,
        offer: Offer,
        admission: Admission,
        outbox: Outbox | None = None,
        log: ReplayLog | None = None,
        tenant: Tenant | None = None,
    ) -> None:
        self.token = token
        self.label = label(token)
        self.offer = offer
        self.outbox = Outbox() if outbox is None else outbox  # an empty one is falsy
        self.log = ReplayLog() if log is None else log
        self.attached = True
        self._book = Book(token, admission, self.log, tenant or Tenant())
        self._lapses_at: float | None = None

    def __repr__(self) -> str:
        return f"<Session {self.label} {len(self._book.live)} jobs, {self.outbox!r}>"

    @property
    def live_jobs(self) -> int:
        """How many jobs are not over."""
        return len(self._book.live)

    # --- what jobs make -------------------------------------------------------------------------

    def begin(self, job_id: str) -> None:
        """Note a job's first work on a device; its slot in the queue is free."""
        job = self._book.live.get(job_id)
        if job is not None and job.state is JobState.QUEUED:
            self._book.begin(job)

    def emit(self, frame: JobFrame) -> None:
        """Queue a frame of a running job; late ones of a stopped job, or about a text that has been
        revised, are dropped.
        """
        job = self._book.live.get(frame.id)
        if job is None or job.state is JobState.CANCELLING:
            return
        if job.intake is None or not is_stale(revision_of(frame), job.intake.revision):
            self._put(frame)

    def finish(self, job_id: str, ending: Ending, now: float) -> None:
        """Queue a job's one terminal frame and free its slot; its id is free when it is forgotten.

        Raises ValueError or TypeError for an ending that cannot be written as JSON; the job is not
        over then and needs another.
        """
        job = self._book.live[job_id]
        done = done_frame(job, ending)
        self._put(done)
        self._book.end(job, done.status, ending.timing, now)

    def next_message(self) -> bytes | None:
        """Take the next message to send, or None."""
        one = self.outbox.pop()
        if isinstance(one, Fresh):
            return self.log.append(one, sent=True)
        return one

    def _put(self, frame: JobFrame) -> None:
        if self.attached:
            self.outbox.put(frame)
        else:
            self.log.append(Fresh.of(frame), sent=False)

    # --- stopping them --------------------------------------------------------------------------

    def _stop_all(self, jobs: Iterable[Job], reason: StopReason) -> list[Stop]:
        return [action for job in jobs for action in self._stop(job, reason)]

    def _stop(self, job: Job, reason: StopReason) -> list[Stop]:
        """Move a job to cancelling; purge what it has unsent unless its time ran out."""
        if reason not in (StopReason.DEADLINE, StopReason.INPUT_TIMEOUT):
            self._purge(job.id)
        if job.state is JobState.CANCELLING:
            return []
        self._book.stop(job, reason)
        return [Stop(job.id)]

    def _purge(self, job_id: str) -> None:
        """Drop what a job has unsent; numbers that were to be sent again become free."""
        first = self.outbox.purge(job_id)
        if first is not None:
            self.log.take_back(job_id, first)

    def expire(self, job_id: str) -> list[Stop]:
        """Stop a job whose deadline passed."""
        job = self._book.live.get(job_id)
        return [] if job is None else self._stop(job, StopReason.DEADLINE)

    def leave(self, reason: StopReason) -> list[Stop]:
        """Stop every job: nobody will come back for it, or the server is about to go."""
        return self._stop_all(list(self._book.live.values()), reason)

    def starve(self, job_id: str) -> list[Stop]:
        """Stop a job whose next input did not come in time."""
        job = self._book.live.get(job_id)
        return [] if job is None else self._stop(job, StopReason.INPUT_TIMEOUT)

    # --- connections come and go ----------------------------------------------------------------

    @property
    def vacant(self) -> bool:
        """Whether there is nothing to come back for."""
        return len(self.log) == 0

    @property
    def over(self) -> bool:
        """Whether nobody is here, nobody is waited for, and nothing is kept."""
        return not self.attached and self._lapses_at is None and self.vacant

    @property
    def due(self) -> float | None:
        """When `tend` has something to do next; None where that is not before something happens."""
        oldest = self.log.oldest_end
        times = [self._lapses_at, None if oldest is None else oldest + self.offer.result_ttl_s]
        return min((time for time in times if time is not None), default=None)

    def detach(self, now: float, *, clean: bool) -> list[Stop]:
        """Note that the connection is gone: frames go into the log from now on.

        After a clean close jobs that are not to be kept are stopped now, else after `resume_s`.
        """
        for one in self.outbox.take_fresh():
            self.log.append(one, sent=False)
        self.outbox.take_control()
        self.attached = False
        self.log.unattended = True
        self._lapses_at = now + self.offer.resume_s
        return self._stop_unkept() if clean else []

    def attach(self) -> None:
        """Note that a connection is there: frames wait in the outbox from now on."""
        self.attached = True
        self.log.unattended = False
        self._lapses_at = None

    def tend(self, now: float) -> list[Stop]:
        """Do what is due: stop the jobs of a client that did not come back, forget results."""
        self.log.forget(now - self.offer.result_ttl_s)
        if self._lapses_at is None or now < self._lapses_at:
            return []
        self._lapses_at = None
        return self._stop_unkept()

    def _stop_unkept(self) -> list[Stop]:
        jobs = [job for job in self._book.live.values() if job.request.on_disconnect == "cancel"]
        return self._stop_all(jobs, StopReason.DISCONNECT)

    def resume(
        self,
        after: Mapping[str, int],
        *,
        answers: Iterable[bytes] = (),
        sent: Mapping[str, int] | None = None,
    ) -> None:
        """Answer with all jobs that are known, and queue of each what the client has not seen.

        `answers` are still to be sent before that. `sent` is what the connection was sent of each
        job: nothing, where the session is new to it.
        """
        for answer in answers:
            self.outbox.put_first(answer)
        for one in self.outbox.take_fresh():
            self.log.append(one, sent=False)
        for job_id, seq in after.items():
            self.log.acknowledge(job_id, seq)
        here, sent = sent is not None, sent or {}
        self._hush(after, sent)
        parts = list(missed(self.log, self._book.live, after, here=here))
        jobs = {part.job_id: part.recovered for part in parts}
        self.outbox.answer(ResumeReply(outcome="ok", session=self.token, jobs=jobs))
        for part in parts:
            self.outbox.replay(part.job_id, part.frames, sent.get(part.job_id, 0))

    def _hush(self, after: Mapping[str, int], sent: Mapping[str, int]) -> None:
        """Let the jobs that the client is cancelling say nothing new but their end."""
        for job in self._book.live.values():
            if job.is_hushed:
                seen = max(1, after.get(job.id, 0), sent.get(job.id, 0))
                self.log.take_back(job.id, seen + 1)
