"""The results of the built-in tasks are what the schema says of them."""

from __future__ import annotations

import jsonschema
import pytest

from tests.fakes import FakeEngine, plausible, serving
from tests.wire import SCHEMA, connected

TEXT = "Ada had a lovely day. " * 8

RESULTS = {
    "process": ({"type": "process", "text": TEXT, "include_entities": True}, "ProcessResult"),
    "process, nothing asked": (
        {"type": "process", "text": TEXT, "include_sentiment": False, "include_summary": False},
        "ProcessResult",
    ),
    "batch of one": ({"type": "batch", "text": TEXT}, "ProcessResult"),
    "batch": ({"type": "batch", "texts": [TEXT, TEXT]}, "BatchResult"),
    "generate": ({"type": "generate", "prompt": "Once", "max_tokens": 3}, "GenerateResult"),
}


@pytest.mark.parametrize("case", RESULTS)
async def test_a_result_is_what_its_model_says(case: str):
    """No field is missing, none is unknown."""
    submit, name = RESULTS[case]
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        await wire.send(**submit)
        done = await wire.next("done", status="completed")
    jsonschema.Draft202012Validator({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{name}"}]}).validate(
        done["result"]
    )
    assert done["result"].keys() <= SCHEMA["$defs"][name]["properties"].keys()
