"""Tasks of one's own: what may be registered, and how a request finds its task."""

from typing import Literal

import pytest

from tests.fakes import FakeEngine
from wsproc.frames.client import CONTROLS, TASKS, Submit
from wsproc.tasks import JobContext, TaskRegistry, TaskResult, default_registry


class Shout(Submit):
    """The request of a task of one's own."""

    type: Literal["shout"] = "shout"
    text: str


async def shout(request: Shout, job: JobContext):
    """The task of `Shout`."""
    yield job.status("shouting", loudness=11)
    yield TaskResult({"text": request.text.upper()})


def test_the_default_tasks_are_those_of_the_protocol():
    """Each registry is a new one: adding to it changes no other."""
    registry = default_registry()
    assert dict(registry.requests) == TASKS
    registry.add(Shout, shout)
    assert "shout" not in default_registry().requests


async def test_a_request_runs_its_own_task():
    """By the type that its frame has."""
    registry = TaskRegistry()
    registry.add(Shout, shout)
    job = JobContext("a", FakeEngine())
    status, result = [event async for event in registry.run(Shout(text="hey"), job)]
    assert (status.id, status.status, status.loudness) == ("a", "shouting", 11)
    assert result.result == {"text": "HEY"}


@pytest.mark.parametrize("name", list(CONTROLS))
def test_names_of_control_frames_are_reserved(name: str):
    """A task cannot take the place of `cancel`."""
    model = type("Taken", (Submit,), {"__annotations__": {"type": str}, "type": name})
    with pytest.raises(ValueError, match=f"the name '{name}' is reserved for a control frame"):
        TaskRegistry().add(model, shout)


def test_a_name_is_registered_once():
    """A second task of that name is a mistake."""
    registry = TaskRegistry()
    registry.add(Shout, shout)
    with pytest.raises(ValueError, match="a task named 'shout' is registered already"):
        registry.add(Shout, shout)


def test_a_request_needs_a_name():
    """The default of `type` is what clients write."""

    class Nameless(Submit):
        pass

    with pytest.raises(ValueError, match=r"Nameless\.type needs a default: the name of the task"):
        TaskRegistry().add(Nameless, shout)


def test_a_context_counts_and_passes_on_its_urgency():
    """Usage adds up; calls carry the job's owner, priority and deadline."""
    engine = FakeEngine()
    job = JobContext("a", engine, owner="me", priority=7, deadline=12.5)
    job.count(tokens=2)
    job.count(tokens=3, chunks=1)
    stream = job.call("sentiment", [{"text": "x"}])
    assert job.usage == {"tokens": 5, "chunks": 1}
    call = stream.call
    assert (call.owner, call.priority, call.deadline) == ("me", 7, 12.5)
    assert job.calls == [stream]
