"""The conversation before a connection has a token."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.auth import Denied, Grant, Verdict
from wsproc.auth.doorway import MAX_MESSAGE_BYTES, WRONG_MESSAGES, Answer, Doorway, TurnAway
from wsproc.frames.errors import CloseCode, ErrorCode

SECRET = "s3cret-of-alice"


class Alice:
    """Knows one token."""

    def check(self, token: str) -> Verdict:
        """Let alice in."""
        return Grant("alice") if token == SECRET else Denied("the token is not known here")


def say(doorway: Doorway, **frame: Any):
    """Send one frame."""
    return doorway.receive(json.dumps(frame))


def test_the_right_token_opens():
    """Also after some frames that were none."""
    doorway = Doorway(Alice())
    assert isinstance(say(doorway, type="ping"), Answer)
    assert say(doorway, type="auth", token=SECRET) == Grant("alice")


def test_a_wrong_token_is_told_and_closed_at_once():
    """There is no second guess on a connection; the token is in neither."""
    step = say(Doorway(Alice()), type="auth", token="s3cret-of-bob")
    assert isinstance(step, TurnAway)
    assert (step.code, step.frame.error.code) == (CloseCode.UNAUTHORIZED, ErrorCode.UNAUTHORIZED)
    assert step.reason == step.frame.error.message == "the token is not known here"
    assert "s3cret" not in repr(step)


@pytest.mark.parametrize(
    ("message", "code", "regarding"),
    [
        ('{"type":"ping","n":1}', "unauthorized", {"type": "ping"}),
        ('{"type":"cancel","id":"a"}', "unauthorized", {"type": "cancel", "id": "a"}),
        ('{"type":"process","id":"a","text":"x"}', "unauthorized", {"type": "process", "id": "a"}),
        ('{"type":"generate","prompt":"x"}', "unauthorized", {"type": "generate"}),
        ('{"type":"nonsense"}', "unauthorized", {"type": "nonsense"}),
        ('{"type":"auth"}', "bad_frame", {"type": "auth"}),
        ('{"type":"auth","token":7}', "bad_frame", {"type": "auth"}),
        ('{"type":"auth","tokem":"s3cret"}', "bad_frame", {"type": "auth"}),
        ("s3cret", "bad_json", None),
        ('["s3cret"]', "bad_frame", None),
        ('{"token":"s3cret"}', "bad_frame", None),
        ("x" * (MAX_MESSAGE_BYTES + 1), "unauthorized", None),
    ],
)
def test_other_messages_are_answered_and_the_door_stays(message: str, code: str, regarding):
    """Whoever meant to send a token learns what is wrong with it, others that one is due."""
    doorway = Doorway(Alice())
    step = doorway.receive(message)
    assert isinstance(step, Answer)
    assert step.frame.error.code == code
    told = step.frame.re.model_dump(exclude_unset=True) if step.frame.re else None
    assert told == regarding
    assert "s3cret" not in repr(step)
    assert say(doorway, type="auth", token=SECRET) == Grant("alice")


def test_the_tenth_wrong_message_is_the_last():
    """A stranger is answered a bounded number of times."""
    doorway = Doorway(Alice())
    steps = [say(doorway, type="jobs") for _ in range(WRONG_MESSAGES)]
    assert [type(step) for step in steps] == [Answer] * (WRONG_MESSAGES - 1) + [TurnAway]
    assert steps[-1].code is CloseCode.TOO_MANY_BAD_FRAMES


@given(st.lists(st.one_of(st.text(), st.binary()), max_size=12))
def test_whatever_comes_is_answered(messages: list[str | bytes]):
    """Nothing raises, and nothing but a token opens."""
    doorway = Doorway(Alice())
    for message in messages:
        assert isinstance(doorway.receive(message), (Answer, TurnAway))
