"""Frames that answer a bad frame, or one that is not acted upon."""

from __future__ import annotations

from wsproc.frames.client import Auth, ClientFrame
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import Error, Regarding, Rejected


def rejected(job_id: str | None, error: ErrorInfo) -> Rejected:
    """Answer a submit that is not taken."""
    return Rejected(error=error) if job_id is None else Rejected(id=job_id, error=error)


def complaint(error: ErrorInfo, regarding: Regarding | None) -> Error:
    """Answer a frame that cannot be acted upon."""
    return Error(error=error) if regarding is None else Error(error=error, re=regarding)


def refused(frame: ClientFrame, message: str, path: str = "type") -> Error:
    """Answer a well-formed control frame that has no place here."""
    named = {key: getattr(frame, key) for key in ("type", "id") if hasattr(frame, key)}
    return complaint(error_info(ErrorCode.BAD_FRAME, message, path=path), Regarding(**named))


def not_offered(frame: ClientFrame) -> Error:
    """Answer a frame of the protocol that this server does not act upon yet."""
    messages: dict[type[ClientFrame], str] = {
        Auth: "auth has no place here: no token is asked for, or one was given already",
    }
    return refused(frame, messages[type(frame)])
