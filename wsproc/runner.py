"""One session's jobs at run time: a task's events go to the session, its end becomes `done`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any

from structlog.contextvars import bound_contextvars

from wsproc.engine import EngineError
from wsproc.events import JobEnded
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import JobFrame, Timing
from wsproc.job import Job, StopReason
from wsproc.room import Room
from wsproc.session import Ending, Feed, JobAction, Session, Start
from wsproc.tasks import JobContext, TaskRegistry, TaskResult
from wsproc.tasks.context import Caller
from wsproc.tasks.job_input import JobInput
from wsproc.tasks.stages import timestamp

logger = logging.getLogger("wsproc.jobs")


class Runner:
    """Carries out a session's actions; `wake` is called whenever the session has frames to send,
    `room` is waited for while its outbox is full, `on_end` is called when a job has ended.
    """

    __slots__ = (
        "_engine",
        "_input_timers",
        "_inputs",
        "_on_end",
        "_registry",
        "_room",
        "_session",
        "_tasks",
        "_wake",
    )

    def __init__(
        self,
        session: Session,
        engine: Caller,
        registry: TaskRegistry,
        *,
        wake: Callable[[], None],
        room: Room,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._engine = engine
        self._registry = registry
        self._wake = wake
        self._room = room
        self._on_end = on_end
        self._tasks: dict[str, asyncio.Task[TaskResult | None]] = {}
        self._inputs: dict[str, JobInput] = {}
        self._input_timers: dict[str, asyncio.TimerHandle] = {}

    def carry_out(self, action: JobAction) -> None:
        """Start, feed or stop a job."""
        if isinstance(action, Start):
            self._start(action.job)
        elif isinstance(action, Feed):
            self._feed(action)
        elif (task := self._tasks.get(action.job_id)) is not None:
            task.cancel()

    async def finished(self) -> None:
        """Wait until every job has ended."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _start(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        context = JobContext(
            id=job.id,
            engine=self._engine,
            owner=self._session.token,
            priority=job.request.priority,
            deadline=job.deadline,
            partial=job.partial,
            on_begin=lambda: self._session.begin(job.id),
            input=self._open(job),
        )
        with bound_contextvars(job=job.id):  # for the log lines of the job and of its end
            task = loop.create_task(self._run(job, context), name=f"job {job.id}")
            # The end is told by a callback: a task that is cancelled before it ran a line runs no
            # `finally` of its own, and its job would be left without an end.
            task.add_done_callback(lambda _: self._end(job, context, task))
        self._tasks[job.id] = task
        if job.deadline is not None:
            timer = loop.call_later(max(0.0, job.deadline - time.monotonic()), self._expire, job.id)
            task.add_done_callback(lambda _: timer.cancel())

    def _open(self, job: Job) -> JobInput | None:
        """Return the input of a job that is to be fed, and wait for the first of it."""
        if job.intake is None:
            return None
        source = JobInput("".join(text for _, text in job.request.inputs()))
        self._inputs[job.id] = source
        self._await_input(job.id)
        return source

    def _feed(self, feed: Feed) -> None:
        source = self._inputs[feed.job_id]
        source.feed(feed.text, replace=feed.replace, revision=feed.revision, final=feed.final)
        self._input_timers.pop(feed.job_id).cancel()
        if not feed.final:
            self._await_input(feed.job_id)

    def _await_input(self, job_id: str) -> None:
        loop, timeout_s = asyncio.get_running_loop(), self._session.offer.limits.input_timeout_s
        self._input_timers[job_id] = loop.call_later(timeout_s, self._starve, job_id)

    def _starve(self, job_id: str) -> None:
        self._carry_out_all(self._session.starve(job_id))

    def _expire(self, job_id: str) -> None:
        self._carry_out_all(self._session.expire(job_id))

    def _carry_out_all(self, actions: Iterable[JobAction]) -> None:
        for action in actions:
            self.carry_out(action)
        self._wake()

    async def _run(self, job: Job, context: JobContext) -> TaskResult | None:
        """Consume the task; return its result."""
        result = None
        async with aclosing(self._registry.run(job.request, context)) as events:
            async for event in events:
                if isinstance(event, JobFrame):
                    await self._emit(event)
                elif isinstance(event, TaskResult):
                    result = event
                else:
                    kind = type(event).__name__
                    raise TypeError(f"a task yields frames and one TaskResult, not {kind}")
        return result

    async def _emit(self, frame: JobFrame) -> None:
        self._session.emit(frame)
        self._wake()
        if self._session.outbox.congested:
            await self._room.wait()
        elif not self._session.attached:
            await asyncio.sleep(0)  # no writer sets the pace: let others have their turn

    def _end(self, job: Job, context: JobContext, task: asyncio.Task[TaskResult | None]) -> None:
        del self._tasks[job.id]
        self._inputs.pop(job.id, None)
        if (timer := self._input_timers.pop(job.id, None)) is not None:
            timer.cancel()
        ending = _ending(job, context, task)
        try:
            self._session.finish(job.id, ending, time.monotonic())
        except (TypeError, ValueError) as error:  # a task of one's own may return anything
            ending = Ending(ending.timing, {}, error=_explain(error))
            self._session.finish(job.id, ending, time.monotonic())
        self._session.offer.tell(_told(self._session.label, job, ending))
        self._on_end()
        self._wake()


