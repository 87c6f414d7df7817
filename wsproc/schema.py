"""The JSON Schema of every frame and the AsyncAPI document, generated from the models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from wsproc.frames.client import CONTROLS, TASKS, ClientFrame, Submit
from wsproc.frames.server import AnyServerFrame

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(tasks: Mapping[str, type[Submit]] = TASKS) -> dict[str, Any]:
    """Return one schema for every frame: `$defs` has each model, `client` and `server` by name.

    A document is valid against it when it is a frame of either direction.
    """
    server = TypeAdapter(AnyServerFrame).json_schema(ref_template="#/$defs/{model}")
    client = _client_union(tasks)
    definitions = {**client.pop("$defs"), **server.pop("$defs")}
    definitions |= {"ClientFrame": client, "ServerFrame": _any_of(server)}
    return {
        "$schema": DIALECT,
        "title": "wsproc.v1",
        "anyOf": [{"$ref": "#/$defs/ClientFrame"}, {"$ref": "#/$defs/ServerFrame"}],
        "$defs": {name: _marked(definitions[name]) for name in sorted(definitions)},
    }


def asyncapi(version: str, tasks: Mapping[str, type[Submit]] = TASKS) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the service."""
    schema = json_schema(tasks)
    definitions = schema["$defs"]
    received = _names(definitions["ClientFrame"])
    sent = _names(definitions["ServerFrame"])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wsproc",
            "version": version,
            "description": "Text jobs over one WebSocket: many at once, streamed, cancellable.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8765", "protocol": "ws", "pathname": "/"}},
        "channels": {
            "socket": {
                "address": "/",
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in received + sent
                },
            }
        },
        "operations": {
            "receive": _operation("receive", received),
            "send": _operation("send", sent),
        },
        "components": {
            "messages": {
                name: {"name": name, "payload": {"$ref": f"#/components/schemas/{name}"}}
                for name in received + sent
            },
            "schemas": _moved(definitions),
        },
    }


def _client_union(tasks: Mapping[str, type[Submit]]) -> dict[str, Any]:
    open_forms = [task.open_form for task in tasks.values() if task.open_form is not None]
    models: list[type[ClientFrame]] = [*tasks.values(), *open_forms, *CONTROLS.values()]
    named, whole = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    references = [named[(model, "validation")] for model in models]
    return {"anyOf": references, "$defs": {**whole["$defs"]}}


def _any_of(union: dict[str, Any]) -> dict[str, Any]:
    """Keep the references of a union: what its tags choose, the constants of each model say."""
    return {"anyOf": union.get("oneOf") or union.get("anyOf") or [union]}


def _marked(definition: dict[str, Any]) -> dict[str, Any]:
    """Require the constants of a model: they have defaults in code and are never left out."""
    properties = definition.get("properties", {})
    constants = [name for name, field in properties.items() if "const" in field]
    required = list(dict.fromkeys([*constants, *definition.get("required", ())]))
    return {**definition, "required": required} if required else definition


def _names(union: dict[str, Any]) -> list[str]:
    return [reference["$ref"].rpartition("/")[2] for reference in union["anyOf"]]


def _operation(action: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in names],
    }


def _moved(value: Any) -> Any:
    """Return a copy whose references point to where AsyncAPI keeps schemas."""
    if isinstance(value, dict):
        return {key: _moved(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_moved(child) for child in value]
    if isinstance(value, str):
        return value.replace("#/$defs/", "#/components/schemas/")
    return value
