"""Messages that are almost right, from a seed: bytes, broken JSON, wrong fields, odd orders."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.raw import BINARY, CLOSE, TEXT, Raw, packed, raw

FRAMES: list[dict[str, Any]] = [
    {"type": "process", "text": "a text that is long enough", "chunk_size": 50},
    {"type": "process", "text": "", "open": True, "include_summary": False},
    {"type": "process", "text": "as you type, long enough", "live": True},
    {"type": "batch", "texts": ["a text that is long enough", "another that is"]},
    {"type": "generate", "prompt": "x", "stop": ["."], "top_p": 0.5, "meta": {"a": [None]}},
    {"type": "generate", "prompt": "x", "timeout_ms": 1, "on_disconnect": "keep", "priority": 9},
    {"type": "append", "text": "more of the text", "final": True},
    {"type": "revise", "text": "another text altogether"},
    {"type": "cancel", "id": "*"},
    {"type": "cancel"},
    {"type": "jobs"},
    {"type": "resume", "session": "epoch.AAAAAAAAAAAAAAAAAAAAAAAA", "after": {"a": 1}},
    {"type": "auth", "token": "t"},
    {"type": "ping", "n": 1},
]

ODD: list[Any] = [
    None, True, -1, 0, 2**63, 1e308, 0.1, "", "a", "*", "x" * 70, "\0", "\u202e", [], [[]], {},
    {"a": 1}, ["a"] * 70, "x" * 6000,
]  # fmt: skip

IDS = ["a", "b", "c", "d", "id with spaces", "x" * 65, ""]


class Fuzz:
    """A source of messages; the same seed gives the same ones.

    `allowed` is how a connection that sends them may end: not at all (0), by the protocol's codes,
    or cut, where the code was lost on the way. An error of the server's own, 1011 or 4500, is none.
    """

    allowed = (0, 1002, 1006, 1007, 1009, 4400, 4409, 4429)

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.sent = 0

    def message(self) -> str | bytes:
        """Return a message; most have something wrong with them."""
        kinds: list[Callable[[], str | bytes]] = [
            self._frame, self._frame, self._odd_frame, self._odd_frame,
            self._broken, self._torn, self._noise,
        ]  # fmt: skip
        return self._dice.choice(kinds)()

    def _known(self) -> dict[str, Any]:
        frame = dict(self._dice.choice(FRAMES))
        if "id" not in frame and self._dice.random() < 0.8:
            frame["id"] = self._dice.choice(IDS)
        return frame

    def _frame(self) -> str:
        return json.dumps(self._known())

    def _odd_frame(self) -> str:
        """A frame with a field taken away, renamed, or given what it does not take."""
        frame = self._known()
        name = self._dice.choice([*frame, "type", "meta", "surplus"])
        what = self._dice.randrange(3)
        if what == 0:
            frame.pop(name, None)
        elif what == 1:
            frame[name + "x"] = frame.pop(name, 1)
        else:
            frame[name] = self._dice.choice(ODD)
        return json.dumps(frame)

    def _broken(self) -> bytes:
        """A frame with bytes changed, taken out or put in."""
        body = bytearray(self._frame().encode())
        for _ in range(self._dice.randint(1, 3)):
            at = self._dice.randrange(len(body))
            body[at : at + self._dice.randrange(3)] = self._dice.randbytes(self._dice.randrange(3))
        return bytes(body) or b"{"

    def _torn(self) -> str:
        body = self._frame()
        return body[: self._dice.randrange(len(body))]

    def _noise(self) -> bytes:
        return self._dice.randbytes(self._dice.randrange(80))

    async def run(self, port: int, count: int) -> int:
        """Send so many messages over one connection; return its close code, 0 if it lives on.

        Over most connections every fifth is a ping, or they would end with their tenth bad frame in
        a row. Over some bytes are sent as text, which they mostly are not.
        """
        one = await raw(port)
        sending = asyncio.create_task(self._send(one, count))
        try:
            code = await _to_the_end(one)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            (one.reset if self._dice.randrange(2) else one.leave)()
        return code

    async def _send(self, one: Raw, count: int) -> None:
        polite, honest = self._dice.random() < 0.8, self._dice.random() < 0.9
        with suppress(ConnectionError):
            for number in range(count):
                message = '{"type":"ping"}' if polite and number % 5 == 0 else self.message()
                self.sent += 1
                if isinstance(message, str):
                    one.write(packed(message.encode(), TEXT))
                else:
                    one.write(packed(message, BINARY if honest else TEXT))
                await one.writer.drain()
            one.send(type="ping", n=LAST)


LAST = 987654321


async def _to_the_end(one: Raw) -> int:
    """Read to the answer to the last message, or to the close."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            opcode, body = await one.frame()
            if opcode == CLOSE:
                return int.from_bytes(body[:2])
            if opcode == TEXT and json.loads(body) == {"type": "pong", "n": LAST}:
                return 0
    return 1006
