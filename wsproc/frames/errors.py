"""Error codes, close codes and the error object that frames carry."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from pydantic import BaseModel, ConfigDict, Field


class ErrorCode(StrEnum):
    """Every `error.code` of the protocol, grouped by the frame that carries it."""

    # `error`: about the connection or one bad frame
    BAD_JSON = "bad_json"
    BAD_FRAME = "bad_frame"
    UNKNOWN_TYPE = "unknown_type"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    # `rejected`: the job was not run at all
    INVALID_FIELD = "invalid_field"
    MISSING_FIELD = "missing_field"
    INPUT_TOO_LARGE = "input_too_large"
    UNSUPPORTED_TASK = "unsupported_task"
    ID_CONFLICT = "id_conflict"
    QUEUE_FULL = "queue_full"
    TOO_MANY_JOBS = "too_many_jobs"
    MODEL_UNAVAILABLE = "model_unavailable"
    FORBIDDEN = "forbidden"
    DRAINING = "draining"
    # `done` with status `failed`
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_ERROR = "engine_error"
    INPUT_TIMEOUT = "input_timeout"
    OUTPUT_OVERFLOW = "output_overflow"
    LOST = "lost"
    INTERNAL = "internal"


RETRYABLE = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.QUEUE_FULL,
        ErrorCode.TOO_MANY_JOBS,
        ErrorCode.MODEL_UNAVAILABLE,
        ErrorCode.DRAINING,
        ErrorCode.LOST,
        ErrorCode.INTERNAL,
    }
)
"""Codes after which the same frame may succeed later."""


class CloseCode(IntEnum):
    """Why a connection closes. 44xx: do not reconnect by yourself; the others: reconnect."""

    NORMAL = 1000
    GOING_AWAY = 1001
    TOO_BIG = 1009
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    TOO_MANY_BAD_FRAMES = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL = 4406
    AUTH_TIMEOUT = 4408
    TAKEN_OVER = 4409
    ABUSE = 4429
    INTERNAL = 4500
    DRAINING = 4503
    HEARTBEAT_LOST = 4504
    SLOW_CONSUMER = 4508

    @property
    def is_final(self) -> bool:
        """Whether the client is not expected to come back for its session.

        One whose token has expired may come back with another one.
        """
        if self is CloseCode.UNAUTHORIZED:
            return False
        return self in (CloseCode.NORMAL, CloseCode.GOING_AWAY) or 4400 <= self < 4500


class ErrorInfo(BaseModel):
    """What went wrong, in words, and whether sending it again can help.

    `path` names the field, `texts[3]` style for lists; `retry_after_ms` is a hint, in milliseconds.
    """

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    message: str
    retryable: bool
    retry_after_ms: int | None = Field(default=None, ge=0)
    path: str | None = None


def error_info(
    code: ErrorCode, message: str, *, path: str | None = None, retry_after_ms: int | None = None
) -> ErrorInfo:
    """Build an error object whose `retryable` follows from its code; absent fields stay unset."""
    optional = {"path": path, "retry_after_ms": retry_after_ms}
    present = {name: value for name, value in optional.items() if value is not None}
    return ErrorInfo.model_validate(
        {"code": code, "message": message, "retryable": code in RETRYABLE, **present}
    )
