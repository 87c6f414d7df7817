"""One client's jobs: what comes in is decided here, what goes out is queued.

The shell around it does the I/O in three verbs: `receive` a message and carry out the actions it
returns, `emit` what a running job makes, and send what `next_message` hands out. Nothing in here
waits, so no change of state is ever half done; an id is registered before `receive` returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from wsproc.admission import Admission
from wsproc.events import FrameRefused, JobAccepted, JobRejected
from wsproc.frames.client import (
    Append,
    Cancel,
    ClientFrame,
    Jobs,
    Ping,
    Resume,
    Revise,
    Submit,
)
from wsproc.frames.errors import CloseCode, ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import Accepted, CancelReply, Goaway, Pong, ResumeReply, Welcome
from wsproc.job import Job, StopReason
from wsproc.numbered import Fresh
from wsproc.outbox import Outbox
from wsproc.protocol import BadFrame, decode, peek
from wsproc.replay import ReplayLog
from wsproc.session.actions import Action, Close, Feed, Start, Stop, TakeUp
from wsproc.session.answers import complaint, misplaced_auth, refused, rejected
from wsproc.session.delivery import Delivery
from wsproc.session.endings import meta_of
from wsproc.session.feeds import feed, too_late
from wsproc.session.offer import Offer
from wsproc.session.submits import digest, intake, objection
from wsproc.tenant import Tenant

BAD_FRAMES_IN_A_ROW = 10

UNREAD_RETRY_MS = 1000
"""When a client that reads too slowly for its own jobs may try again."""


class Session(Delivery):
    """The jobs of one client. Times (`now`) are seconds on any one steady clock."""

    __slots__ = ("_bad_frames", "draining")

    def __init__(
        self,
        token: str,
        offer: Offer,
        admission: Admission,
        outbox: Outbox | None = None,
        log: ReplayLog | None = None,
        tenant: Tenant | None = None,
    ) -> None:
        super().__init__(token, offer, admission, outbox, log, tenant)
        self.draining = False
        self._bad_frames = 0

    def attach(self) -> None:
        """Note that a connection is there, whose bad frames are none of the earlier one's."""
        super().attach()
        self._bad_frames = 0

    # --- in -------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Queue `welcome`, the first frame of a connection."""
        offer = self.offer
        self.outbox.answer(
            Welcome(
                server=offer.version,
                session=self.token,
                epoch=offer.epoch,
                tasks=[name for name in offer.tasks if self._book.tenant.forbids(name) is None],
                limits=offer.limits,
                resume_s=offer.resume_s,
                heartbeat_s=offer.heartbeat_s,
            )
        )

    def receive(self, message: str | bytes, now: float) -> list[Action]:
        """Act on one message; return what the shell is to do. Never raises for a bad message."""
        try:
            frame = decode(message, self.offer.tasks)
        except BadFrame as bad:
            return [*self._refuse(bad)]
        self._bad_frames = 0
        return [*self._act(frame, now), *self._flooded()]

    def put_off(self, message: str | bytes, wait_s: float) -> list[Action]:
        """Answer a message that came too fast and do not act upon it."""
        most = self.offer.limits.max_messages_per_s
        error = error_info(
            ErrorCode.RATE_LIMITED,
            f"too many messages: this connection may send {most:g} a second",
            retry_after_ms=math.ceil(wait_s * 1000),
        )
        self.outbox.answer(complaint(error, peek(message)))
        self.offer.tell(FrameRefused(error.code))
        return [*self._flooded()]

    def _flooded(self) -> list[Close]:
        if not self.outbox.flooded:
            return []
        return [Close(CloseCode.SLOW_CONSUMER, "answers are asked for and not read")]

    def _act(self, frame: ClientFrame, now: float) -> list[Action]:
        match frame:
            case Submit():
                return self.submit(frame, now)
            case Cancel(id="*"):
                return [*self._cancel_all()]
            case Cancel(id=job_id):
                return [*self._cancel(job_id)]
            case Resume(session=token, after=after):
                return [*self._resume(frame, token, after)]
            case Append() | Revise():
                return [*self._feed(frame)]
            case Jobs(id=job_id):
                self.outbox.answer(self._book.snapshot(job_id))
            case Ping():
                n = frame.model_dump(include={"n"}, exclude_unset=True)
                self.outbox.answer(Pong.model_validate(n))
            case _:
                self.outbox.answer(misplaced_auth(frame))
        return []

    def _refuse(self, bad: BadFrame) -> list[Close]:
        """Answer a bad frame; after ten in a row that submit nothing, close."""
        if bad.submit:
            self._bad_frames = 0
            self.offer.tell(JobRejected(bad.error.code))
            self.outbox.answer(rejected(bad.regarding.id if bad.regarding else None, bad.error))
            return []
        self.offer.tell(FrameRefused(bad.error.code))
        self.outbox.answer(complaint(bad.error, bad.regarding))
        self._bad_frames += 1
        if self._bad_frames < BAD_FRAMES_IN_A_ROW:
            return []
        return [Close(CloseCode.TOO_MANY_BAD_FRAMES, "too many bad frames in a row")]

    # --- submit ---------------------------------------------------------------------------------

    def submit(self, request: Submit, now: float) -> list[Action]:
        """Register a job and queue `accepted`, or queue `rejected`."""
        if request.id is not None and self._is_taken(request.id):
            return self._answer_again(request.id, digest(request))
        error = self._objection(request, now)
        if error is not None:
            return self._reject(request.id, error)
        self.offer.tell(JobAccepted(request.type))
        return [Start(self._accept(request, digest(request), now))]

    def _is_taken(self, job_id: str) -> bool:
        """Whether an id names a live job, a result that is kept, or frames that still wait."""
        return job_id in self.log or self.outbox.holds(job_id)

    def _objection(self, request: Submit, now: float) -> ErrorInfo | None:
        """Return why a submit cannot be taken; first what waiting does not mend."""
        if self.draining:
            message = "the server is shutting down; reconnect and send it again"
            return error_info(ErrorCode.DRAINING, message)
        most = self.offer.limits.max_jobs
        return (
            self._book.tenant.forbids(request.type)
            or objection(request, self.offer)
            or self._unread()
            or self._book.objection(request, most, now)
        )

    def _unread(self) -> ErrorInfo | None:
        """Refuse jobs while the ends of earlier ones are not read: they must not be lost, so their
        number is bounded by what is taken.
        """
        if not self.outbox.overfull:
            return None
        message = "the results of earlier jobs wait to be read on this connection; read them first"
        return error_info(ErrorCode.TOO_MANY_JOBS, message, retry_after_ms=UNREAD_RETRY_MS)

    def _accept(self, request: Submit, body: bytes, now: float) -> Job:
        """Register a job; its `accepted` has its number from now on."""
        going_on = intake(request, self.offer)
        job, position, eta_ms = self._book.enter(request, body, going_on, now)
        frame = Accepted(id=job.id, position=position, eta_ms=eta_ms, **meta_of(request))
        self.outbox.put_first(self.log.append(Fresh.of(frame), sent=False))
        return job

    def _reject(self, job_id: str | None, error: ErrorInfo) -> list[Action]:
        self.offer.tell(JobRejected(error.code))
        self.outbox.answer(rejected(job_id, error))
        return []

    def _answer_again(self, job_id: str, body: bytes) -> list[Action]:
        """Answer a submit under an id that is taken: the same one again, or another one."""
        if self._book.digest(job_id) != body:
            message = f"another job with the id {job_id!r} is running, or its result is kept"
            return self._reject(job_id, error_info(ErrorCode.ID_CONFLICT, message, path="id"))
        again = Accepted(
            id=job_id,
            position=self._book.position(job_id),
            eta_ms=None,
            duplicate=True,
            last_seq=self.log.last_seq(job_id),
        )
        self.outbox.answer(again)
        done = self.log.done(job_id)
        if done is not None and not self.outbox.holds(job_id):
            self.outbox.replay(job_id, [done])
        return []

    # --- input that goes on ---------------------------------------------------------------------

    def _feed(self, frame: Append | Revise) -> list[Feed]:
        job = self._book.live.get(frame.id)
        if job is None:
            self.outbox.answer(too_late(frame, self._book.final_status(frame.id)))
            return []
        reply, action = feed(job, frame)
        self.outbox.answer(reply)
        if action is None:
            return []
        self.outbox.supersede(job.id, action.revision)
        return [action]

    # --- cancel ---------------------------------------------------------------------------------

    def _cancel(self, job_id: str) -> list[Stop]:
        job = self._book.live.get(job_id)
        if job is not None:
            self.outbox.answer(CancelReply(id=job_id, outcome="cancelling"))
            return self._stop(job, StopReason.CLIENT)
        status = self._book.final_status(job_id)
        if status is None:
            self.outbox.answer(CancelReply(id=job_id, outcome="unknown"))
        else:
            self.outbox.answer(CancelReply(id=job_id, outcome="done", status=status))
        return []

    def _cancel_all(self) -> list[Stop]:
        jobs = list(self._book.live.values())
        outcome: Literal["cancelling", "done"] = "cancelling" if jobs else "done"
        self.outbox.answer(CancelReply(id="*", outcome=outcome, ids=[job.id for job in jobs]))
        return self._stop_all(jobs, StopReason.CLIENT)

    # --- resume ---------------------------------------------------------------------------------

    def _resume(self, frame: Resume, token: str, after: Mapping[str, int]) -> list[TakeUp]:
        """Send again what was missed of this session; another one is the shell's to find."""
        if token == self.token:
            sent = {job: self.outbox.sent(job, self.log.last_seq(job)) for job in self.log}
            self.resume(after, sent=sent)
        elif self.vacant:
            return [TakeUp(token, after)]
        else:
            message = "this connection has jobs already; resume on a new one, before its first job"
            self.outbox.answer(refused(frame, message, path="session"))
        return []

    def refuse_resume(self, outcome: Literal["unknown_session", "epoch_changed"]) -> None:
        """Answer that the wanted session is not there."""
        self.outbox.answer(ResumeReply(outcome=outcome))

    # --- going away -----------------------------------------------------------------------------

    def drain(self, code: CloseCode, reason: str, grace_ms: int) -> None:
        """Announce the planned close; no further job is taken."""
        self.draining = True
        self.outbox.answer(Goaway(code=code, reason=reason, grace_ms=grace_ms, reconnect=True))
