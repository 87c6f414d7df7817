"""What a request's body may hold: the frame of its task, without what belongs to a session."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, create_model

from wsproc.frames.client import Submit

OF_A_SESSION = frozenset({"type", "id", "on_disconnect", "open", "live"})
"""Fields of a submit that have no meaning in a request: it is one job, and ends with its answer."""

OTHER_NAMES: Mapping[str, Mapping[str, str]] = {"generate": {"prompt": "text"}}
"""By task: the second name of a field, for clients of endpoints that call it so."""


def body_of(task: type[Submit]) -> type[BaseModel]:
    """Return the model of a request's body for a task; unknown fields are refused.

    The task's own fields come first. What its validators say about several fields together is
    checked by `submit`.
    """
    other_names = OTHER_NAMES.get(task.model_fields["type"].default, {})
    fields: dict[str, Any] = {}
    for name in sorted(task.model_fields, key=lambda name: name in Submit.model_fields):
        field = task.model_fields[name]
        if name in OF_A_SESSION:
            continue
        if name in other_names:
            field = copy(field)
            field.validation_alias = AliasChoices(name, other_names[name])
        fields[name] = (field.annotation, field)
    config = ConfigDict(extra="forbid", strict=True)
    body: type[BaseModel] = create_model(
        f"{task.__name__}Body", __config__=config, __doc__=task.__doc__, **fields
    )
    return body


def submit(task: type[Submit], body: BaseModel) -> Submit:
    """Return the frame that a body stands for; raise `pydantic.ValidationError` where none."""
    return task.model_validate(body.model_dump(exclude_unset=True))
