"""The JSON Schema of every frame, generated from the models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from wsproc.frames.client import CONTROLS, TASKS, ClientFrame, Submit
from wsproc.frames.results import RESULTS
from wsproc.frames.server import AnyServerFrame

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{model}"


def json_schema(tasks: Mapping[str, type[Submit]] = TASKS) -> dict[str, Any]:
    """Return one schema for every frame: `$defs` has each model, `client` and `server` by name.

    A document is valid against it when it is a frame of either direction. `$defs` also has the
    results of the built-in tasks, which a `Completed` carries.
    """
    server = TypeAdapter(AnyServerFrame).json_schema(ref_template=REFERENCE)
    client = _client_union(tasks)
    definitions = {**_results(), **client.pop("$defs"), **server.pop("$defs")}
    definitions |= {"ClientFrame": client, "ServerFrame": _any_of(server)}
    return {
        "$schema": DIALECT,
        "title": "wsproc.v1",
        "anyOf": [{"$ref": "#/$defs/ClientFrame"}, {"$ref": "#/$defs/ServerFrame"}],
        "$defs": {name: _finished(definitions[name]) for name in sorted(definitions)},
    }


def _client_union(tasks: Mapping[str, type[Submit]]) -> dict[str, Any]:
    open_forms = [task.open_form for task in tasks.values() if task.open_form is not None]
    models: list[type[ClientFrame]] = [*tasks.values(), *open_forms, *CONTROLS.values()]
    named, whole = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    references = [named[(model, "validation")] for model in models]
    return {"anyOf": references, "$defs": {**whole["$defs"]}}


def _results() -> dict[str, Any]:
    _, whole = models_json_schema([(one, "validation") for one in RESULTS], ref_template=REFERENCE)
    definitions: dict[str, Any] = whole["$defs"]
    return definitions


def _any_of(union: dict[str, Any]) -> dict[str, Any]:
    """Keep the references of a union: what its tags choose, the constants of each model say."""
    return {"anyOf": union.get("oneOf") or union.get("anyOf") or [union]}


def _finished(definition: dict[str, Any]) -> dict[str, Any]:
    """Require what has a default in code and is never left out of a message; drop field titles.

    That is a model's constants, and the number of a job's frames; an `accepted` that repeats an
    earlier answer has none.
    """
    properties = definition.get("properties", {})
    always = [name for name, field in properties.items() if "const" in field]
    if "seq" in properties and "duplicate" not in properties:
        always.append("seq")
    required = list(dict.fromkeys([*always, *definition.get("required", ())]))
    whole = {**_untitled(definition), **({"required": required} if required else {})}
    return {"title": definition["title"], **whole} if "title" in definition else whole


def _untitled(schema: Any) -> Any:
    """Drop the titles that are made of field names: they say nothing that the names do not."""
    if isinstance(schema, list):
        return [_untitled(child) for child in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _untitled(field) for name, field in value.items()}
        if key == "properties"
        else _untitled(value)
        for key, value in schema.items()
        if key != "title"
    }
