"""The forms of an answer: lines of JSON, plain text, or one JSON object.

The lines are a job's frames as the WebSocket has them, without the envelope. A reader switches on
`status`; the last line is `completed` or `error`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from starlette.types import Message, Send

from wsproc.face.faults import Refused
from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.frames.server import Cancelled, Completed, Done, Failed, JobFrame, Token
from wsproc.stall import Patience

ENVELOPE = {"type", "id", "seq", "replay"}
"""Fields that a shared connection needs and an answer does not."""

Frames: TypeAlias = AsyncIterable[JobFrame]


class Broken(Exception):
    """An answer that cannot be finished, and whose form has no other way to say so."""


class Stalled(Broken):
    """The client has read nothing for too long."""


class Reply:
    """The way to the client: `start` once, then `write`. Raises `Stalled` where nothing is read."""

    def __init__(self, send: Send, media_type: str, patience: Patience | None) -> None:
        self.started = False
        self._send = send
        self._media_type = media_type
        self._patience = patience or nullcontext()

    async def start(self) -> None:
        """Send the status and the headers, unless that was done."""
        if self.started:
            return
        self.started = True
        headers = {
            b"content-type": self._media_type.encode(),
            b"cache-control": b"no-store",
            b"x-accel-buffering": b"no",  # nginx would hold the lines back
        }
        start = {"type": "http.response.start", "status": 200, "headers": list(headers.items())}
        await self._bounded(start)

    async def write(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body, then give the other clients their turn."""
        await self._bounded({"type": "http.response.body", "body": body, "more_body": more})
        await asyncio.sleep(0)

    async def _bounded(self, message: Message) -> None:
        try:
            async with self._patience:
                await self._send(message)
        except TimeoutError:
            raise Stalled("nothing was read for too long") from None


@dataclass(frozen=True, slots=True)
class Form:
    """How the frames of a job are written to a client, and that in words."""

    media_type: str
    words: str
    write: Callable[[Frames, Reply], Awaitable[None]]


async def _lines(frames: Frames, reply: Reply) -> None:
    await reply.start()
    async for frame in frames:
        await reply.write(line(frame), more=not isinstance(frame, Done))


async def _text(frames: Frames, reply: Reply) -> None:
    """Write the tokens. The headers wait for the first one, so that an error before has its status;
    one that comes later cuts the connection: plain text has no other sign that it is not whole.
    """
    async for frame in frames:
        if isinstance(frame, Cancelled | Failed):
            error = failure(frame)
            if reply.started:
                raise Broken(error.message)
            raise Refused(error)
        if isinstance(frame, Token):
            await reply.start()
            await reply.write(frame.text.encode(), more=True)
    await reply.start()
    await reply.write(b"", more=False)


async def _whole(frames: Frames, reply: Reply) -> None:
    async for frame in frames:
        if isinstance(frame, Cancelled | Failed):
            raise Refused(failure(frame))
        if isinstance(frame, Completed):
            await reply.start()
            await reply.write(line(frame), more=False)


LINES = Form(
    "application/x-ndjson",
    "One JSON object a line, as soon as it is known, keyed by `status`. The last one is `completed`"
    " with the whole `result`, or `error`.",
    _lines,
)
TEXT = Form(
    "text/plain; charset=utf-8",
    "The text, as it is written. An answer that is cut off in the middle has failed.",
    _text,
)
WHOLE = Form("application/json", "One JSON object with the whole `result`.", _whole)


def line(frame: JobFrame) -> bytes:
    """Return a frame as a line of JSON, `status` first and what is about the job itself last."""
    fields = frame.model_dump(exclude=ENVELOPE, exclude_unset=True)
    about = {name: fields.pop(name) for name in Done.model_fields if name in fields}
    if isinstance(frame, Cancelled | Failed):
        error = failure(frame)
        told = error.model_dump(exclude_unset=True)
        fields = {**fields, "status": "error", "message": error.message, "error": told}
    whole = {"status": _status(frame), **fields, **about}
    return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)


def _status(frame: JobFrame) -> Any:
    return "token" if isinstance(frame, Token) else getattr(frame, "status", frame.type)


def failure(done: Cancelled | Failed) -> ErrorInfo:
    """Return why a job has no result. Only a shutdown cancels a job whose client still listens."""
    if isinstance(done, Failed):
        return done.error
    message = "the server is shutting down; send it again"
    return error_info(ErrorCode.DRAINING, message)


__all__ = ["LINES", "TEXT", "WHOLE", "Broken", "Form", "Reply", "Stalled", "failure", "line"]
