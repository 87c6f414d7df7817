"""One client's jobs: what comes in is decided here, what goes out is queued here. Pure.

The shell around it does the I/O in three verbs: `receive` a message and carry out the actions it
returns, `emit` what a running job makes, and send what `next_message` hands out. Nothing in here
waits, so no change of state is ever half done; an id is registered before `receive` returns.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wsproc.admission import Admission
from wsproc.events import FrameRefused, JobAccepted, JobRejected, Reader, label, nobody
from wsproc.frames.client import (
    Append,
    Auth,
    Cancel,
    ClientFrame,
    Generate,
    Jobs,
    Ping,
    Resume,
    Revise,
    Submit,
)
from wsproc.frames.errors import CloseCode, ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    CancelReply,
    Completed,
    Done,
    Error,
    Failed,
    Goaway,
    InputReply,
    JobFrame,
    JobInfo,
    JobsReply,
    Limits,
    Pong,
    Regarding,
    Rejected,
    ServerFrame,
    Timing,
    Welcome,
)
from wsproc.intake import Intake, not_open, stopping
from wsproc.job import Job, JobEvent, JobState, StopReason
from wsproc.outbox import Outbox, is_stale
from wsproc.protocol import BadFrame, decode, peek

BAD_FRAMES_IN_A_ROW = 10
REMEMBERED_ENDS = 1000
"""How many ended jobs a session remembers by their final status, for late cancels."""

FinalStatus = Literal["completed", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Start:
    """Run this job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop this job; its end is still to be reported by `finish`."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Give a job more text, or another text where it is to `replace` what there is."""

    job_id: str
    text: str
    replace: bool
    revision: int
    final: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once the outbox is empty."""

    code: CloseCode
    reason: str


Action = Start | Stop | Feed | Close


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


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers to every session: its tasks, its loaded stages, its limits."""

    version: str
    epoch: str
    tasks: Mapping[str, type[Submit]]
    limits: Limits
    heartbeat_s: float
    unavailable: Callable[[str], str | None] = lambda stage: None
    """Says in words why a stage cannot be used now; None where it can."""
    tell: Reader = nobody
    """Is told of what happens."""


