"""One submit, from its call to its job's end, over all connections that this takes. Pure."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from wsproc.client.job import Job
from wsproc.frames.server import Cancelled

MAX_RESTARTS = 10
"""How often one job is submitted again: one that takes the server down each time must end."""


@dataclass(slots=True, eq=False)
class Entry:
    """What is known of a submit. `name` is the id for its owner, `wire_id` the one on the wire."""

    name: str
    wire_id: str
    task: str
    fields: dict[str, Any]
    message: bytes
    answer: asyncio.Future[Job[Any]]
    job: Job[Any] | None = None
    accepted: bool = False
    """Whether the present submission was; `job` is set from the first one on."""
    accepted_at: float | None = None
    """When the first submission was: the job's `timeout_ms` runs from there."""
    repeated_at: float = 0.0
    stopped: Cancelled | None = None
    """The end that the server gave the job by itself, held back while it may be run again."""
    feeding: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while more input is on its way: its pieces go one after the other."""

    @property
    def text(self) -> str:
        """The text of the job so far, as the server has it."""
        return self.fields.get("text") or ""

    def feed(self, text: str, *, final: bool) -> None:
        """Note the text that the job has now. Once it is `final` the job is one like others."""
        self.fields["text"] = text
        if final:
            self.fields = {k: v for k, v in self.fields.items() if k not in ("open", "live")}

    @property
    def abandoned(self) -> bool:
        """Whether the submit's caller went away before the answer."""
        return self.answer.cancelled()

    def repeatable(self, tasks: Container[str]) -> bool:
        """Whether the job may be run again: by its task, for its owner, and not too often.

        A live one may not, since its revisions would be counted anew.
        """
        job = self.job
        wanted = job is None or not (job.unwanted or job.restarts >= MAX_RESTARTS)
        return self.task in tasks and not self.fields.get("live") and wanted

    def rewind(self, now: float) -> bytes:
        """Begin another run of the job, and return its submit."""
        assert self.job is not None, "a submit without an answer is sent again as it is"
        self.job.rewind()
        self.accepted, self.stopped, self.repeated_at = False, None, now
        self.message = submit_message(self.task, self.wire_id, self._fields_left(now))
        return self.message

    def _fields_left(self, now: float) -> dict[str, Any]:
        """Return the fields with what is left of the job's time."""
        timeout_ms = self.fields.get("timeout_ms")
        if not isinstance(timeout_ms, int) or self.accepted_at is None:
            return self.fields
        spent_ms = int((now - self.accepted_at) * 1000)
        return {**self.fields, "timeout_ms": max(1, timeout_ms - spent_ms)}


class Entries:
    """All submits of one client, under the ids that they have on the wire, in their order."""

    def __init__(self) -> None:
        self._by_wire_id: dict[str, Entry] = {}
        self._renamed: dict[str, str] = {}
        self._names = itertools.count(1)

    def __len__(self) -> int:
        return len(self._by_wire_id)

    def __contains__(self, name: str) -> bool:
        return name in self._by_wire_id or name in self._renamed

    def __iter__(self) -> Iterator[Entry]:
        return iter([*self._by_wire_id.values()])

    def new_name(self) -> str:
        """Return an id that no job of this client has."""
        return next(name for n in self._names if (name := f"py-{n}") not in self)

    def add(self, entry: Entry) -> None:
        """Note a submit."""
        self._by_wire_id[entry.wire_id] = entry

    def of(self, name: str) -> Entry | None:
        """Return the submit of a job that has not ended, by its owner's name for it."""
        return self._by_wire_id.get(self.wire_id(name))

    def find(self, wire_id: str | None) -> Entry | None:
        """Return the submit that has this id on the wire."""
        return self._by_wire_id.get(wire_id or "")

    def wire_id(self, name: str) -> str:
        """Return what a job is called on the wire."""
        return self._renamed.get(name, name)

    def name(self, wire_id: str) -> str:
        """Return what its owner calls a job of the wire."""
        entry = self._by_wire_id.get(wire_id)
        return wire_id if entry is None else entry.name

    def rename(self, entry: Entry) -> None:
        """Give a job another id on the wire: its old one names its old end."""
        del self._by_wire_id[entry.wire_id]
        runs = 1 + (entry.job.restarts if entry.job else 0)
        others = (f"{entry.name[:56]}.{n}" for n in itertools.count(runs))
        entry.wire_id = next(one for one in others if one not in self)
        self._renamed[entry.name] = entry.wire_id
        self.add(entry)

    def drop(self, entry: Entry) -> None:
        """Forget a submit that is over."""
        self._by_wire_id.pop(entry.wire_id, None)
        self._renamed.pop(entry.name, None)

    def clear(self) -> list[Entry]:
        """Forget all, and return them."""
        entries = [*self]
        self._by_wire_id, self._renamed = {}, {}
        return entries


def submit_message(task: str, wire_id: str, fields: dict[str, Any]) -> bytes:
    """Return a submit as it goes over the wire. Raises TypeError for what is no JSON."""
    return orjson.dumps({"type": task, "id": wire_id, **fields})
