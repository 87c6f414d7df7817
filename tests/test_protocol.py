"""Bytes to frames and back: every bad message has one whole sentence as its answer."""

import json
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.frames.examples import SERVER_FRAMES
from wsproc.frames.client import CONTROLS, TASKS, Ping, Process
from wsproc.frames.errors import ErrorCode
from wsproc.frames.server import Accepted, Completed, Pong, Token
from wsproc.protocol import BadFrame, decode, decode_server, encode

ID_RULE = "id must match ^[A-Za-z0-9_.:-]{1,64}$"
KNOWN = "process, batch, generate, append, revise, cancel, jobs, resume, auth, ping"
TEXT = "long enough"
BOTH = "give either text or texts, and not both"


def refused(message: str | bytes) -> BadFrame:
    """Return the error that a message is answered with."""
    with pytest.raises(BadFrame) as caught:
        decode(message)
    return caught.value


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "Input is a zero-length, empty document: line 1 column 1 (char 0)"),
        ("{", "unexpected end of data: line 1 column 2 (char 1)"),
        ('{"n":NaN}', "unexpected character, expected a JSON value: line 1 column 6 (char 5)"),
        ('{"type":"ping"} x', "unexpected content after document: line 1 column 17 (char 16)"),
        (b"\xff", "str is not valid UTF-8: surrogates not allowed: line 1 column 1 (char 0)"),
        ('["\\ud800"]', "no low surrogate in string: line 1 column 3 (char 2)"),
        ("[" * 2000 + "]" * 2000, "depth limit exceeded: line 1 column 1026 (char 1025)"),
    ],
)
def test_what_is_no_json(message: str | bytes, words: str):
    """The answer says where the JSON ends to be JSON; NaN and lone surrogates are none."""
    bad = refused(message)
    assert (bad.error.code, bad.error.message) == (ErrorCode.BAD_JSON, f"not JSON: {words}")
    assert bad.regarding is None


