"""The AsyncAPI document: who sends what, and what answers it. Generated from the models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wsproc.frames.client import CONTROLS, TASKS, Submit
from wsproc.schema import json_schema

SUBMIT_ANSWERS = ("Accepted", "Rejected")
ANSWERS = {
    "append": ("InputReply",),
    "revise": ("InputReply",),
    "cancel": ("CancelReply",),
    "jobs": ("JobsReply",),
    "resume": ("ResumeReply",),
    "auth": ("Welcome",),
    "ping": ("Pong",),
}
"""The models that answer a control frame, where no `Error` does."""


def asyncapi(version: str, tasks: Mapping[str, type[Submit]] = TASKS) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the service, from the server's point of view."""
    definitions = json_schema(tasks)["$defs"]
    frames = _names(definitions["ClientFrame"]) + _names(definitions["ServerFrame"])
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
                "description": "One WebSocket, with the subprotocol wsproc.v1 or none.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in frames},
            }
        },
        "operations": _operations(definitions),
        "components": {
            "messages": {name: _message(name, definitions[name]) for name in frames},
            "schemas": _moved(definitions),
        },
    }


def _operations(definitions: dict[str, Any]) -> dict[str, dict[str, Any]]:
    controls = {name: model.__name__ for name, model in CONTROLS.items()}
    submits = [name for name in _names(definitions["ClientFrame"]) if name not in controls.values()]
    answers = {*SUBMIT_ANSWERS, *(one for several in ANSWERS.values() for one in several)}
    told = [name for name in _names(definitions["ServerFrame"]) if name not in answers]
    of_a_job = [name for name in told if "seq" in definitions[name]["properties"]]
    of_none = ["Welcome", *(name for name in told if name not in of_a_job)]
    return {
        "submit": _asked("Submit a job.", submits, SUBMIT_ANSWERS),
        **{
            name: _asked(_summary(definitions[model]), [model], ANSWERS[name])
            for name, model in controls.items()
        },
        "stream": _operation("send", "Tell how a job goes on, and how it ends.", of_a_job),
        "inform": _operation("send", "Tell of the connection.", of_none),
    }


def _asked(summary: str, names: Iterable[str], answers: Iterable[str]) -> dict[str, Any]:
    reply = {"channel": {"$ref": "#/channels/socket"}, "messages": _in_channel(answers)}
    return {**_operation("receive", summary, names), "reply": reply}


def _operation(action: str, summary: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/socket"},
        "messages": _in_channel(names),
    }


def _in_channel(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/socket/messages/{name}"} for name in names]


def _message(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": _summary(definition),
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }


def _summary(definition: dict[str, Any]) -> str:
    """Return a model's docstring in one line; its name where it has none."""
    return " ".join(str(definition.get("description") or definition.get("title", "")).split())


def _names(union: dict[str, Any]) -> list[str]:
    return [reference["$ref"].rpartition("/")[2] for reference in union["anyOf"]]


def _moved(value: Any) -> Any:
    """Return a copy whose references point to where AsyncAPI keeps schemas."""
    if isinstance(value, dict):
        return {key: _moved(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_moved(child) for child in value]
    if isinstance(value, str):
        return value.replace("#/$defs/", "#/components/schemas/")
    return value
