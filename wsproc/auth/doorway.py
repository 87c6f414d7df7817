"""The conversation before a connection has a token: ask, listen, let in or turn away. Pure.

The only frame that means something here is `auth`. All else is answered by `error` with
`unauthorized`, unread beyond its type and id, and ten such messages end the conversation; the time
that a client has is the shell's to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from wsproc.auth.bearer import MAX_TOKEN_CHARS
from wsproc.auth.grant import Authenticator, Denied, Grant
from wsproc.frames.client import Auth
from wsproc.frames.errors import CloseCode, ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import Error, Regarding
from wsproc.protocol import BadFrame, decode

MAX_MESSAGE_BYTES = MAX_TOKEN_CHARS + 1024
"""A longer message is no `auth` frame and is not even parsed: a stranger costs little."""

WRONG_MESSAGES = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this and listen on."""

    frame: Error


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Send this and close."""

    frame: Error
    code: CloseCode
    reason: str


Step: TypeAlias = Grant | Answer | TurnAway


class Doorway:
    """One connection that is asked for a token."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._wrong = 0

    def receive(self, message: str | bytes) -> Step:
        """Return what follows from a message; never raises, whatever it is."""
        if len(message) > MAX_MESSAGE_BYTES:
            return self._answer(_unauthorized(None))
        try:
            frame = decode(message)
        except BadFrame as bad:
            return self._answer(_explain(bad))
        if not isinstance(frame, Auth):
            named = {name: getattr(frame, name, None) for name in ("type", "id")}
            present = {name: value for name, value in named.items() if value is not None}
            return self._answer(_unauthorized(Regarding(**present)))
        verdict = self._authenticator.check(frame.token)
        if isinstance(verdict, Denied):
            error = error_info(ErrorCode.UNAUTHORIZED, verdict.reason, path="token")
            return TurnAway(_error(error), verdict.code, verdict.reason)
        return verdict

    def _answer(self, frame: Error) -> Answer | TurnAway:
        self._wrong += 1
        if self._wrong < WRONG_MESSAGES:
            return Answer(frame)
        reason = "too many messages and no token"
        return TurnAway(frame, CloseCode.TOO_MANY_BAD_FRAMES, reason)


def _explain(bad: BadFrame) -> Error:
    """Say what is wrong with a message that may have been meant as `auth`; else ask for one."""
    regarding = bad.regarding
    if regarding is None or regarding.type in (None, "auth"):
        return _error(bad.error, regarding)
    return _unauthorized(regarding)


def _unauthorized(regarding: Regarding | None) -> Error:
    message = "this server wants a token first; send it in a frame of the type auth"
    return _error(error_info(ErrorCode.UNAUTHORIZED, message), regarding)


def _error(error: ErrorInfo, regarding: Regarding | None = None) -> Error:
    return Error(error=error) if regarding is None else Error(error=error, re=regarding)
