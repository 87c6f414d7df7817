"""What has come in of a job whose input goes on, and what more may come. Pure.

    open:  append adds, `final` ends
    live:  revise replaces, append adds, `final` ends; each change of the text is a new revision

What is refused changes nothing: the job goes on with what it has. The text itself is kept by those
who work on it; here only its length counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info


@dataclass(slots=True)
class Intake:
    """The input of one job; `least` and `most` are characters of its whole text."""

    live: bool
    length: int
    least: int
    most: int
    revision: int = 0
    ended: bool = False

    def append(self, text: str, *, final: bool) -> ErrorInfo | None:
        """Take more text, or return why it cannot be taken."""
        length = self.length + len(text)
        error = self._objection(length, final=final)
        if error is None:
            self.revision += self.live and bool(text)
            self.length, self.ended = length, final
        return error

    def revise(self, text: str) -> ErrorInfo | None:
        """Take another text instead, or return why it cannot be taken."""
        if not self.live:
            message = "this job is open and not live: append to it, or submit with live: true"
            return error_info(ErrorCode.INVALID_FIELD, message, path="id")
        error = self._objection(len(text), final=False)
        if error is None:
            self.revision += 1
            self.length = len(text)
        return error

    def _objection(self, length: int, *, final: bool) -> ErrorInfo | None:
        if self.ended:
            message = "the input of this job has ended: final was sent before"
            return error_info(ErrorCode.INVALID_FIELD, message, path="id")
        if length > self.most:
            message = f"text: {self.most} characters at most in all, these would make {length}"
            return error_info(ErrorCode.INPUT_TOO_LARGE, message, path="text")
        if final and length < self.least:
            message = f"text: {self.least} characters at least in all, these would make {length}"
            return error_info(ErrorCode.INVALID_FIELD, message, path="text")
        return None


def not_open() -> ErrorInfo:
    """Return why nothing can be added to a job that was submitted whole."""
    message = "this job was submitted whole: nothing can be added without open or live: true"
    return error_info(ErrorCode.INVALID_FIELD, message, path="id")


def stopping() -> ErrorInfo:
    """Return why nothing can be added to a job that is being stopped."""
    return error_info(ErrorCode.INVALID_FIELD, "this job is being stopped", path="id")
