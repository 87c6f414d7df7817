"""What a client is owed: answers to its submits, frames of its jobs, replies to its questions.

The ledger outlives connections. It decides, and returns what is to be sent; it never waits and
knows no socket. The rules of a loss:

- While the session lives, nothing is repeated: a job goes on after the last frame that came
  (`after`, `resumed`), a submit whose answer is missing is sent again under its id, and so is a
  question, unless acting twice upon it would do harm (`append`).
- Where the session is gone (`forgotten`), or the server stopped a job by itself (`shutdown`,
  `disconnect`), a job of a task that may be repeated is submitted again: the same fields under the
  same id, or, where that id is taken by the job's old end, under another on the wire. Its owner
  sees one job: the old name, and no event twice.
- A job that may not be repeated, or whose stop was asked for, is lost then.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Container, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from wsproc.client.delivered import Diverged
from wsproc.client.entry import Entries, Entry
from wsproc.client.errors import ConnectionLost, JobLost, JobRejected, ProtocolError, WsprocError
from wsproc.client.job import Desk, Job
from wsproc.client.replies import Replies, question_of, settle
from wsproc.frames.client import Cancel
from wsproc.frames.errors import ErrorCode, ErrorInfo
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    CancelReply,
    Error,
    JobFrame,
    Regarding,
    Rejected,
    ResumeReply,
    ServerFrame,
)
from wsproc.protocol import encode

logger = logging.getLogger("wsproc.client")

REPEAT_PATIENCE_S = 300.0
"""How long a busy server is asked to take a job back before the job is lost."""

ENDS_KEPT = 1000
"""Of how many ended jobs the last number is told in `resume`, so that they are not replayed."""

F = TypeVar("F", bound=ServerFrame)


@dataclass(frozen=True, slots=True)
class Later:
    """Ask for what was put off (`retry`) after so many seconds: a submit, or a kind of question."""

    what: Entry | Hashable
    delay_s: float


Outgoing = bytes | Later


class Ledger:
    """The submits, jobs and questions of one client. Times (`now`) are in seconds, monotonic.

    `repeat` holds the tasks whose jobs may be run a second time; without `returns` no other
    connection will ever come, so nothing is held back for one.
    """

    def __init__(self, desk: Desk, repeat: Container[str], *, returns: bool) -> None:
        self.draining = False
        """Whether the present connection's end was announced, with an invitation to come back."""
        self._desk = desk
        self._repeatable = repeat
        self._returns = returns
        self.entries = Entries()
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._replies = Replies()

    # --- what is asked --------------------------------------------------------------------------

    def submit(
        self, name: str, task: str, fields: dict[str, Any], message: bytes
    ) -> asyncio.Future[Job[Any]]:
        """Note a submit; the future is its job once it is accepted."""
        answer: asyncio.Future[Job[Any]] = asyncio.get_running_loop().create_future()
        self.entries.add(Entry(name, name, task, fields, message, answer))
        self._ended.pop(name, None)
        return answer

    def ask(
        self, kind: Hashable, message: bytes, *, repeatable: bool = True
    ) -> asyncio.Future[Any]:
        """Note a question; the future is its reply."""
        return self._replies.expect(kind, message, repeatable=repeatable)

    def may_repeat(self, task: str) -> bool:
        """Whether jobs of a task may come to be run a second time."""
        return self._returns and task in self._repeatable

    def give_up(self, name: str) -> None:
        """Note that nobody wants a job, or with `*` any, to be run again."""
        for entry in self.entries:
            if entry.job is not None and name in ("*", entry.name):
                entry.job.unwanted = True

    # --- what comes in --------------------------------------------------------------------------

    def receive(self, frame: ServerFrame, now: float) -> list[Outgoing]:
        """Hand a frame to whom it is for; return what is to be sent. Raises `ProtocolError`."""
        match frame:
            case Accepted():
                self._accept(frame, now)
            case JobFrame():
                return self._hand_on(frame, now)
            case Rejected():
                return self._reject(frame.id, frame.error, now)
            case Error():
                return self._note(frame, now)
            case CancelReply():
                self._forget_unsent(frame)
                self._replies.hear(frame, self.entries.name)
            case _:
                self._replies.hear(frame, self.entries.name)
        return []

    # --- a loss, and what follows it ------------------------------------------------------------

    def interrupt(self, lost: WsprocError) -> None:
        """Note that the connection is gone and is being made again."""
        self.draining = False
        self._replies.interrupt(lost)

    def after(self, most: int) -> dict[str, int]:
        """Return the last number seen of each job, for `resume`: `most` of them, the live first."""
        live = {e.wire_id: e.job.last_seq for e in self.entries if e.job and e.accepted}
        ended = itertools.islice(reversed(self._ended.items()), max(0, most - len(live)))
        return live | dict(ended)

    def adopt(self, reply: ResumeReply) -> dict[str, Job[Any]]:
        """Take over the jobs of a session that another client had; they are told from the start.

        What they are and were given is not known: their tasks are filled in later, and they are
        not run again.
        """
        for job_id, known in reply.jobs.items():
            answer: asyncio.Future[Job[Any]] = asyncio.get_running_loop().create_future()
            entry = Entry(job_id, job_id, "", {}, b"", answer)
            self.entries.add(entry)
            self._begin(entry, Accepted(id=job_id, position=0, eta_ms=None, duplicate=True))
            if known.recovered:
                entry.accepted = False  # its own `accepted` follows
            elif entry.job is not None:
                entry.job.allow_gap()
        return {entry.name: entry.job for entry in self.entries if entry.job is not None}

    def resumed(self, reply: ResumeReply, lost: ConnectionLost, now: float) -> list[bytes]:
        """Go on in the same session; return what is to be sent again."""
        messages = []
        for entry in self.entries:
            known = reply.jobs.get(entry.wire_id)
            if entry.abandoned:
                self.entries.drop(entry)
            elif entry.stopped is not None or (known is None and entry.accepted):
                messages += self._repeat(entry, lost, now, "the server knows it no more")
            elif known is None:
                messages.append(entry.message)
            elif not known.recovered:
                self._expect_snapshot(entry)
        return messages + self._replies.unanswered()

    def forgotten(self, lost: ConnectionLost, now: float) -> list[bytes]:
        """Begin a new session, the old one is gone; return what is to be sent in it."""
        self._ended.clear()
        messages = []
        for entry in self.entries:
            if entry.abandoned:
                self.entries.drop(entry)
            elif entry.accepted or not entry.repeatable(self._repeatable):
                messages += self._repeat(entry, lost, now, "the server has forgotten the session")
            else:
                messages.append(entry.message)
        return messages + self._replies.unanswered()

    def retry(self, what: Entry | Hashable) -> list[bytes]:
        """Return what the server put off, unless it has answered by now."""
        if not isinstance(what, Entry):
            return self._replies.unanswered(what)
        waits = self.entries.find(what.wire_id) is what and not what.accepted
        return [what.message] if waits else []

    def fail(self, error: WsprocError) -> None:
        """Tell everyone who waits that no connection will come any more."""
        for entry in self.entries.clear():
            if entry.job is None:
                settle(entry.answer, error)
            elif entry.stopped is not None:
                entry.job.end(entry.stopped)
            else:
                entry.job.lose(error)
        self._replies.fail(error)

    # --- submits --------------------------------------------------------------------------------

    def _accept(self, frame: Accepted, now: float) -> None:
        entry = self.entries.find(frame.id)
        if entry is None or entry.accepted:
            return
        if frame.seq != 1 and not frame.duplicate:
            message = f"job {frame.id!r}: accepted must be frame 1, it is {frame.seq}"
            raise ProtocolError(message)
        if entry.abandoned:
            self.entries.drop(entry)
            return
        if entry.accepted_at is None:
            entry.accepted_at = now
        job = self._begin(entry, _called(frame, entry.name))
        if frame.duplicate:
            job.attach(frame.last_seq or 0)

    def _begin(self, entry: Entry, accepted: Accepted) -> Job[Any]:
        entry.accepted = True
        if entry.job is None:
            entry.job = Job(entry.task, accepted, self._desk, entry.fields)
            settle(entry.answer, entry.job)
        else:
            entry.job.accept(accepted)
        return entry.job

    def _forget_unsent(self, reply: CancelReply) -> None:
        """Drop a submit whose caller went away before it was even sent: nothing else answers it."""
        entry = self.entries.find(reply.id)
        if entry is not None and entry.abandoned and reply.outcome == "unknown":
            self.entries.drop(entry)

    def _expect_snapshot(self, entry: Entry) -> None:
        """Let a job skip what the server did not keep of it, perhaps its `accepted` too."""
        if entry.job is None or not entry.accepted:
            self._begin(entry, Accepted(id=entry.name, position=0, eta_ms=None, duplicate=True))
        assert entry.job is not None
        entry.job.allow_gap()

    def _reject(self, wire_id: str | None, error: ErrorInfo, now: float) -> list[Outgoing]:
        entry = self.entries.find(wire_id)
        if entry is None or entry.accepted:
            return []
        if error.code is ErrorCode.DRAINING and self._returns:
            return []  # it is asked for again on the next connection
        rejected = JobRejected(entry.name, error)
        if entry.job is None:
            self.entries.drop(entry)
            settle(entry.answer, rejected)
        elif error.retryable and now - entry.repeated_at < REPEAT_PATIENCE_S:
            return [_later(entry, error)]
        else:
            self._lose(entry, ConnectionLost(str(rejected), 1006), f"not taken back: {rejected}")
        return []

    def _note(self, frame: Error, now: float) -> list[Outgoing]:
        """Send again what came too fast; take an error about a submit for its rejection."""
        if frame.error.code is ErrorCode.RATE_LIMITED:
            return [_later(what, frame.error) for what in self._meant(frame.re)]
        wire_id = frame.re.id if frame.re else None
        entry = self.entries.find(wire_id)
        if entry is not None and not entry.accepted:
            return self._reject(wire_id, frame.error, now)
        logger.warning("the server reports %s: %s", frame.error.code.value, frame.error.message)
        return []

    def _meant(self, re: Regarding | None) -> Sequence[Entry | Hashable]:
        """Return what a message that was put off was: where that is not told, any open submit."""
        kind = question_of(re)
        if kind is not None:
            return [kind]
        wire_id = re.id if re else None
        submits = [entry for entry in self.entries if not entry.accepted]
        return [entry for entry in submits if wire_id in (None, entry.wire_id)]

    # --- jobs -----------------------------------------------------------------------------------

    def _hand_on(self, frame: JobFrame, now: float) -> list[Outgoing]:
        entry = self.entries.find(frame.id)
        if entry is None or entry.job is None or not entry.accepted:
            return []
        frame = _called(frame, entry.name)
        if isinstance(frame, Cancelled) and self._is_to_return(entry, frame):
            return self._hold_back(entry, frame, now)
        try:
            entry.job.receive(frame)
        except Diverged as diverged:
            self._lose(entry, ConnectionLost(str(diverged), 1006), str(diverged))
            return [encode(Cancel(id=entry.wire_id))]
        if entry.job.done is not None:
            self.entries.drop(entry)
            self._remember(entry.wire_id, frame.seq)
        return []

    def _is_to_return(self, entry: Entry, end: Cancelled) -> bool:
        """Whether an end is the server's own and the job can be run again instead."""
        by_itself = end.reason in ("shutdown", "disconnect")
        return by_itself and self._returns and entry.repeatable(self._repeatable)

    def _hold_back(self, entry: Entry, end: Cancelled, now: float) -> list[Outgoing]:
        """Keep an end to oneself; run the job again, but not on a connection that is ending."""
        entry.stopped = end
        if self.draining:
            return []
        gone = ConnectionLost(f"the server stopped the job ({end.reason})", 1006)
        return [*self._repeat(entry, gone, now, str(gone))]

    def _repeat(self, entry: Entry, lost: ConnectionLost, now: float, why: str) -> list[bytes]:
        """Return the submit that runs a job again; where there is none, end the job."""
        if entry.repeatable(self._repeatable):
            if entry.stopped is not None:
                self.entries.rename(entry)
            return [entry.rewind(now)]
        if entry.stopped is None or entry.job is None:
            self._lose(entry, lost, why)
        else:
            self.entries.drop(entry)
            entry.job.end(entry.stopped)
        return []

    def _lose(self, entry: Entry, lost: ConnectionLost, why: str) -> None:
        self.entries.drop(entry)
        error = JobLost(entry.name, lost, why)
        error.__cause__ = lost
        if entry.job is None:
            settle(entry.answer, error)
        else:
            entry.job.lose(error)

    def _remember(self, wire_id: str, seq: int) -> None:
        self._ended[wire_id] = seq
        if len(self._ended) > ENDS_KEPT:
            self._ended.popitem(last=False)


def _later(what: Entry | Hashable, error: ErrorInfo) -> Later:
    return Later(what, (error.retry_after_ms or 1000) / 1000)


def _called(frame: F, name: str) -> F:
    """Return a job's frame under the name that its owner knows."""
    same = getattr(frame, "id", name) == name
    return frame if same else frame.model_copy(update={"id": name})
