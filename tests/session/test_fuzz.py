"""Whatever a client sends, a session answers once and raises nothing. The seed is fixed."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.session.test_session import LIMITS, TEXT
from wsproc.admission import Admission
from wsproc.frames.client import CONTROLS, TASKS
from wsproc.frames.errors import CloseCode
from wsproc.outbox import Outbox
from wsproc.replay import ReplayLog
from wsproc.session import Close, Offer, Session, TakeUp

TOKEN = "an-epoch.secret"
ANSWERS = ("accepted", "rejected", "error", "reply", "pong")

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
LIKELY: dict[str, st.SearchStrategy] = {
    "type": st.sampled_from([*TASKS, *CONTROLS]),
    "id": st.sampled_from(["a", "b", "*", "job-1", ""]),
    "text": st.sampled_from([TEXT, "short", "x" * 60, "\u2028 \U0001f600 and more"]),
    "texts": st.lists(st.sampled_from([TEXT, "x"]), max_size=3),
    "prompt": st.text(max_size=5),
    "max_tokens": st.integers(-1, 200),
    "session": st.sampled_from([TOKEN, "an-epoch.other", ""]),
    "after": st.dictionaries(st.sampled_from(["a", "b", "!"]), st.integers(-1, 9)),
    "on_disconnect": st.sampled_from(["cancel", "keep", "maybe"]),
    "open": st.booleans(),
    "live": st.booleans(),
    "final": st.booleans(),
    "token": st.text(max_size=5),
    "n": st.integers(0, 5),
    "meta": VALUES,
}
FIELDS = st.one_of(
    *[st.tuples(st.just(name), value | VALUES) for name, value in LIKELY.items()],
    st.tuples(st.text(max_size=6), VALUES),
)


@st.composite
def messages(draw: st.DrawFn) -> str | bytes:
    """A frame that is right, or nearly, or a few bytes that have been through something."""
    frame = {"type": draw(LIKELY["type"])}
    frame |= {name: draw(LIKELY[name]) for name in draw(st.sets(st.sampled_from([*LIKELY])))}
    frame |= dict(draw(st.lists(FIELDS, max_size=2)))
    message = json.dumps(frame).encode()
    for _ in range(draw(st.integers(0, 2)) if draw(st.booleans()) else 0):
        at = draw(st.integers(0, len(message)))
        message = message[:at] + draw(st.binary(max_size=3)) + message[at + 1 :]
    return message


@settings(derandomize=True, max_examples=300)
@given(st.lists(messages(), min_size=1, max_size=30))
def test_every_message_is_answered_once(sent: list[bytes]):
    """Another session is the one thing that the session leaves to its shell."""
    offer = Offer("1", "an-epoch", TASKS, LIMITS, 15)
    session = Session(TOKEN, offer, Admission(9), Outbox(), ReplayLog(limit=20_000))
    for message in sent:
        actions = session.receive(message, now=0.0)
        if any(isinstance(one, Close) for one in actions):
            return
        frames = [orjson.loads(one) for one in iter(session.next_message, None)]
        answers = [one for one in frames if one["type"] in ANSWERS and "replay" not in one]
        left_to_the_shell = sum(isinstance(one, TakeUp) for one in actions)
        assert len(answers) + left_to_the_shell == 1, (message, frames)


@pytest.mark.parametrize("message", ["", "{", "[]", "null", '"x"', "1e400", "[" * 2000])
def test_ten_of_what_is_no_frame_close_the_connection(message: str):
    """And nothing else does."""
    session = Session(TOKEN, Offer("1", "an-epoch", TASKS, LIMITS, 15), Admission(9))
    actions = [one for _ in range(10) for one in session.receive(message, now=0.0)]
    assert [one.code for one in actions] == [CloseCode.TOO_MANY_BAD_FRAMES]
