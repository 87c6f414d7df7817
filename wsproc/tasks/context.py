"""What a task is given: its job's name on frames, the engine with the job's urgency, and a place
for what is finished so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from wsproc.engine import CallStream, Item
from wsproc.engine.stream import Merge
from wsproc.frames.server import CustomStatus, Token
from wsproc.tasks.job_input import JobInput


class Caller(Protocol):
    """The part of the engine that tasks use."""

    def call(
        self,
        stage: str,
        items: Iterable[Item],
        *,
        owner: str = "",
        priority: int = 5,
        deadline: float | None = None,
    ) -> CallStream:
        """Open a call; see `wsproc.engine.Engine.call`."""
        ...


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task's last event: the whole result, and a sentence for a person."""

    result: Mapping[str, Any]
    message: str = "Processing complete"


@dataclass
class JobContext:
    """One job, seen from its task.

    `partial` is what a client gets as `partial_result` if the job is stopped; a task updates it as
    it goes. `usage` is what the job consumed, by name. Both are JSON objects. `on_begin` is called
    at the first work that a device has done for the job. `input` is the text of a job whose input
    goes on after the submit, and None for all others.
    """

    id: str
    engine: Caller
    owner: str = ""
    priority: int = 5
    deadline: float | None = None
    partial: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    calls: list[CallStream] = field(default_factory=list)
    on_begin: Callable[[], None] = lambda: None
    input: JobInput | None = None
    began: float | None = None

    def call(self, stage: str, items: Iterable[Item], merge: Merge | None = None) -> CallStream:
        """Call a stage of the engine on behalf of this job. Use it with `async with`.

        `merge` makes one delta of two, for the time that the job is held back by a slow client.
        """
        stream = self.engine.call(
            stage, items, owner=self.owner, priority=self.priority, deadline=self.deadline
        )
        stream.on_first = self.on_begin
        stream.merge = merge
        self.calls.append(stream)
        return stream

    def first_work(self) -> float | None:
        """Return when a device did the first work for the job, by `time.monotonic`; None before."""
        ended = ((call.opened_at, call.end) for call in self.calls if call.end is not None)
        begun = [at + end.queued_ms / 1000 for at, end in ended if end.run_ms > 0]
        return min([*begun, *([] if self.began is None else [self.began])], default=None)

    def forget_ended(self) -> None:
        """Let go of the calls that have ended, of a job that makes new ones again and again."""
        self.began = self.first_work()
        self.calls = [call for call in self.calls if call.end is None]

    def count(self, **amounts: int) -> None:
        """Add to the job's usage."""
        for name, amount in amounts.items():
            self.usage[name] = self.usage.get(name, 0) + amount

    def status(self, status: str, **fields: Any) -> CustomStatus:
        """Build a status frame of a task of one's own."""
        return CustomStatus(id=self.id, status=status, **fields)

    def token(self, text: str) -> Token:
        """Build a token frame."""
        return Token(id=self.id, text=text)
