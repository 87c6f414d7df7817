"""Tasks: what a job does, written as async generators over the engine; and their registry.

A task of one's own is a request model and an async generator:

    class Shout(Submit):
        type: Literal["shout"] = "shout"
        text: str

    async def shout(request: Shout, job: JobContext):
        yield job.status("shouting", message="...")
        yield TaskResult({"text": request.text.upper()})

    registry.add(Shout, shout)

Where its input may go on after the submit, the model says so, and the task reads it:

    class Count(Submit):
        goes_on = ("open",)
        type: Literal["count"] = "count"

    async def count(request: Count, job: JobContext):
        async for now in job.input:  # whenever there is more: the text so far
            yield job.status("counting", characters=len(now.text))
        yield TaskResult({"characters": len(now.text)})
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wsproc.frames.client import CONTROLS, Batch, Generate, Process, Submit
from wsproc.frames.server import JobFrame
from wsproc.tasks.batch import batch
from wsproc.tasks.context import JobContext, TaskResult
from wsproc.tasks.generate import generate
from wsproc.tasks.process import process

Task: TypeAlias = Callable[[Any, JobContext], AsyncGenerator[JobFrame | TaskResult, None]]


@dataclass
class TaskRegistry:
    """The tasks of a server, by the frame type that submits them."""

    _requests: dict[str, type[Submit]] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def requests(self) -> Mapping[str, type[Submit]]:
        """The request models by type."""
        return self._requests

    def add(self, request: type[Submit], task: Task) -> None:
        """Register a task; raise ValueError for a name that is missing, reserved or taken."""
        name = request.model_fields["type"].default
        if not isinstance(name, str) or not name:
            raise ValueError(f"{request.__name__}.type needs a default: the name of the task")
        if name in CONTROLS:
            raise ValueError(f"the name {name!r} is reserved for a control frame")
        if name in self._tasks:
            raise ValueError(f"a task named {name!r} is registered already")
        self._requests[name] = request
        self._tasks[name] = task

    def run(self, request: Submit, job: JobContext) -> AsyncGenerator[JobFrame | TaskResult, None]:
        """Start the task of a request."""
        return self._tasks[request.type](request, job)


def default_registry() -> TaskRegistry:
    """Return a new registry with `process`, `batch` and `generate`."""
    registry = TaskRegistry()
    registry.add(Process, process)
    registry.add(Batch, batch)
    registry.add(Generate, generate)
    return registry


__all__ = ["JobContext", "Task", "TaskRegistry", "TaskResult", "default_registry"]
