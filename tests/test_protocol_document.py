"""PROTOCOL.md is normative: its examples are checked."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from tests.frames.examples import SERVER_FRAMES
from wsproc.frames.client import CONTROLS, TASKS
from wsproc.frames.errors import CloseCode, ErrorCode
from wsproc.frames.server import AnyServerFrame, CustomStatus, ServerFrame
from wsproc.schema import json_schema

DOCUMENT = Path(__file__).parent.parent / "PROTOCOL.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
FRAMES = [json.loads(example) for example in EXAMPLES]
SENT = {*TASKS, *CONTROLS}
READER: TypeAdapter[ServerFrame] = TypeAdapter(AnyServerFrame)
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_frame(example: str):
    """Each JSON block of the document is one frame that the schema accepts."""
    VALIDATOR.validate(json.loads(example))


def test_an_example_with_a_typo_would_be_noticed():
    """The schema is strict enough to tell a frame from something like it."""
    wrong = json.loads(EXAMPLES[0]) | {"chunk_sise": 100}
    assert not VALIDATOR.is_valid(wrong)


def test_every_server_frame_has_an_example():
    """No frame that the server may send is left without one, but those of a task of one's own."""
    shown = {type(READER.validate_python(frame)) for frame in FRAMES if frame["type"] not in SENT}
    assert shown >= {type(frame) for frame in SERVER_FRAMES} - {CustomStatus}


def test_every_client_frame_has_an_example():
    """Submits and control frames."""
    assert {frame["type"] for frame in FRAMES} >= SENT


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_is_named(code: ErrorCode):
    """Those that clients may switch on."""
    assert f"`{code.value}`" in TEXT


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_named(code: CloseCode):
    """With what it means."""
    assert re.search(rf"\b{code.value}\b", TEXT)
