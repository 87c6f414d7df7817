"""PROTOCOL.md is normative: its examples are checked."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from wsproc.schema import json_schema

DOCUMENT = Path(__file__).parent.parent / "PROTOCOL.md"
EXAMPLES = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_frame(example: str):
    """Each JSON block of the document is one frame that the schema accepts."""
    VALIDATOR.validate(json.loads(example))


def test_an_example_with_a_typo_would_be_noticed():
    """The schema is strict enough to tell a frame from something like it."""
    wrong = json.loads(EXAMPLES[0]) | {"chunk_sise": 100}
    assert not VALIDATOR.is_valid(wrong)


def test_every_server_frame_type_has_an_example():
    """No frame that the server may send today is left without one."""
    shown = {json.loads(example)["type"] for example in EXAMPLES}
    assert shown >= {
        "welcome",
        "accepted",
        "rejected",
        "status",
        "token",
        "done",
        "reply",
        "error",
        "goaway",
        "pong",
        "heartbeat",
    }
