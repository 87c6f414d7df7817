"""The three forms of an answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
from starlette.types import Message

from tests.frames.examples import SERVER_FRAMES, TIMING
from wsproc.face.faults import Refused
from wsproc.face.forms import ENVELOPE, LINES, TEXT, WHOLE, Broken, Form, Reply, line
from wsproc.frames.errors import ErrorCode, error_info
from wsproc.frames.server import (
    Accepted,
    Cancelled,
    Completed,
    Done,
    Failed,
    JobFrame,
    Started,
    Token,
)
from wsproc.protocol import encode
from wsproc.stall import Patience

OF_A_JOB = [one for one in SERVER_FRAMES if isinstance(one, JobFrame) and type(one) is not Accepted]
ONE, TWO = Token(id="a", text="Once "), Token(id="a", text="upon 🙂")
STARTED = Started(id="a", message="m", timestamp="t", text_length=10)
COMPLETED = next(one for one in SERVER_FRAMES if isinstance(one, Completed))
FAILED = Failed(
    id="a", usage={}, timing_ms=TIMING, error=error_info(ErrorCode.DEADLINE_EXCEEDED, "too late")
)
SHUT_DOWN = Cancelled(id="a", usage={}, timing_ms=TIMING, reason="shutdown")


class Still:
    """A transport that writes nothing."""

    def get_write_buffer_size(self) -> int:
        """Return what waits."""
        return 1000


class Client:
    """Takes what a form sends; `reads` False is one that takes nothing."""

    def __init__(self, *, reads: bool = True) -> None:
        self.status: int | None = None
        self.kind = ""
        self.body = b""
        self.whole = False
        self._reads = reads

    async def send(self, message: Message) -> None:
        """Be what ASGI calls `send`."""
        if not self._reads:
            await asyncio.Event().wait()
        if message["type"] == "http.response.start":
            assert self.status is None
            self.status = message["status"]
            self.kind = dict(message["headers"])[b"content-type"].decode()
        else:
            assert not self.whole
            self.body += message["body"]
            self.whole = not message["more_body"]


async def write(form: Form, *frames: JobFrame, client: Client | None = None) -> Client:
    """Write frames in a form; return the client that has them."""
    client = client or Client()

    async def stream() -> AsyncIterator[JobFrame]:
        for frame in frames:
            yield frame

    patience = Patience(cast("asyncio.WriteTransport", Still()), 0.01)
    await form.write(stream(), Reply(client.send, form.media_type, patience))
    return client


@pytest.mark.parametrize("frame", OF_A_JOB, ids=lambda one: type(one).__name__)
def test_a_line_is_a_frame_without_its_envelope(frame: JobFrame):
    """One line of JSON, `status` first, every other field as the WebSocket has it."""
    written = line(frame)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    fields: dict[str, Any] = orjson.loads(written)
    assert next(iter(fields)) == "status"
    assert not fields.keys() & ENVELOPE
    on_the_wire = {k: v for k, v in orjson.loads(encode(frame)).items() if k not in ENVELOPE}
    if isinstance(frame, Done) and not isinstance(frame, Completed):
        assert fields["status"] == "error"
        assert fields["error"].keys() >= {"code", "message", "retryable"}
        on_the_wire.pop("status")
    assert on_the_wire.items() <= fields.items()


async def test_lines_end_with_completed():
    """Message, time, timestamp and result are in the last line."""
    client = await write(LINES, STARTED, COMPLETED)
    assert (client.status, client.kind, client.whole) == (200, "application/x-ndjson", True)
    first, last = map(orjson.loads, client.body.splitlines())
    assert first == {"status": "started", "message": "m", "timestamp": "t", "text_length": 10}
    assert last["status"] == "completed"
    assert last.keys() >= {"message", "total_processing_time", "timestamp", "result"}


@pytest.mark.parametrize(
    ("end", "code"), [(FAILED, "deadline_exceeded"), (SHUT_DOWN, "draining")], ids=lambda one: one
)
async def test_lines_end_with_an_error_in_words(end: Done, code: str):
    """A job without a result says why, and whether to try again."""
    client = await write(LINES, STARTED, end)
    last = orjson.loads(client.body.splitlines()[-1])
    assert (last["status"], last["error"]["code"], client.whole) == ("error", code, True)
    assert last["message"] == last["error"]["message"]


async def test_text_is_the_tokens_joined():
    """And nothing else."""
    client = await write(TEXT, STARTED, ONE, TWO, COMPLETED)
    assert (client.status, client.body.decode(), client.whole) == (200, "Once upon 🙂", True)
    assert client.kind == "text/plain; charset=utf-8"


async def test_text_without_a_token_is_empty():
    """A model may stop at once."""
    client = await write(TEXT, STARTED, COMPLETED)
    assert (client.status, client.body, client.whole) == (200, b"", True)


@pytest.mark.parametrize("form", [TEXT, WHOLE])
@pytest.mark.parametrize(("end", "status"), [(FAILED, 504), (SHUT_DOWN, 503)])
async def test_an_error_before_the_first_byte_is_a_status(form: Form, end: Done, status: int):
    """Nothing was sent, so the answer can still be an error."""
    client = Client()
    with pytest.raises(Refused) as refused:
        await write(form, STARTED, end, client=client)
    assert (refused.value.status, client.status) == (status, None)


async def test_a_text_that_fails_in_the_middle_is_broken_off():
    """Its end is never sent, or it would look whole."""
    client = Client()
    with pytest.raises(Broken, match="too late"):
        await write(TEXT, STARTED, ONE, FAILED, client=client)
    assert (client.body, client.whole) == (b"Once ", False)


async def test_whole_is_the_completed_object_alone():
    """Whatever else came before it."""
    client = await write(WHOLE, STARTED, ONE, COMPLETED)
    assert (client.status, client.kind, client.whole) == (200, "application/json", True)
    assert client.body == line(COMPLETED)


@pytest.mark.parametrize("form", [LINES, TEXT, WHOLE])
async def test_a_client_that_reads_nothing_is_given_up(form: Form):
    """After the time that a WebSocket client has too."""
    with pytest.raises(Broken, match="nothing was read"):
        await write(form, STARTED, ONE, COMPLETED, client=Client(reads=False))
