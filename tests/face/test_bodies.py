"""What a request's body may hold."""

from typing import Literal

import pytest
from pydantic import ValidationError

from wsproc.face.bodies import OF_A_SESSION, body_of, submit
from wsproc.frames.client import TASKS, Batch, Generate, Process, Submit

TEXT = "It is good here, and it is quiet."


class Shout(Submit):
    """Say it louder."""

    type: Literal["shout"] = "shout"
    words: str
    times: int = 1


@pytest.mark.parametrize("task", [*TASKS.values(), Shout])
def test_a_body_has_every_field_of_its_frame_but_those_of_a_session(task: type[Submit]):
    """So a new option of a task is there over HTTP too, with its limits and its default."""
    fields = body_of(task).model_fields
    assert set(fields) == set(task.model_fields) - OF_A_SESSION
    for name, field in fields.items():
        assert field.default == task.model_fields[name].default
        assert field.metadata == task.model_fields[name].metadata


def test_the_original_body_is_a_body():
    """The five fields of the HTTP service that this follows, with its defaults."""
    original = {
        "text": TEXT,
        "include_sentiment": True,
        "include_summary": True,
        "include_entities": False,
        "chunk_size": 200,
    }
    body = body_of(Process)
    whole = submit(Process, body.model_validate(original))
    assert whole.model_dump(include=set(original)) == original
    least = submit(Process, body.model_validate({"text": TEXT}))
    assert least.model_dump() == whole.model_dump()


@pytest.mark.parametrize("name", ["prompt", "text"])
def test_a_prompt_may_be_called_a_text(name: str):
    """By either name, and by one of them only."""
    body = body_of(Generate)
    job = submit(Generate, body.model_validate({name: "Once", "max_tokens": 3}))
    assert (job.prompt, job.max_tokens) == ("Once", 3)
    with pytest.raises(ValidationError):
        body.model_validate({"prompt": "Once", "text": "Once"})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"text": "short"},
        {"text": TEXT, "chunk_size": 49},
        {"text": TEXT, "chunk_size": "200"},
        {"text": TEXT, "chunksize": 200},
        {"text": TEXT, "id": "a"},
        {"text": TEXT, "on_disconnect": "keep"},
        {"text": TEXT, "open": True},
    ],
)
def test_a_wrong_body_is_refused(wrong: dict[str, object]):
    """Out of its limits, of another type, misspelt, or asking for what a request cannot have."""
    with pytest.raises(ValidationError):
        body_of(Process).model_validate(wrong)


@pytest.mark.parametrize("wrong", [{}, {"text": TEXT, "texts": [TEXT]}])
def test_fields_that_depend_on_each_other_are_checked_with_the_frame(wrong: dict[str, object]):
    """Either text or texts: the frame's own validator says so."""
    body = body_of(Batch).model_validate(wrong)
    with pytest.raises(ValidationError, match="either text or texts"):
        submit(Batch, body)
