"""Requests: defaults and limits are those of the HTTP service that this follows."""

import pytest
from pydantic import ValidationError

from wsproc.frames.client import (
    CONTROLS,
    MAX_META_BYTES,
    MAX_META_DEPTH,
    TASKS,
    Batch,
    Generate,
    Process,
    Submit,
)

TEXT = "a text that is long enough"


def test_process_has_the_defaults_of_the_http_service():
    """Sentiment and summary on, entities off, chunks of 200 fixed characters."""
    request = Process(text=TEXT)
    assert (request.include_sentiment, request.include_summary, request.include_entities) == (
        True,
        True,
        False,
    )
    assert (request.chunk_size, request.split, request.priority) == (200, "fixed", 5)
    assert (request.on_disconnect, request.timeout_ms, request.id) == ("cancel", None, None)


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("chunk_size", 50, 500),
        ("priority", 0, 9),
        ("timeout_ms", 1, 86_400_000),
        ("summary_min_length", 1, 1024),
        ("summary_max_length", 1, 1024),
    ],
)
def test_numbers_have_both_bounds(field: str, lowest: int, highest: int):
    """The bounds themselves are allowed, one beyond either is not, and nothing is coerced."""
    for value in (lowest, highest):
        assert getattr(Process(text=TEXT, **{field: value}), field) == value
    for value in (lowest - 1, highest + 1, str(lowest), float(lowest), True):
        with pytest.raises(ValidationError):
            Process(text=TEXT, **{field: value})


def test_a_text_has_ten_characters_at_least():
    """Characters are code points, and so are those of emoji."""
    assert Process(text="😀" * 10).text == "😀" * 10
    with pytest.raises(ValidationError):
        Process(text="😀" * 9)


@pytest.mark.parametrize("id_", ["a", "A-1_b.c:d", "x" * 64])
def test_ids_that_are_allowed(id_: str):
    """Letters, digits and _ . : - make an id of 1 to 64 characters."""
    assert Process(id=id_, text=TEXT).id == id_


@pytest.mark.parametrize("id_", ["", "x" * 65, "a b", "ä", "*", "a\n", 5])
def test_ids_that_are_refused(id_: object):
    """Everything else is none, a trailing newline included."""
    with pytest.raises(ValidationError):
        Process(id=id_, text=TEXT)


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_meta_is_any_json_of_a_bounded_size_and_depth():
    """4096 bytes and 32 levels pass, one more of either does not."""
    fits = "x" * (MAX_META_BYTES - 2)
    assert Process(text=TEXT, meta=fits).meta == fits
    assert Process(text=TEXT, meta=_nested(MAX_META_DEPTH - 1)).meta is not None
    for meta in (fits + "x", _nested(MAX_META_DEPTH)):
        with pytest.raises(ValidationError):
            Process(text=TEXT, meta=meta)


def test_the_first_mistake_in_a_list_is_enough():
    """The rest is not looked at: a message of many mistakes costs no more than one of one."""
    for model, fields in (
        (Batch, {"texts": [1, 2, 3]}),
        (Generate, {"prompt": "x", "stop": [1, 2]}),
    ):
        with pytest.raises(ValidationError) as caught:
            model.model_validate(fields)
        assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    ("request_", "needs"),
    [
        (Process(text=TEXT), ("sentiment", "summary")),
        (Process(text=TEXT, include_sentiment=False, include_summary=False), ()),
        (Batch(text=TEXT, include_entities=True), ("sentiment", "summary", "entities")),
        (Generate(prompt="x"), ("generation",)),
    ],
)
def test_a_request_knows_the_stages_that_it_will_call(request_: Submit, needs: tuple[str, ...]):
    """So that a missing model is told before the job is accepted."""
    assert request_.needs() == needs


@pytest.mark.parametrize(
    ("request_", "inputs"),
    [
        (Process(text=TEXT), (("text", TEXT),)),
        (Batch(text=TEXT), (("text", TEXT),)),
        (Batch(texts=[TEXT, TEXT + "!"]), (("texts[0]", TEXT), ("texts[1]", TEXT + "!"))),
        (Generate(prompt="x"), (("prompt", "x"),)),
    ],
)
def test_a_request_names_every_text_that_counts(
    request_: Submit, inputs: tuple[tuple[str, str], ...]
):
    """Each with the path by which an error about it names it."""
    assert request_.inputs() == inputs


def test_no_task_has_the_name_of_a_control_frame():
    """Names of control frames are reserved."""
    assert not TASKS.keys() & CONTROLS.keys()


@pytest.mark.parametrize("model", [*TASKS.values(), *CONTROLS.values()])
def test_every_model_is_found_under_its_own_type(model: type):
    """The table that frames are looked up in agrees with the models."""
    assert (TASKS | CONTROLS)[model.model_fields["type"].default] is model