def _ending(job: Job, context: JobContext, task: asyncio.Task[TaskResult | None]) -> Ending:
    """Say how a job ended, from what became of its task."""
    timing, partial = _timing(job, context), context.partial
    if task.cancelled():
        return Ending(timing, context.usage, partial_result=partial)
    error = task.exception()
    if error is not None:
        return Ending(timing, context.usage, error=_explain(error), partial_result=partial)
    result = task.result()
    if result is None:
        message = "the task ended without a result"
        return Ending(timing, context.usage, error=error_info(ErrorCode.INTERNAL, message))
    return Ending(
        timing, context.usage, result=result.result, message=result.message, timestamp=timestamp()
    )


def _told(session: str, job: Job, ending: Ending) -> JobEnded:
    """Tell of a job's end what an operator may know."""
    timing, inputs = ending.timing, job.request.inputs()
    if ending.result is not None:
        outcome = "completed"
    elif ending.error is not None:
        outcome = ending.error.code.value
    elif job.stop_reason is StopReason.DEADLINE:
        outcome = ErrorCode.DEADLINE_EXCEEDED.value
    else:
        outcome = "cancelled"
    return JobEnded(
        session=session,
        job=job.id,
        task=job.request.type,
        outcome=outcome,
        reason=str(job.stop_reason or StopReason.SHUTDOWN) if outcome == "cancelled" else None,
        inputs=len(inputs),
        characters=sum(len(text) for _, text in inputs),
        queued_s=timing.queued / 1000,
        run_s=timing.run / 1000,
        stop_s=None if timing.stop is None else timing.stop / 1000,
        usage=dict(ending.usage),
        traceparent=_traceparent(job.request.meta),
    )


def _traceparent(meta: Any) -> str | None:
    """Return the span that a client sent along, None where it sent none."""
    found = meta.get("traceparent") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else None


def _timing(job: Job, context: JobContext) -> Timing:
    """Queued until the first call's first step; `stop` is the slowest of the job's calls."""
    now = time.monotonic()
    first_work = context.first_work()
    began = now if first_work is None else first_work
    queued, run = max(0.0, began - job.accepted_at), max(0.0, now - began)
    times = {"queued": round(queued * 1000, 3), "run": round(run * 1000, 3)}
    if job.stop_reason is not None:
        stops = [call.end.stop_ms or 0.0 for call in context.calls if call.end is not None]
        times["stop"] = round(max(stops, default=0.0), 3)
    return Timing(**times)


def _explain(error: BaseException) -> ErrorInfo:
    """Name an error for the client; what is none of the engine's stays in the log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EngineError):
        return error_info(_code(error), error.message)
    logger.error("a task raised", exc_info=error)
    return error_info(ErrorCode.INTERNAL, "the task raised an error; the server's log has it")


def _code(error: EngineError) -> ErrorCode:
    """Return the code of an engine's error; one of a task's own kind is an `engine_error`."""
    try:
        return ErrorCode(error.code)
    except ValueError:
        return ErrorCode.ENGINE_ERROR
