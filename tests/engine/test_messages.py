"""The bytes between pool and worker: whole messages out of pieces of any size."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.call import ERRORS, Call, Delta, End, EndReason, EngineError, Failure, Result
from wsproc.engine.messages import (
    Broken,
    Cancel,
    Load,
    Loading,
    Logged,
    Message,
    Open,
    Outcomes,
    Ping,
    Pong,
    Ready,
    Steps,
    Unpacker,
    pack,
)
from wsproc.engine.tally import StageTally

NUMBERS = st.integers(0, 2**53)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.dictionaries(TEXTS, st.none() | st.booleans() | NUMBERS | TEXTS, max_size=3)
TIMES = st.floats(0, 1e6)
FAILURES = st.builds(lambda kind, text: kind(text), st.sampled_from([*ERRORS.values()]), TEXTS)
OUTCOMES = st.one_of(
    st.builds(Delta, NUMBERS, NUMBERS, VALUES),
    st.builds(Result, NUMBERS, NUMBERS, VALUES),
    st.builds(Failure, NUMBERS, NUMBERS, FAILURES),
    st.builds(End, NUMBERS, st.sampled_from(EndReason), TIMES, TIMES, st.none() | TIMES),
)
CALLS = st.builds(
    Call,
    NUMBERS,
    TEXTS,
    st.lists(VALUES, max_size=3).map(tuple),
    TEXTS,
    st.integers(0, 9),
    st.none(),
    st.booleans(),
)
TALLIES = st.builds(
    StageTally, NUMBERS, TIMES, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.lists(NUMBERS, max_size=3)
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Load, st.dictionaries(TEXTS, VALUES, max_size=2)),
    st.builds(Open, CALLS),
    st.builds(Cancel, NUMBERS),
    st.builds(Ping, NUMBERS),
    st.builds(Pong, NUMBERS),
    st.builds(Loading, TEXTS),
    st.builds(Logged, NUMBERS, TEXTS, TEXTS, TEXTS),
    st.builds(
        Ready,
        st.dictionaries(TEXTS, VALUES, max_size=2),
        st.dictionaries(TEXTS, VALUES, max_size=2),
    ),
    st.builds(Broken, FAILURES),
    st.builds(Steps, st.dictionaries(TEXTS, TALLIES, max_size=2)),
    st.builds(Outcomes, st.lists(OUTCOMES, max_size=4)),
)


@given(st.lists(MESSAGES, max_size=8), st.data())
def test_messages_survive_any_pieces(messages: list[Message], data: st.DataObject):
    """All of them, in order, equal to what was sent, and each as soon as its last byte came."""
    stream = b"".join(pack(message, now=0.0) for message in messages)
    unpacker, read = Unpacker(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        read += unpacker.feed(stream[:size], now=0.0)
        stream = stream[size:]
    assert read == messages


def test_a_message_is_whole_with_its_last_byte():
    """Not before."""
    packed = pack(Ping(7), now=0.0)
    unpacker = Unpacker()
    for byte in packed[:-1]:
        assert list(unpacker.feed(bytes([byte]), now=0.0)) == []
    assert list(unpacker.feed(packed[-1:], now=0.0)) == [Ping(7)]


@pytest.mark.parametrize("deadline", [None, 107.5])
def test_a_deadline_travels_as_what_is_left(deadline: float | None):
    """The two clocks need not agree: 7.5 s here are 7.5 s there."""
    call = Call(1, "s", ({"text": "x"},), deadline=deadline)
    (message,) = Unpacker().feed(pack(Open(call), now=100.0), now=5000.0)
    expected = dataclasses.replace(call, deadline=None if deadline is None else 5007.5)
    assert message == Open(expected)


def test_an_unknown_error_arrives_as_an_engine_error():
    """A stage may raise a kind of its own; its words are kept."""

    class Odd(EngineError):
        code = "odd"

    (message,) = Unpacker().feed(pack(Broken(Odd("strange")), now=0.0), now=0.0)
    assert message == Broken(EngineError("strange"))


def test_what_is_no_json_is_refused_where_it_is_sent():
    """Not on the other side, and not as half a message."""
    with pytest.raises(TypeError):
        pack(Open(Call(1, "s", ({"thing": object()},))), now=0.0)