@pytest.mark.parametrize("message", ["[]", "null", "1", '"ping"', "true", '[{"type":"ping"}]'])
def test_a_message_is_one_object(message: str):
    """Lists are no batches, and bare values are nothing."""
    bad = refused(message)
    assert bad.error.code is ErrorCode.BAD_FRAME
    assert bad.error.message == "a message must be one JSON object"


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("{}", "bad_frame", "type is missing"),
        ('{"type":null}', "bad_frame", "type is missing"),
        ('{"type":3}', "bad_frame", "type must be a string"),
        ('{"type":["ping"]}', "bad_frame", "type must be a string"),
        (
            '{"type":"proces"}',
            "unknown_type",
            "unknown type 'proces'; did you mean 'process'?",
        ),
        ('{"type":"zzz"}', "unknown_type", f"unknown type 'zzz'; known are {KNOWN}"),
        ('{"type":""}', "unknown_type", f"unknown type ''; known are {KNOWN}"),
    ],
)
def test_the_type_decides(message: str, code: str, words: str):
    """A missing or unknown type is about the frame, with a hint where one is close."""
    bad = refused(message)
    assert (bad.error.code, bad.error.message, bad.error.path) == (code, words, "type")
    assert not bad.submit


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"type": "ping", "stream": 1}, "stream", "unknown field 'stream'; known are type, n"),
        ({"type": "ping", "str": 1}, "str", "unknown field 'str'; known are type, n"),
        ({"type": "ping", "m": 1}, "m", "unknown field 'm'; known are type, n"),
        ({"type": "ping", "n": "1"}, "n", "n must be a whole number"),
        ({"type": "ping", "n": 1.5}, "n", "n must be a whole number"),
        ({"type": "ping", "n": True}, "n", "n must be a whole number"),
        ({"type": "cancel"}, "id", "id is missing"),
        ({"type": "cancel", "id": "a b"}, "id", ID_RULE),
        ({"type": "cancel", "id": 5}, "id", "id must be a string"),
        ({"type": "jobs", "id": "*"}, "id", ID_RULE),
        ({"type": "append", "text": "x"}, "id", "id is missing"),
        ({"type": "revise", "id": "a"}, "text", "text is missing"),
        ({"type": "resume"}, "session", "session is missing"),
        (
            {"type": "resume", "session": "s", "after": {"a": -1}},
            "after.a",
            "after.a must be at least 0",
        ),
        (
            {"type": "resume", "session": "s", "after": {"string": "1"}},
            "after.string",
            "after.string must be a whole number",
        ),
        (
            {"type": "auth", "token": ""},
            "token",
            "token must not be empty",
        ),
    ],
)
def test_bad_control_frames(fields: dict, path: str, words: str):
    """The first wrong field is named by its path, with what it should be; `bad_frame` each."""
    bad = refused(json.dumps(fields))
    assert (bad.error.message, bad.error.path) == (words, path)
    assert bad.error.code is ErrorCode.BAD_FRAME
    assert not bad.submit
    assert bad.regarding is not None
    assert bad.regarding.type == fields["type"]


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"type": "process"}, "text", "text is missing"),
        ({"type": "process", "text": 5}, "text", "text must be a string"),
        ({"type": "process", "text": None}, "text", "text must be a string"),
        (
            {"type": "process", "text": "short"},
            "text",
            "text must have at least 10 characters",
        ),
        (
            {"type": "process", "text": TEXT, "chunk_size": 49},
            "chunk_size",
            "chunk_size must be at least 50",
        ),
        (
            {"type": "process", "text": TEXT, "chunk_size": 501},
            "chunk_size",
            "chunk_size must be at most 500",
        ),
        (
            {"type": "process", "text": TEXT, "chunk_sise": 100},
            "chunk_sise",
            "unknown field 'chunk_sise'; did you mean 'chunk_size'?",
        ),
        (
            {"type": "process", "text": TEXT, "split": "word"},
            "split",
            "split must be 'fixed' or 'sentence'",
        ),
        ({"type": "process", "text": TEXT, "id": "a b"}, "id", ID_RULE),
        (
            {"type": "process", "text": TEXT, "include_summary": 1},
            "include_summary",
            "include_summary must be true or false",
        ),
        (
            {"type": "process", "text": TEXT, "on_disconnect": "stay"},
            "on_disconnect",
            "on_disconnect must be 'cancel' or 'keep'",
        ),
        (
            {"type": "process", "text": TEXT, "summary_min_length": 9, "summary_max_length": 3},
            None,
            "summary_min_length must not be above summary_max_length",
        ),
        (
            {"type": "process", "text": TEXT, "meta": "x" * 5000},
            "meta",
            "meta may take 4096 bytes at most, this one takes 5002",
        ),
        (
            {"type": "process", "text": TEXT, "meta": json.loads("[" * 40 + "]" * 40)},
            "meta",
            "meta may be nested 32 levels deep at most",
        ),
        ({"type": "batch"}, None, "either text or texts is missing"),
        ({"type": "batch", "text": TEXT, "texts": [TEXT]}, None, BOTH),
        (
            {"type": "batch", "texts": []},
            "texts",
            "texts must not be empty",
        ),
        (
            {"type": "batch", "texts": [TEXT, "x"]},
            "texts[1]",
            "texts[1] must have at least 10 characters",
        ),
        ({"type": "generate"}, "prompt", "prompt is missing"),
        (
            {"type": "generate", "prompt": "x", "top_p": 0},
            "top_p",
            "top_p must be above 0",
        ),
        (
            {"type": "generate", "prompt": "x", "stop": ["."] * 16 + ["!"]},
            "stop",
            "stop must have at most 16 items",
        ),
        (
            {"type": "generate", "prompt": "x", "stop": [""]},
            "stop[0]",
            "stop[0] must not be empty",
        ),
    ],
)
def test_bad_submits(fields: dict, path: str | None, words: str):
    """A submit that cannot be read is to be rejected: one sentence, the field's path, its code."""
    bad = refused(json.dumps(fields))
    assert (bad.error.message, bad.error.path) == (words, path)
    missing = "is missing" in words
    assert bad.error.code is (ErrorCode.MISSING_FIELD if missing else ErrorCode.INVALID_FIELD)
    assert bad.submit
    assert not bad.error.retryable


