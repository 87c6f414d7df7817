"""The wire contract in code: bytes to frames, frames to bytes, and the schema of both.

Pure: no socket, clock or task. The models stand in `wsproc.frames`; `PROTOCOL.md` says in words
what they mean. `decode` raises nothing but `BadFrame`, whose error is ready to be sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from wsproc.frames.client import CONTROLS, TASKS, ClientFrame, Submit
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import AnyServerFrame, JobFrame, Regarding, ServerFrame

SUBPROTOCOL = "wsproc.v1"

_SERVER_FRAMES: TypeAdapter[ServerFrame] = TypeAdapter(AnyServerFrame)


class BadFrame(Exception):
    """A message that cannot be acted upon.

    `error` says why; `regarding` is its type and id as far as they could be read; `submit` is True
    where it meant to submit a job, which is then answered by `rejected` and not by `error`.
    """

    def __init__(
        self, error: ErrorInfo, regarding: Regarding | None = None, *, submit: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.regarding = regarding
        self.submit = submit


def decode(message: str | bytes, tasks: Mapping[str, type[Submit]] = TASKS) -> ClientFrame:
    """Return the client frame in a message; raise `BadFrame` for anything that is none."""
    try:
        data = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise BadFrame(error_info(ErrorCode.BAD_JSON, f"not JSON: {error}")) from None
    if not isinstance(data, dict):
        raise BadFrame(error_info(ErrorCode.BAD_FRAME, "a message must be one JSON object"))
    regarding = _regarding(data)
    model = _model(data, tasks, regarding)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        submit = issubclass(model, Submit)
        raise BadFrame(_explain(error, model, submit), regarding, submit=submit) from None


MOST_PEEKED = 64 * 1024
"""Larger messages are not read for what they are about: the time goes to those that are taken."""


def peek(message: str | bytes) -> Regarding | None:
    """Return what a message that is not acted upon is about, where that is cheap to read."""
    if len(message) > MOST_PEEKED:
        return None
    try:
        data = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return _regarding(data) if isinstance(data, dict) else None


def encode(frame: ServerFrame | ClientFrame, seq: int | None = None) -> bytes:
    """Return a frame as UTF-8 JSON, its constants first; `seq` is put into a job's frame.

    Fields that were left unset are left out, so that an absent field and a null one stay apart.
    """
    head: dict[str, Any] = {name: getattr(frame, name) for name in _constants(type(frame))}
    if isinstance(frame, JobFrame) and seq is not None:
        head["id"] = frame.id
        head["seq"] = seq
    message = orjson.dumps({**head, **_without(frame.model_dump(exclude_unset=True), head)})
    return bytes(memoryview(message))  # a copy: orjson's own holds 4 KiB, however short it is


def with_seq(message: bytes, seq: int) -> bytes:
    """Return the message of a job's frame that was encoded with the number 0 with another one."""
    return message.replace(b'"seq":0', b'"seq":%d' % seq, 1)  # before it are constants and the id


def mark_replayed(message: bytes) -> bytes:
    """Return the message of a job's frame as one that is sent again."""
    return message[:-1] + b',"replay":true}'


@cache
def _constants(model: type[ServerFrame | ClientFrame]) -> tuple[str, ...]:
    """Name the fields that have one possible value: they say what kind of frame it is."""
    fields = model.model_fields.items()
    return tuple(
        name
        for name, field in fields
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    )


def _without(body: dict[str, Any], head: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in head}


def decode_server(message: str | bytes) -> ServerFrame | None:
    """Return the server frame in a message, for clients; None where its type is unknown.

    Raises `pydantic.ValidationError` for a known type with wrong fields and
    `orjson.JSONDecodeError` for what is not JSON.
    """
    data = orjson.loads(message)
    try:
        return _SERVER_FRAMES.validate_python(data)
    except ValidationError as error:
        if all(detail["type"] == "union_tag_invalid" for detail in error.errors()):
            return None
        raise


def _regarding(data: Mapping[str, Any]) -> Regarding | None:
    """Return type and id where they are short strings, so that nothing large is echoed."""
    named = {
        name: data[name]
        for name in ("type", "id")
        if isinstance(data.get(name), str) and len(data[name]) <= 64
    }
    return Regarding.model_validate(named) if named else None


def _model(
    data: Mapping[str, Any], tasks: Mapping[str, type[Submit]], regarding: Regarding | None
) -> type[ClientFrame]:
    kind = data.get("type")
    if not isinstance(kind, str):
        message = "type is missing" if kind is None else "type must be a string"
        raise BadFrame(error_info(ErrorCode.BAD_FRAME, message, path="type"), regarding)
    model = CONTROLS.get(kind) or tasks.get(kind)
    if model is None:
        known = [*tasks, *CONTROLS]
        message = f"unknown type {kind[:64]!r}{_suggestion(kind, known)}"
        raise BadFrame(error_info(ErrorCode.UNKNOWN_TYPE, message, path="type"), regarding)
    if issubclass(model, Submit) and (data.get("open") is True or data.get("live") is True):
        return model.open_form or model
    return model


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word[:64], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _explain(error: ValidationError, model: type[ClientFrame], submit: bool) -> ErrorInfo:
    """Turn the first finding of pydantic into one sentence that names the field and the mend."""
    detail = error.errors(include_url=False)[0]
    path = _path(detail["loc"])
    code = ErrorCode.INVALID_FIELD if submit else ErrorCode.BAD_FRAME
    if detail["type"] == "missing":
        missing = ErrorCode.MISSING_FIELD if submit else ErrorCode.BAD_FRAME
        words = f"{path} is missing" if path else detail["msg"]
        return error_info(missing, words, path=path or None)
    if detail["type"] == "extra_forbidden":
        known = [*model.model_fields]
        return error_info(code, f"unknown field {path!r}{_suggestion(path, known)}", path=path)
    return error_info(code, _sentence(path, detail), path=path or None)


_RULES = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_pattern_mismatch": "must match {pattern}",
}
"""What pydantic's findings are in our words; a task of one's own may bring others."""


def _sentence(path: str, detail: ErrorDetails) -> str:
    """Say in one sentence which rule a field breaks."""
    rule, context = _RULES.get(detail["type"]), detail.get("ctx", {})
    if context.get("min_length") == 1:
        return f"{path} must not be empty"
    if rule is not None and path:
        return f"{path} {rule.format_map(context)}"
    words = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {words}" if path and not words.startswith(path) else words


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as `texts[3]` or `after.job-1`; union branch names are left out."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not path:
            path = part[:64]
        elif part not in ("str", "[key]") and not part.startswith(_BRANCHES):
            path += f".{part[:64]}"
    return path


_BRANCHES = ("literal[", "constrained-", "function-", "list[")
"""How the names of union branches begin; they stand behind the field that has the union."""


__all__ = [
    "SUBPROTOCOL",
    "BadFrame",
    "decode",
    "decode_server",
    "encode",
    "mark_replayed",
    "peek",
    "with_seq",
]