class Session:
    """The jobs of one client. Times (`now`) are seconds on any one steady clock."""

    def __init__(
        self, token: str, offer: Offer, admission: Admission, outbox: Outbox | None = None
    ) -> None:
        self.token = token
        self.label = label(token)
        self.offer = offer
        self.outbox = Outbox() if outbox is None else outbox  # an empty one is falsy
        self.draining = False
        self._admission = admission
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, FinalStatus] = OrderedDict()
        self._assigned = 0
        self._bad_frames = 0

    def __repr__(self) -> str:
        return f"<Session {len(self._jobs)} jobs, {self.outbox!r}>"

    @property
    def live_jobs(self) -> int:
        """How many jobs are not over."""
        return len(self._jobs)

    # --- in -------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Queue `welcome`, the first frame of a connection."""
        offer = self.offer
        self.outbox.put(
            Welcome(
                server=offer.version,
                session=self.token,
                epoch=offer.epoch,
                tasks=list(offer.tasks),
                limits=offer.limits,
                resume_s=0,
                heartbeat_s=offer.heartbeat_s,
            )
        )

    def receive(self, message: str | bytes, now: float) -> list[Action]:
        """Act on one message; return what the shell is to do. Never raises for a bad message."""
        try:
            frame = decode(message, self.offer.tasks)
        except BadFrame as bad:
            return self._refuse(bad)
        self._bad_frames = 0
        return self._act(frame, now) + self._flooded()

    def put_off(self, message: str | bytes, wait_s: float) -> list[Action]:
        """Answer a message that came too fast and do not act upon it."""
        most = self.offer.limits.max_messages_per_s
        error = error_info(
            ErrorCode.RATE_LIMITED,
            f"too many messages: this connection may send {most:g} a second",
            retry_after_ms=math.ceil(wait_s * 1000),
        )
        self.outbox.put(_error(error, peek(message)))
        self.offer.tell(FrameRefused(error.code))
        return self._flooded()

    def _flooded(self) -> list[Action]:
        if not self.outbox.flooded:
            return []
        return [Close(CloseCode.SLOW_CONSUMER, "answers are asked for and not read")]

    def _act(self, frame: ClientFrame, now: float) -> list[Action]:
        match frame:
            case Submit():
                return self.submit(frame, now)
            case Cancel(id="*"):
                return self._cancel_all()
            case Cancel(id=job_id):
                return self._cancel(job_id)
            case Append() | Revise():
                return self._feed(frame)
            case Jobs(id=job_id):
                self.outbox.put(self._snapshot(job_id))
            case Ping():
                n = frame.model_dump(include={"n"}, exclude_unset=True)
                self.outbox.put(Pong.model_validate(n))
            case _:
                self.outbox.put(_not_offered(frame))
        return []

    def _refuse(self, bad: BadFrame) -> list[Action]:
        """Answer a bad frame; after ten in a row that submit nothing, close."""
        if bad.submit:
            self._bad_frames = 0
            self.offer.tell(JobRejected(bad.error.code))
            self.outbox.put(_rejected(bad.regarding.id if bad.regarding else None, bad.error))
            return []
        self.offer.tell(FrameRefused(bad.error.code))
        self.outbox.put(_error(bad.error, bad.regarding))
        self._bad_frames += 1
        if self._bad_frames < BAD_FRAMES_IN_A_ROW:
            return []
        return [Close(CloseCode.TOO_MANY_BAD_FRAMES, "too many bad frames in a row")]

    # --- submit ---------------------------------------------------------------------------------

    def submit(self, request: Submit, now: float) -> list[Action]:
        """Register a job and queue `accepted`, or queue `rejected`."""
        error = self._objection(request, now)
        if error is not None:
            self.offer.tell(JobRejected(error.code))
            self.outbox.put(_rejected(request.id, error))
            return []
        self.offer.tell(JobAccepted(request.type))
        job = Job(request.id or self._new_id(), request, accepted_at=now)
        job.intake = self._intake(request)
        self._jobs[job.id] = job
        self._ended.pop(job.id, None)
        kind = _kind(request)
        position = self._admission.enter(
            (self.token, job.id), request.priority, kind, now, waits=job.intake is None
        )
        pace = self._admission.pace
        whole = job.intake is None
        eta_ms = pace.expect_ms(kind, request.size(), self._admission.live) if whole else None
        self.outbox.put(Accepted(id=job.id, position=position, eta_ms=eta_ms, **_meta_of(request)))
        return [Start(job)]

    def _objection(self, request: Submit, now: float) -> ErrorInfo | None:
        """Return why a well-formed submit cannot be taken; first what waiting does not mend."""
        if self.draining:
            message = "the server is shutting down; reconnect and send it again"
            return error_info(ErrorCode.DRAINING, message)
        if request.id is not None and self._is_taken(request.id):
            message = f"a job with the id {request.id!r} is running in this session"
            return error_info(ErrorCode.ID_CONFLICT, message, path="id")
        return self._not_yet(request) or self._too_large(request) or self._too_many(request, now)

    def _is_taken(self, job_id: str) -> bool:
        """Whether an id names a job that the client has not seen the end of."""
        return job_id in self._jobs or self.outbox.holds(job_id)

    def _not_yet(self, request: Submit) -> ErrorInfo | None:
        """Refuse what the protocol names and this server does not do, rather than ignore it."""
        for name in ("open", "live"):
            if getattr(request, name) and name not in request.goes_on:
                able = [kind for kind, one in self.offer.tasks.items() if name in one.goes_on]
                message = (
                    f"{name}: a {request.type} job takes its whole input at once;"
                    f" {' or '.join(able) or 'no other'} can be {name}"
                )
                return error_info(ErrorCode.INVALID_FIELD, message, path=name)
        if request.on_disconnect == "keep":
            message = "this server keeps no jobs after a disconnect; use on_disconnect 'cancel'"
            return error_info(ErrorCode.INVALID_FIELD, message, path="on_disconnect")
        for stage in request.needs():
            reason = self.offer.unavailable(stage)
            if reason is not None:
                return error_info(ErrorCode.MODEL_UNAVAILABLE, reason)
        return None

    def _too_many(self, request: Submit, now: float) -> ErrorInfo | None:
        most, kind = self.offer.limits.max_jobs, _kind(request)
        if len(self._jobs) >= most:
            message = f"{most} jobs are running on this connection; wait for one to end"
            retry_after_ms = self._admission.next_turn_ms(kind, request.priority, now)
            return error_info(ErrorCode.TOO_MANY_JOBS, message, retry_after_ms=retry_after_ms)
        timeout_s = None if request.timeout_ms is None else request.timeout_ms / 1000
        return self._admission.objection(self.token, kind, request.priority, timeout_s, now)

    def _too_large(self, request: Submit) -> ErrorInfo | None:
        limits = self.offer.limits
        inputs = request.inputs()
        if len(inputs) > limits.max_texts:
            message = f"texts: {limits.max_texts} at most, these are {len(inputs)}"
            return error_info(ErrorCode.INPUT_TOO_LARGE, message, path="texts")
        for path, text in inputs:
            if len(text) > limits.max_text_chars:
                message = f"{path}: {limits.max_text_chars} characters at most, has {len(text)}"
                return error_info(ErrorCode.INPUT_TOO_LARGE, message, path=path)
        total = sum(len(text) for _, text in inputs)
        if len(inputs) > 1 and total > limits.max_batch_chars:
            most = limits.max_batch_chars
            message = f"texts: {most} characters at most in all, these have {total}"
            return error_info(ErrorCode.INPUT_TOO_LARGE, message, path="texts")
        if isinstance(request, Generate) and request.max_tokens > limits.max_tokens:
            message = f"max_tokens: {limits.max_tokens} at most"
            return error_info(ErrorCode.INVALID_FIELD, message, path="max_tokens")
        return None

    def _new_id(self) -> str:
        while True:
            self._assigned += 1
            name = f"job-{self._assigned}"
            if name not in self._jobs and name not in self._ended:
                return name

    # --- input that goes on ---------------------------------------------------------------------

    def _intake(self, request: Submit) -> Intake | None:
        if not request.is_open:
            return None
        length = sum(len(text) for _, text in request.inputs())
        most = self.offer.limits.max_text_chars
        return Intake(request.live, length, least=request.least_chars, most=most)

    def _feed(self, frame: Append | Revise) -> list[Action]:
        job = self._jobs.get(frame.id)
        if job is None:
            self.outbox.put(self._too_late(frame))
            return []
        error = _taken(job, frame)
        if error is not None or job.intake is None:
            refused = InputReply(op=frame.type, id=job.id, outcome="refused", error=error)
            self.outbox.put(refused)
            return []
        self.outbox.put(InputReply(op=frame.type, id=job.id, outcome="ok", **_progress_of(job)))
        self.outbox.supersede(job.id, job.intake.revision)
        replace, final = isinstance(frame, Revise), job.intake.ended
        return [Feed(job.id, frame.text or "", replace, job.intake.revision, final)]

    def _too_late(self, frame: Append | Revise) -> InputReply:
        status = self._ended.get(frame.id)
        if status is None:
            return InputReply(op=frame.type, id=frame.id, outcome="unknown")
        return InputReply(op=frame.type, id=frame.id, outcome="done", status=status)

    def starve(self, job_id: str) -> list[Action]:
        """Stop a job whose next input did not come in time."""
        job = self._jobs.get(job_id)
        return [] if job is None else self._stop(job, StopReason.INPUT_TIMEOUT)

    # --- cancel ---------------------------------------------------------------------------------

    def _cancel(self, job_id: str) -> list[Action]:
        job = self._jobs.get(job_id)
        if job is not None:
            self.outbox.put(CancelReply(id=job_id, outcome="cancelling"))
            return self._stop(job, StopReason.CLIENT)
        status = self._ended.get(job_id)
        if status is None:
            self.outbox.put(CancelReply(id=job_id, outcome="unknown"))
        else:
            self.outbox.put(CancelReply(id=job_id, outcome="done", status=status))
        return []

    def _cancel_all(self) -> list[Action]:
        jobs = list(self._jobs.values())
        outcome: Literal["cancelling", "done"] = "cancelling" if jobs else "done"
        self.outbox.put(CancelReply(id="*", outcome=outcome, ids=[job.id for job in jobs]))
        return [action for job in jobs for action in self._stop(job, StopReason.CLIENT)]

    def _stop(self, job: Job, reason: StopReason) -> list[Action]:
        """Move a job to cancelling; purge what it has unsent unless its time ran out."""
        if reason not in (StopReason.DEADLINE, StopReason.INPUT_TIMEOUT):
            self.outbox.purge(job.id)
        if job.state is JobState.CANCELLING:
            return []
        job.apply(JobEvent.STOP)
        job.stop_reason = reason
        self._admission.withdraw((self.token, job.id))
        return [Stop(job.id)]

    def expire(self, job_id: str) -> list[Action]:
        """Stop a job whose deadline passed."""
        job = self._jobs.get(job_id)
        return [] if job is None else self._stop(job, StopReason.DEADLINE)

    def leave(self, reason: StopReason) -> list[Action]:
        """Stop every job: the client is gone, or the server is about to be."""
        return [action for job in list(self._jobs.values()) for action in self._stop(job, reason)]

    def drain(self, code: CloseCode, reason: str, grace_ms: int) -> None:
        """Announce the planned close; no further job is taken."""
        self.draining = True
        self.outbox.put(Goaway(code=code, reason=reason, grace_ms=grace_ms, reconnect=True))

    # --- out ------------------------------------------------------------------------------------

    def begin(self, job_id: str, now: float) -> None:
        """Note a job's first work on a device; its slot in the queue is free."""
        job = self._jobs.get(job_id)
        if job is not None and job.state is JobState.QUEUED:
            job.apply(JobEvent.BEGIN)
            self._admission.begin((self.token, job_id), now)

    def emit(self, frame: JobFrame) -> None:
        """Queue a frame of a running job; late ones of a stopped job, or about a text that has been
        revised, are dropped.
        """
        job = self._jobs.get(frame.id)
        if job is None or job.state is JobState.CANCELLING:
            return
        if job.intake is None or not is_stale(frame, job.intake.revision):
            self.outbox.put(frame)

    def finish(self, job_id: str, ending: Ending) -> None:
        """Queue a job's one terminal frame and free its id and its slot.

        Raises ValueError or TypeError for an ending that cannot be written as JSON; the job is not
        over then and needs another.
        """
        job = self._jobs[job_id]
        done = _done(job, ending)
        self.outbox.put(done)
        del self._jobs[job_id]
        job.apply(JobEvent.END)
        if isinstance(done, Completed) and job.intake is None:
            self._learn(job, ending.timing)
        late = job.stop_reason is StopReason.DEADLINE
        run_s = ending.timing.run / 1000 if late or isinstance(done, Completed) else None
        self._admission.leave((self.token, job_id), run_s, late=late)
        self._remember(job_id, done)

    def _learn(self, job: Job, timing: Timing) -> None:
        """Let later estimates know how long this job took."""
        crowd = self._admission.crowd((self.token, job.id))
        seconds = (timing.queued + timing.run) / 1000
        self._admission.pace.note(_kind(job.request), job.request.size(), crowd, seconds)

    def next_message(self) -> bytes | None:
        """Take the next message to send, or None."""
        return self.outbox.pop()

    def _remember(self, job_id: str, done: Completed | Cancelled | Failed) -> None:
        self._ended[job_id] = done.status
        if len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)

    def _snapshot(self, job_id: str | None) -> JobsReply:
        if job_id is None:
            return JobsReply(outcome="ok", jobs=[self._info(job) for job in self._jobs.values()])
        job = self._jobs.get(job_id)
        if job is None:
            return JobsReply(id=job_id, outcome="unknown", jobs=[])
        return JobsReply(id=job_id, outcome="ok", jobs=[self._info(job)])

    def _info(self, job: Job) -> JobInfo:
        info: dict[str, Any] = {
            "id": job.id,
            "task": job.request.type,
            "state": job.state.value,
            "last_seq": self.outbox.last_seq(job.id),
        }
        info |= _progress_of(job)
        if job.intake is not None:
            info["final"] = job.intake.ended
        position = self._admission.position((self.token, job.id))
        if position is not None and job.state is JobState.QUEUED:
            info["position"] = position
        return JobInfo(**info)