def test_an_answer_echoes_nothing_large():
    """Type, id and field name of a bad frame come back only as far as they are short."""
    long = "x" * 1000
    for fields in ({"type": long}, {"type": "ping", long: 1}, {"type": "cancel", "id": long}):
        bad = refused(json.dumps(fields))
        assert len(bad.error.message) < 250
        assert bad.regarding is None or long not in (bad.regarding.type, bad.regarding.id)


def test_binary_and_text_are_read_alike():
    """A binary frame that holds UTF-8 JSON is accepted too."""
    assert decode('{"type":"ping","n":7}') == decode(b'{"type":"ping","n":7}') == Ping(n=7)


def test_a_task_of_ones_own_is_read_by_its_own_model():
    """The tasks that a server offers decide what it can read."""
    assert isinstance(decode('{"type":"process","text":"long enough"}'), Process)
    with pytest.raises(BadFrame) as caught:
        decode('{"type":"process","text":"long enough"}', tasks={})
    assert caught.value.error.code is ErrorCode.UNKNOWN_TYPE


def test_an_absent_field_and_a_null_one_stay_apart():
    """`meta: null` comes back as null, no meta as none."""
    assert encode(Accepted(id="a", position=0, eta_ms=None), seq=1) == (
        b'{"type":"accepted","id":"a","seq":1,"position":0,"eta_ms":null}'
    )
    assert encode(Accepted(id="a", position=0, eta_ms=None, meta=None), seq=1).endswith(
        b'"meta":null}'
    )
    assert encode(Pong()) == b'{"type":"pong"}'


def test_the_constants_and_the_number_come_first():
    """A person who reads the wire sees what a frame is before its content."""
    assert encode(Token(id="a", text="t"), seq=3) == (
        b'{"type":"token","id":"a","seq":3,"text":"t"}'
    )
    done = next(frame for frame in SERVER_FRAMES if isinstance(frame, Completed))
    assert encode(done, seq=9).startswith(b'{"type":"done","status":"completed","id":"a","seq":9,')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = sorted({field for model in (TASKS | CONTROLS).values() for field in model.model_fields})
FRAMES = st.builds(
    lambda kind, fields: {**fields, **({} if kind is None else {"type": kind})},
    st.sampled_from([None, *TASKS, *CONTROLS]),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), JSON, max_size=6),
)


def _answerable(message: str | bytes) -> None:
    try:
        decode(message)
    except BadFrame as bad:
        sentence = bad.error.message
        assert sentence
        assert len(sentence) < 500
        orjson.dumps(bad.error.model_dump())
        if bad.regarding is not None:
            orjson.dumps(bad.regarding.model_dump())


def test_a_message_holds_no_more_memory_than_it_needs():
    """Thousands wait, or are kept for a client's return, and are counted by their length."""
    token = Token(id="a", text=" word")
    tracemalloc.start(1)
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [encode(token, seq) for seq in range(1000)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2 * sum(len(message) + 33 for message in kept)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_bad_frame(message: bytes):
    """Whatever comes is answered in words that can be sent."""
    _answerable(message)


@given(st.text(alphabet=st.characters(), max_size=100))
def test_random_text_raises_nothing_but_bad_frame(message: str):
    """Lone surrogates included."""
    _answerable(message)


@given(FRAMES)
def test_frames_with_any_fields_raise_nothing_but_bad_frame(frame: dict):
    """Real field names with values of any kind and size."""
    _answerable(json.dumps(frame))


@given(FRAMES, st.data())
def test_broken_json_raises_nothing_but_bad_frame(frame: dict, data: st.DataObject):
    """A message that was cut, or had a byte changed."""
    message = bytearray(json.dumps(frame).encode())
    at = data.draw(st.integers(0, max(0, len(message) - 1)))
    message[at:] = data.draw(st.binary(max_size=2)) + message[at + data.draw(st.integers(0, 2)) :]
    _answerable(bytes(message))


@given(JSON)
def test_decode_server_of_any_json_is_a_frame_none_or_a_validation_error(value: object):
    """A client is never surprised by what a newer or broken server sends."""
    try:
        frame = decode_server(json.dumps(value))
    except (orjson.JSONDecodeError, ValueError):
        return
    assert frame is None or frame.type
