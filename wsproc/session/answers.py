"""Frames that answer a bad frame, or one that has no place here."""

from __future__ import annotations

from wsproc.frames.client import ClientFrame
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


def misplaced_auth(frame: ClientFrame) -> Error:
    """Answer a token that nobody waits for; the entrance takes those that it asked for."""
    return refused(frame, "auth has no place here: no token is asked for, or one was given already")
