"""The schema says what the code does: it is generated from the models, and proven on examples."""

import json
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import given
from pydantic import BaseModel

from tests.frames.examples import SERVER_FRAMES
from tests.test_protocol import FRAMES
from wsproc.frames.results import RESULTS
from wsproc.frames.server import Accepted, JobFrame, ServerFrame
from wsproc.protocol import BadFrame, decode, encode
from wsproc.schema import json_schema

DOCUMENT = Path(__file__).parent.parent / "docs" / "schema.json"
SCHEMA = json_schema()
WHOLE = jsonschema.Draft202012Validator(SCHEMA)
CLIENT = WHOLE.evolve(schema={**SCHEMA, "anyOf": [{"$ref": "#/$defs/ClientFrame"}]})
SERVER = WHOLE.evolve(schema={**SCHEMA, "anyOf": [{"$ref": "#/$defs/ServerFrame"}]})

TEXT = "a text that is long enough"

CLIENT_EXAMPLES = [
    {"type": "process", "text": TEXT},
    {"type": "process", "id": "a", "text": TEXT, "chunk_size": 50, "split": "sentence"},
    {"type": "process", "text": TEXT, "include_entities": True, "meta": {"any": [1, None, "x"]}},
    {"type": "process", "text": TEXT, "priority": 9, "timeout_ms": 1, "on_disconnect": "keep"},
    {"type": "process", "open": True},
    {"type": "process", "live": True, "text": "short"},
    {"type": "batch", "open": True, "text": ""},
    {"type": "batch", "text": TEXT},
    {"type": "batch", "texts": [TEXT, TEXT]},
    {"type": "generate", "prompt": "x", "temperature": 0, "top_p": 1, "stop": ["."], "seed": 0},
    {"type": "append", "id": "a", "text": "more", "final": True},
    {"type": "revise", "id": "a", "text": ""},
    {"type": "cancel", "id": "a"},
    {"type": "cancel", "id": "*"},
    {"type": "jobs"},
    {"type": "jobs", "id": "a"},
    {"type": "resume", "session": "s"},
    {"type": "resume", "session": "s", "after": {"a": 0}},
    {"type": "auth", "token": "t"},
    {"type": "ping"},
    {"type": "ping", "n": 3},
]

REFUSED = [
    {},
    {"type": "proces", "text": TEXT},
    {"text": TEXT},
    {"type": "process"},
    {"type": "process", "text": "short"},
    {"type": "process", "open": False},
    {"type": "process", "text": "short", "live": False},
    {"type": "batch", "text": "short"},
    {"type": "process", "text": TEXT, "chunk_sise": 100},
    {"type": "process", "text": TEXT, "chunk_size": 49},
    {"type": "process", "text": TEXT, "chunk_size": "100"},
    {"type": "process", "text": TEXT, "id": "a b"},
    {"type": "generate", "prompt": ""},
    {"type": "generate", "prompt": "x", "top_p": 0},
    {"type": "cancel"},
    {"type": "cancel", "id": "**"},
    {"type": "resume", "session": "s", "after": {"a": -1}},
    {"type": "ping", "n": 1.5},
]


def test_the_schema_is_one():
    """It is valid against its own dialect, and every reference in it leads somewhere."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    references = {
        value for key, value in _pairs(SCHEMA) if key == "$ref" and isinstance(value, str)
    }
    assert {one.removeprefix("#/$defs/") for one in references} <= SCHEMA["$defs"].keys()


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_every_server_frame_is_accepted_as_one(frame: ServerFrame):
    """Invariant 11: as it is written to the wire, with its number."""
    SERVER.validate(orjson.loads(encode(frame, seq=1)))


@pytest.mark.parametrize("frame", CLIENT_EXAMPLES, ids=json.dumps)
def test_every_client_frame_is_accepted_as_one(frame: dict):
    """Each is read by the code, and valid for the schema in its direction."""
    decode(json.dumps(frame))
    CLIENT.validate(frame)


@pytest.mark.parametrize("frame", REFUSED, ids=json.dumps)
def test_what_the_code_refuses_is_no_frame(frame: dict):
    """In either direction."""
    with pytest.raises(BadFrame):
        decode(json.dumps(frame))
    assert not WHOLE.is_valid(frame)


@given(FRAMES)
def test_what_the_code_reads_is_valid(frame: dict):
    """Whatever `decode` accepts, the schema accepts."""
    try:
        decode(json.dumps(frame))
    except BadFrame:
        return
    CLIENT.validate(frame)


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_the_constants_of_a_frame_are_required(frame: ServerFrame):
    """Without its type a frame is none, for readers that choose by it."""
    message = orjson.loads(encode(frame, seq=1))
    del message["type"]
    assert not WHOLE.is_valid(message)


def test_a_status_of_process_is_no_custom_status():
    """A known status with wrong fields must not pass as one of a task of one's own."""
    wrong = {"type": "status", "id": "a", "seq": 1, "status": "chunked", "chunks": "three"}
    assert not WHOLE.is_valid(wrong)
    assert WHOLE.is_valid({**wrong, "status": "shouting"})


@pytest.mark.parametrize("result", RESULTS, ids=lambda model: model.__name__)
def test_the_results_of_the_built_in_tasks_are_described(result: type[BaseModel]):
    """No frame refers to them, since a task of one's own has results of its own."""
    assert SCHEMA["$defs"][result.__name__]["description"]


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_the_number_of_a_jobs_frame_is_required(frame: ServerFrame):
    """All but an `accepted`, which has none where it repeats an answer."""
    if not isinstance(frame, JobFrame):
        return
    message = orjson.loads(encode(frame, seq=1))
    del message["seq"]
    assert SERVER.is_valid(message) == isinstance(frame, Accepted)


def test_fields_have_no_titles():
    """They would repeat the names; models are named by theirs."""
    fields = [
        field
        for definition in SCHEMA["$defs"].values()
        for field in definition.get("properties", {}).values()
    ]
    assert not [field for field in fields if "title" in field]
    assert SCHEMA["$defs"]["Welcome"]["title"] == "Welcome"


def test_the_document_in_the_repository_is_fresh():
    """docs/schema.json is what a server answers at /schema.json; `make schema` writes it.

    Invariant 11.
    """
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == SCHEMA


def _pairs(value: object):
    if isinstance(value, dict):
        for key, child in value.items():
            yield key, child
            yield from _pairs(child)
    elif isinstance(value, list):
        for child in value:
            yield from _pairs(child)
