"""Errors of the protocol as HTTP says them."""

import pytest

from wsproc.face.faults import STATUS, Refused, location
from wsproc.frames.errors import RETRYABLE, ErrorCode, error_info


def test_every_error_has_a_status():
    """None is left out when a code is added; all of them are the client's or the server's fault."""
    assert set(STATUS) == set(ErrorCode)
    assert all(400 <= status < 600 for status in STATUS.values())


def test_what_may_succeed_later_says_when():
    """Every refusal of a job that is worth another try comes with Retry-After."""
    before_the_job = RETRYABLE - {ErrorCode.INTERNAL}
    for code in before_the_job:
        assert int(Refused(error_info(code, "later")).headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("hint_ms", "seconds"), [(1, "1"), (1000, "1"), (1001, "2"), (None, "1")])
def test_retry_after_is_in_whole_seconds_and_never_too_early(hint_ms: int | None, seconds: str):
    """A hint in milliseconds is rounded up."""
    refused = Refused(error_info(ErrorCode.QUEUE_FULL, "full", retry_after_ms=hint_ms))
    assert (refused.status, refused.headers) == (429, {"Retry-After": seconds})


def test_a_field_is_named_as_fastapi_names_it():
    """`detail` is a list with a `loc`; the protocol's own error stands beside it."""
    error = error_info(ErrorCode.INPUT_TOO_LARGE, "texts[3]: too long", path="texts[3]")
    body = Refused(error).body
    assert body["detail"] == [
        {"type": "input_too_large", "loc": ["body", "texts", 3], "msg": "texts[3]: too long"}
    ]
    assert body["error"]["path"] == "texts[3]"
    assert body["error"]["retryable"] is False


def test_an_error_that_is_about_no_field_of_the_body_is_a_sentence():
    """As FastAPI's own HTTPException has it; `type` is the path of a frame and of no body."""
    assert Refused(error_info(ErrorCode.DRAINING, "going")).body["detail"] == "going"
    forbidden = error_info(ErrorCode.FORBIDDEN, "you may not", path="type")
    assert Refused(forbidden).body["detail"] == "you may not"


def test_a_missing_token_is_asked_for():
    """401 names the scheme."""
    refused = Refused(error_info(ErrorCode.UNAUTHORIZED, "no token"))
    assert (refused.status, refused.headers) == (401, {"WWW-Authenticate": "Bearer"})


@pytest.mark.parametrize(
    ("path", "parts"),
    [("text", ("text",)), ("texts[3]", ("texts", 3)), ("after.job-1", ("after", "job-1"))],
)
def test_a_path_is_taken_apart(path: str, parts: tuple[str | int, ...]):
    """Names and numbers, as `loc` has them."""
    assert location(path) == parts