def _done(job: Job, ending: Ending) -> Completed | Cancelled | Failed:
    """Choose the terminal frame: a result wins, then an error, then the reason of the stop."""
    common: dict[str, Any] = {
        "id": job.id,
        "usage": dict(ending.usage),
        "timing_ms": ending.timing,
        **_meta_of(job.request),
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


def _taken(job: Job, frame: Append | Revise) -> ErrorInfo | None:
    """Take a job's input, or return why it cannot be taken."""
    if job.intake is None:
        return not_open()
    if job.state is JobState.CANCELLING:
        return stopping()
    if isinstance(frame, Revise):
        return job.intake.revise(frame.text)
    return job.intake.append(frame.text or "", final=frame.final)


def _progress_of(job: Job) -> dict[str, Any]:
    """Say how far a job's input has come, where it goes on."""
    if job.intake is None:
        return {}
    revision = {"revision": job.intake.revision} if job.intake.live else {}
    return {"text_length": job.intake.length, **revision}


def _meta_of(request: Submit) -> dict[str, Any]:
    return {"meta": request.meta} if "meta" in request.model_fields_set else {}


def _rejected(job_id: str | None, error: ErrorInfo) -> Rejected:
    return Rejected(error=error) if job_id is None else Rejected(id=job_id, error=error)


def _error(error: ErrorInfo, regarding: Regarding | None) -> Error:
    return Error(error=error) if regarding is None else Error(error=error, re=regarding)


def _not_offered(frame: ClientFrame) -> ServerFrame:
    """Answer a frame of the protocol that this server does not act upon yet."""
    messages: dict[type[ClientFrame], str] = {
        Resume: "resume is not offered by this server; submit the jobs again",
        Auth: "this server asks for no token; auth is not needed",
    }
    named = {key: getattr(frame, key) for key in ("type", "id") if hasattr(frame, key)}
    error = error_info(ErrorCode.BAD_FRAME, messages[type(frame)], path="type")
    return _error(error, Regarding(**named))


def _kind(request: Submit) -> tuple[str, ...]:
    """Return what tells jobs of like cost apart: the task and the stages that it calls."""
    return (request.type, *request.needs())


__all__ = ["Action", "Close", "Done", "Ending", "Feed", "Offer", "Session", "Start", "Stop"]
