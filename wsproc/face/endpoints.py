"""Where the tasks are, in which form each answers, and what the page at /docs says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from wsproc.face.forms import LINES, TEXT, WHOLE, Form
from wsproc.frames.client import Submit

_TEXT = (
    "The view from the harbour was wonderful, and the soup was the best I ever had."
    " The waiter, sadly, was slow and rude. Helen Ashworth owns the place since 2019."
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST: its path, the form of its answers, and bodies to try, by name."""

    path: str
    form: Form
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


ENDPOINTS: Mapping[str, Endpoint] = {
    "process": Endpoint(
        "/process-stream",
        LINES,
        {
            "one text": {"text": _TEXT, "include_entities": True, "chunk_size": 80},
            "sentiment alone": {"text": _TEXT, "include_summary": False, "split": "sentence"},
        },
    ),
    "batch": Endpoint(
        "/process-batch",
        WHOLE,
        {
            "many texts": {"texts": [_TEXT, "It rained, and we liked it."]},
            "one text": {"text": _TEXT},
        },
    ),
    "generate": Endpoint(
        "/generate-stream",
        TEXT,
        {"a prompt": {"prompt": "The old house stood", "max_tokens": 40, "temperature": 0.8}},
    ),
}
"""The built-in tasks'."""


def endpoint_of(name: str) -> Endpoint:
    """Return where a task is; one of a deployment's own is at /NAME-stream, in lines."""
    return ENDPOINTS.get(name) or Endpoint(f"/{name}-stream", LINES)


def described(task: type[Submit], form: Form) -> dict[str, Any]:
    """Return what FastAPI is to say of an endpoint."""
    answers: dict[int, dict[str, Any]] = {
        200: {"description": form.words, "content": {form.media_type: {}}},
        401: {"description": "A token is asked for: Authorization: Bearer"},
        413: {"description": "A text or the body is too large"},
        429: {"description": "Too many jobs, of yours or of all; see Retry-After"},
        503: {"description": "No model for it, or the server is going away; see Retry-After"},
    }
    summary = (task.__doc__ or task.__name__).strip().partition("\n")[0]
    return {"summary": summary, "response_class": Response, "responses": answers}
