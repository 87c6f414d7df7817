"""Everything that the client raises, as one tree.

WsprocError
├── ConnectFailed       there is no connection: nobody listens, or the server turned us away
│   ├── Unauthorized    ... for its token: none, a wrong one, or one that has expired
│   └── SessionLost     ... as far as the wanted `session` goes: the server does not know it
├── ConnectionLost      the connection is gone for good; `close_code` and `reason` say why
│   ├── Unauthorized    ... for its token, see above
│   └── JobLost         ... and took this job with it: its end is not known
├── ProtocolError       the server broke the protocol; the connection is closed
├── JobRejected         the job was not run at all; `code`, `path`, `retry_after_ms`
├── InputRefused        a job took no more text: `append` and `revise`; `outcome`
├── JobCancelled        the job was stopped; `reason`, `partial_result`
└── JobFailed           the job could not be finished; `code`, `partial_result`

A wait that took longer than its `timeout` raises Python's own TimeoutError.
"""

from __future__ import annotations

from typing import Any

from wsproc.frames.errors import CloseCode, ErrorCode, ErrorInfo
from wsproc.frames.server import Cancelled, Failed, InputReply


class WsprocError(Exception):
    """Base of what the client raises."""


class ConnectFailed(WsprocError):
    """There is no connection. `close_code` is set where the server opened one only to close it.

    `retryable` says whether the same try may succeed later, with nothing changed on this side.
    """

    close_code: int | None

    def __init__(
        self, message: str, close_code: int | None = None, *, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.retryable = retryable


class ConnectionLost(WsprocError):
    """The connection is gone, and was not or could not be made again.

    `close_code` is 1006 where no close frame came, 1000 after `close`. Codes of 44xx mean that
    connecting again by itself does not help; see PROTOCOL.md.
    """

    close_code: int

    def __init__(self, message: str, close_code: int, reason: str = "") -> None:
        super().__init__(message)
        self.close_code = close_code
        self.reason = reason


class Unauthorized(ConnectFailed, ConnectionLost):
    """The server wants a token: none was given, or it refused the one that was."""

    close_code: int

    def __init__(self, message: str, reason: str = "") -> None:
        ConnectionLost.__init__(self, message, CloseCode.UNAUTHORIZED, reason)
        self.retryable = False


class SessionLost(ConnectFailed):
    """The server does not know the session that was to be taken up: it was restarted
    (`epoch_changed`), or has forgotten it (`unknown_session`).
    """

    def __init__(self, outcome: str) -> None:
        words = {"epoch_changed": "the server was restarted and its sessions are gone"}
        super().__init__(words.get(outcome, "the server knows no such session (any more)"))
        self.outcome = outcome


class JobLost(ConnectionLost):
    """The job's end will not come: the connection is gone, or the server knows the job no more.

    Whether the server finished it is not known. `__cause__` is the loss itself.
    """

    def __init__(self, job_id: str, lost: ConnectionLost, why: str | None = None) -> None:
        super().__init__(f"job {job_id!r} is lost: {why or lost}", lost.close_code, lost.reason)
        self.job_id = job_id
        self.why = why


class ProtocolError(WsprocError):
    """The server sent what the protocol does not allow, such as a frame out of order."""


class JobRejected(WsprocError):
    """The job was not run at all.

    `path` names the field at fault, where one is; `retryable` says whether sending the same again
    can help, and `retry_after_ms` when, in milliseconds.
    """

    def __init__(self, job_id: str | None, error: ErrorInfo) -> None:
        super().__init__(f"{error.code.value}: {error.message}")
        self.job_id = job_id
        self.error = error

    @property
    def code(self) -> ErrorCode:
        """The reason as a stable word, such as `input_too_large`."""
        return self.error.code

    @property
    def path(self) -> str | None:
        """The field at fault."""
        return self.error.path

    @property
    def retryable(self) -> bool:
        """Whether the same job may be taken later."""
        return self.error.retryable

    @property
    def retry_after_ms(self) -> int | None:
        """When it may be worth sending again, in milliseconds."""
        return self.error.retry_after_ms


class InputRefused(WsprocError):
    """A job took no more text. `outcome` is `unknown`, `done` (it has ended) or `refused`."""

    def __init__(self, reply: InputReply) -> None:
        reasons = {"unknown": "the server knows no such job", "done": "it has ended"}
        why = reply.error.message if reply.error else reasons.get(reply.outcome, reply.outcome)
        super().__init__(f"{reply.op} to job {reply.id!r}: {why}")
        self.job_id = reply.id
        self.reply = reply

    @property
    def outcome(self) -> str:
        """The server's answer as a word."""
        return self.reply.outcome

    @property
    def error(self) -> ErrorInfo | None:
        """Why it was refused, where it was."""
        return self.reply.error


class JobCancelled(WsprocError):
    """The job was stopped: `reason` is `client`, `disconnect` or `shutdown`.

    Not an `asyncio.CancelledError`: the task that awaits the job was not cancelled.
    """

    def __init__(self, done: Cancelled) -> None:
        super().__init__(f"job {done.id!r} was cancelled ({done.reason})")
        self.job_id = done.id
        self.done = done

    @property
    def reason(self) -> str:
        """Who stopped it."""
        return self.done.reason

    @property
    def partial_result(self) -> dict[str, Any] | None:
        """What was finished before the stop."""
        return self.done.partial_result


class JobFailed(WsprocError):
    """The job could not be finished; `partial_result` holds what was."""

    def __init__(self, done: Failed) -> None:
        super().__init__(f"{done.error.code.value}: {done.error.message}")
        self.job_id = done.id
        self.done = done

    @property
    def error(self) -> ErrorInfo:
        """The error object as it came."""
        return self.done.error

    @property
    def code(self) -> ErrorCode:
        """The reason as a stable word, such as `deadline_exceeded`."""
        return self.done.error.code

    @property
    def partial_result(self) -> dict[str, Any] | None:
        """What was finished before the failure."""
        return self.done.partial_result
