"""Codes are a contract: what may be sent again, and what a close code means."""

import pytest
from pydantic import ValidationError

from wsproc.frames.errors import RETRYABLE, CloseCode, ErrorCode, ErrorInfo, error_info


@pytest.mark.parametrize("code", list(ErrorCode))
def test_retryable_follows_from_the_code(code: ErrorCode):
    """A code alone decides whether the same frame may succeed later."""
    assert error_info(code, "why").retryable is (code in RETRYABLE)


def test_what_a_client_did_wrong_is_never_retryable():
    """Sending a frame again that could not be read changes nothing."""
    assert not RETRYABLE & {
        ErrorCode.BAD_JSON,
        ErrorCode.BAD_FRAME,
        ErrorCode.UNKNOWN_TYPE,
        ErrorCode.INVALID_FIELD,
        ErrorCode.MISSING_FIELD,
        ErrorCode.INPUT_TOO_LARGE,
        ErrorCode.ID_CONFLICT,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.OUT_OF_MEMORY,
    }


def test_absent_fields_stay_unset():
    """`path` and `retry_after_ms` are left out of the message unless they are known."""
    assert error_info(ErrorCode.LOST, "gone").model_dump(exclude_unset=True) == {
        "code": "lost",
        "message": "gone",
        "retryable": True,
    }
    full = error_info(ErrorCode.QUEUE_FULL, "full", path="text", retry_after_ms=0)
    assert full.model_dump(exclude_unset=True)["path"] == "text"
    assert full.model_dump(exclude_unset=True)["retry_after_ms"] == 0


def test_an_error_cannot_be_changed_or_lie_about_time():
    """Errors are frozen, and a wait is never negative."""
    with pytest.raises(ValidationError):
        error_info(ErrorCode.LOST, "gone").message = "else"
    with pytest.raises(ValidationError):
        ErrorInfo(code=ErrorCode.LOST, message="gone", retryable=True, retry_after_ms=-1)


@pytest.mark.parametrize("code", list(CloseCode))
def test_close_codes_are_in_the_ranges_that_clients_decide_by(code: CloseCode):
    """44xx and 45xx are ours; the others are those of RFC 6455 and its registry."""
    assert code in (1000, 1001, 1009, 1012, 1013) or 4400 <= code < 4600
