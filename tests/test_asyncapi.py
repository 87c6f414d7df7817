"""The AsyncAPI document: every frame has its direction, its schema, and what answers it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.frames.examples import SERVER_FRAMES
from wsproc.asyncapi import asyncapi
from wsproc.frames.client import CONTROLS, TASKS, Submit

DOCUMENT = Path(__file__).parent.parent / "docs" / "asyncapi.yaml"


def names(messages: list[dict[str, str]]) -> set[str]:
    """Return the names that references to messages end in."""
    return {one["$ref"].rpartition("/")[2] for one in messages}


def by_direction(document: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the names of what the server receives, and of what it sends."""
    received: set[str] = set()
    sent: set[str] = set()
    for operation in document["operations"].values():
        (received if operation["action"] == "receive" else sent).update(
            names(operation["messages"])
        )
        sent |= names(operation.get("reply", {}).get("messages", []))
    return received, sent


def test_every_frame_has_its_direction():
    """What the server receives and sends are the models, all of them."""
    document = asyncapi("1.2.3")
    assert document["info"]["version"] == "1.2.3"
    received, sent = by_direction(document)
    open_forms = {task.open_form.__name__ for task in TASKS.values() if task.open_form}
    assert received == {model.__name__ for model in (TASKS | CONTROLS).values()} | open_forms
    assert sent == {type(frame).__name__ for frame in SERVER_FRAMES}
    assert received | sent == set(document["components"]["messages"])
    assert received | sent == set(document["channels"]["socket"]["messages"])


def test_every_submit_and_control_frame_has_its_answers():
    """A submit is accepted or rejected; each control frame has an operation of its name.

    Invariant 11.
    """
    operations = asyncapi("1.2.3")["operations"]
    assert names(operations["submit"]["reply"]["messages"]) == {"Accepted", "Rejected"}
    for name, model in CONTROLS.items():
        assert names(operations[name]["messages"]) == {model.__name__}
        assert operations[name]["reply"]["messages"]


def test_a_task_of_ones_own_is_in_it():
    """With its docstring for a summary, or its name where it has none."""

    class Shout(Submit):
        type: Literal["shout"] = "shout"

    document = asyncapi("1.2.3", {"shout": Shout})
    assert names(document["operations"]["submit"]["messages"]) == {"Shout"}
    assert document["components"]["messages"]["Shout"]["summary"] == "Shout"


def test_references_lead_somewhere():
    """Schemas have moved to where AsyncAPI keeps them, and nothing points to the old place."""
    document = asyncapi("1.2.3")
    for reference in references(document):
        here = document
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]


def references(value: object):
    """Yield every reference of a document."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "$ref":
                yield child
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def test_the_document_in_the_repository_is_fresh():
    """docs/asyncapi.yaml is what a server answers at /asyncapi.yaml; `make schema` writes it."""
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    assert document == asyncapi(version("wsproc"))
