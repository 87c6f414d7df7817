"""docs/http.md: its examples are answers of today's face."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.wire import SERVER_FRAME
from wsproc.face.endpoints import ENDPOINTS
from wsproc.face.faults import Refused
from wsproc.frames.errors import ErrorInfo

DOCUMENT = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(line)
    for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", [one for one in EXAMPLES if "status" in one])
def test_a_line_is_a_frame_without_its_envelope(line: dict[str, Any]):
    """With it, the schema of the WebSocket accepts it."""
    kind = "done" if line["status"] in ("completed", "error") else "status"
    status = "failed" if line["status"] == "error" else line["status"]
    SERVER_FRAME.validate({"type": kind, "id": "a", "seq": 2, **line, "status": status})


@pytest.mark.parametrize("body", [one for one in EXAMPLES if "status" not in one])
def test_a_body_of_an_error_is_what_its_error_makes(body: dict[str, Any]):
    """`detail` and `error` belong together."""
    assert Refused(ErrorInfo(**body["error"])).body == body


def test_every_endpoint_is_in_the_table():
    """None is left out."""
    for one in ENDPOINTS.values():
        assert f"`{one.path}`" in DOCUMENT
