"""More text for jobs whose input goes on: each piece in its turn, and once.

An `append` must not be acted upon twice, and its answer may be lost with the connection. The next
connection tells how long the job's text is, and by that whether the piece was taken.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from wsproc.client.entry import Entry
from wsproc.client.errors import ConnectionLost, InputRefused
from wsproc.client.ledger import Ledger
from wsproc.frames.client import Append, ClientFrame, Jobs, Revise
from wsproc.frames.server import InputReply, JobInfo


class Ask(Protocol):
    """How a question is asked."""

    async def __call__(
        self, kind: Hashable, question: ClientFrame, *, repeatable: bool = True
    ) -> object:
        """Return the reply; raise `ConnectionLost` for what must not be asked twice."""


class Feeder:
    """Appends to and revises the texts of one client's jobs."""

    def __init__(self, ledger: Ledger, ask: Ask) -> None:
        self._ledger = ledger
        self._ask = ask

    async def append(self, name: str, text: str | None, *, final: bool) -> InputReply:
        """Add to a job's text. Raises `InputRefused`, and `ConnectionLost`."""
        entry = self._ledger.entries.of(name)
        async with _turn(entry):
            reply = await self._append_once(name, entry, text, final=final)
            if entry is not None:
                entry.feed(entry.text + (text or ""), final=final)
            return reply

    async def revise(self, name: str, text: str) -> InputReply:
        """Replace a job's text. Raises `InputRefused`, and `ConnectionLost`."""
        entry = self._ledger.entries.of(name)
        async with _turn(entry):
            wire_id = self._ledger.entries.wire_id(name)
            reply = await self._ask(("revise", wire_id), Revise(id=wire_id, text=text))
            if entry is not None:
                entry.feed(text, final=False)
            return _taken(reply)

    async def _append_once(
        self, name: str, entry: Entry | None, text: str | None, *, final: bool
    ) -> InputReply:
        piece = {"final": final} if text is None else {"text": text, "final": final}
        while True:
            wire_id = self._ledger.entries.wire_id(name)
            frame = Append.model_validate({"id": wire_id, **piece})
            try:
                return _taken(await self._ask(("append", wire_id), frame, repeatable=False))
            except ConnectionLost as lost:
                if entry is None:
                    raise
                reply = await self._find_out(entry, frame, lost)
            if reply is not None:
                return _taken(reply)

    async def _find_out(
        self, entry: Entry, sent: Append, lost: ConnectionLost
    ) -> InputReply | None:
        """Return what became of a piece whose answer was lost; None where it never arrived."""
        found = await self._ask(("jobs", entry.wire_id), Jobs(id=entry.wire_id))
        assert isinstance(found, list)
        info: JobInfo | None = found[0] if found else None
        if info is None:
            return InputReply(op="append", id=entry.name, outcome="unknown")
        whole = len(entry.text) + len(sent.text or "")
        # What completes an open job is its final piece.
        completed = info.status == "completed" and sent.final
        if completed or (info.text_length == whole and bool(info.final) == sent.final):
            return InputReply(op="append", id=entry.name, outcome="ok", text_length=whole)
        if info.state == "done":
            return InputReply(op="append", id=entry.name, outcome="done", status=info.status)
        if info.text_length == len(entry.text):
            return None
        raise lost


def _turn(entry: Entry | None) -> AbstractAsyncContextManager[object]:
    return nullcontext() if entry is None else entry.feeding


def _taken(reply: object) -> InputReply:
    assert isinstance(reply, InputReply)
    if reply.outcome != "ok":
        raise InputRefused(reply)
    return reply
