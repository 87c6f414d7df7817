"""The union of server frames: each message is read by the model that wrote it."""

import orjson
import pytest
from pydantic import ValidationError

from tests.frames.examples import SERVER_FRAMES
from wsproc.frames.server import STATUSES, CustomStatus, ServerFrame
from wsproc.protocol import decode_server, encode


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_is_read_back_as_it_was_written(frame: ServerFrame):
    """Encoding and decoding is the identity, for every model."""
    assert decode_server(encode(frame)) == frame


def test_every_model_of_a_server_frame_has_an_example():
    """A model that is added needs an example here, and with it a place in the union."""

    def leaves(model: type[ServerFrame]) -> set[str]:
        below = model.__subclasses__()
        own = set() if below else {model.__name__}
        return own.union(*(leaves(one) for one in below if one.__module__ == model.__module__))

    assert leaves(ServerFrame) <= {type(frame).__name__ for frame in SERVER_FRAMES}


def test_unknown_types_are_ignored_and_known_ones_with_wrong_fields_are_not():
    """A client can be older than its server, but a broken frame is an error."""
    assert decode_server(b'{"type":"something_new","x":1}') is None
    assert decode_server(b'{"type":"reply","op":"something_new"}') is None
    assert decode_server(b'{"type":"pong","n":1,"new_field":2}') is not None
    with pytest.raises(ValidationError):
        decode_server(b'{"type":"pong","n":"one"}')
    with pytest.raises(orjson.JSONDecodeError):
        decode_server(b"{")


@pytest.mark.parametrize("status", list(STATUSES))
def test_known_statuses_are_never_read_as_those_of_a_task_of_ones_own(status: str):
    """A status of `process` with wrong fields is an error and not a custom status."""
    message = orjson.dumps({"type": "status", "id": "a", "status": status, "current_item": "x"})
    with pytest.raises(ValidationError):
        decode_server(message)


def test_a_custom_status_keeps_its_own_fields():
    """Fields that a deployment's task adds arrive unchanged."""
    frame = CustomStatus(id="a", status="shouting", loudness=11)
    assert orjson.loads(encode(frame, seq=2)) == {
        "type": "status",
        "id": "a",
        "seq": 2,
        "status": "shouting",
        "loudness": 11,
    }
