"""How an error of the protocol is said over HTTP: a status, and a body in FastAPI's style. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from wsproc.frames.errors import ErrorCode, ErrorInfo

STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.BAD_JSON: 400,
    ErrorCode.BAD_FRAME: 400,
    ErrorCode.UNKNOWN_TYPE: 404,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.INVALID_FIELD: 422,
    ErrorCode.MISSING_FIELD: 422,
    ErrorCode.INPUT_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_TASK: 404,
    ErrorCode.ID_CONFLICT: 409,
    ErrorCode.QUEUE_FULL: 429,
    ErrorCode.TOO_MANY_JOBS: 429,
    ErrorCode.MODEL_UNAVAILABLE: 503,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.DRAINING: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.OUT_OF_MEMORY: 500,
    ErrorCode.ENGINE_ERROR: 500,
    ErrorCode.INPUT_TIMEOUT: 408,
    ErrorCode.OUTPUT_OVERFLOW: 500,
    ErrorCode.LOST: 503,
    ErrorCode.INTERNAL: 500,
}
"""The status of each error, where nothing of the answer was sent yet."""

OF_A_FIELD = (413, 422)
"""Statuses whose `detail` names a field of the body."""

RETRY_LATER = (429, 503)
"""Statuses that come with `Retry-After`."""

RETRY_AFTER_S = 1
"""What `Retry-After` says where the error names no time of its own."""

_PATH = re.compile(r"[^.\[\]]+")


class Refused(Exception):
    """A request that is answered by an error and nothing else."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error.message)
        self.error = error

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return STATUS[self.error.code]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the status."""
        if self.status == STATUS[ErrorCode.UNAUTHORIZED]:
            return {"WWW-Authenticate": "Bearer"}
        if self.status not in RETRY_LATER:
            return {}
        wait_ms = self.error.retry_after_ms or 1000 * RETRY_AFTER_S
        return {"Retry-After": str(math.ceil(wait_ms / 1000))}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body: `detail` as FastAPI writes it, and the protocol's own error object."""
        error = self.error
        detail: Any = error.message
        if error.path is not None and self.status in OF_A_FIELD:
            detail = [finding(("body", *location(error.path)), error.message, error.code.value)]
        return {"detail": detail, "error": error.model_dump(mode="json", exclude_unset=True)}


def finding(where: tuple[str | int, ...], message: str, kind: str) -> dict[str, Any]:
    """Return one entry of FastAPI's `detail` list."""
    return {"type": kind, "loc": list(where), "msg": message}


def location(path: str) -> tuple[str | int, ...]:
    """Return a path such as `texts[3]` as FastAPI's `loc` has it: `("texts", 3)`."""
    parts = _PATH.findall(path)
    return tuple(int(part) if part.isdigit() else part for part in parts)
