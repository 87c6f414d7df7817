"""The prober, on an engine that the test plays."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from wsproc.engine import (
    Call,
    CallStream,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    ModelUnavailable,
    WorkerState,
)
from wsproc.events import Event, HealthChanged, WorkerProbed
from wsproc.probe import Prober


class Engine:
    """One worker; its probes wait for the test."""

    def __init__(self) -> None:
        self.probes: asyncio.Queue[CallStream] = asyncio.Queue()
        self.state = WorkerState(True, 0, 0, worked_at=0.0)
        self.has_sample = True
        self.raises: EngineError | None = None

    @property
    def workers(self) -> dict[str, WorkerState]:
        """The one worker."""
        return {"device": self.state}

    def probe(self, worker: str, deadline: float) -> CallStream | None:
        """Open a call."""
        assert worker == "device"
        assert deadline > time.monotonic()
        if self.raises is not None:
            raise self.raises
        if not self.has_sample:
            return None
        stream = CallStream(Call(1, "sentiment", ({},)), lambda call: end(stream))
        self.probes.put_nowait(stream)
        return stream


def end(stream: CallStream, reason: EndReason = EndReason.CANCELLED) -> None:
    """End a call."""
    stream.feed(End(1, reason, 0.0, 0.0))


class Told:
    """What was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        self.events.put_nowait(event)

    async def next(self) -> Event:
        """Return the next one."""
        async with asyncio.timeout(20):
            return await self.events.get()


@pytest.fixture
def engine() -> Engine:
    """An engine whose worker has been idle for long."""
    return Engine()


@pytest.fixture
def told() -> Told:
    """Where events go."""
    return Told()


@pytest.fixture
async def prober(engine: Engine, told: Told) -> AsyncIterator[Prober]:
    """A prober that runs, with little patience."""
    one = Prober(engine, 0.02, 0.05, told)
    running = asyncio.create_task(one.run())
    yield one
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_first_thing_that_comes_is_proof(prober: Prober, engine: Engine, told: Told):
    """The rest is cancelled: a generation need not be written to its end."""
    stream = await engine.probes.get()
    stream.feed(Delta(1, 0, {"text": "a"}))
    event = await told.next()
    assert isinstance(event, WorkerProbed)
    assert (event.worker, event.error) == ("device", None)
    assert stream.end is not None
    assert stream.end.reason is EndReason.CANCELLED
    told_of = prober.judge().workers["device"]
    assert told_of["proved_by"] == "probe"
    assert told_of["took_ms"] >= 0


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([Failure(1, 0, EngineError("the model failed"))], "the model failed"),
        ([End(1, EndReason.DEADLINE, 0, 0)], "the deadline passed before the work was finished"),
        ([End(1, EndReason.CANCELLED, 0, 0)], "nothing came of it"),
    ],
)
async def test_a_probe_that_fails_is_told(
    prober: Prober, engine: Engine, told: Told, outcomes: list, error: str
):
    """With the reason; a failure proves nothing."""
    stream = await engine.probes.get()
    for outcome in outcomes:
        stream.feed(outcome)
    if stream.end is None:
        end(stream)
    while not isinstance(event := await told.next(), WorkerProbed):
        pass
    assert event.error == error


async def test_a_change_of_health_is_told_once(prober: Prober, engine: Engine, told: Told):
    """When it is lost, and when it is found again."""
    stream = await engine.probes.get()
    lost = await told.next()
    assert isinstance(lost, HealthChanged)
    assert "the device worker was tried" in lost.reasons[0]
    assert not prober.judge().well
    stream.feed(Delta(1, 0, {}))
    found = [await told.next(), await told.next()]
    assert HealthChanged(()) in found
    assert prober.judge().well


async def test_a_worker_that_refuses_calls_is_a_failed_probe(
    prober: Prober, engine: Engine, told: Told
):
    """It may have given up between the look and the probe."""
    engine.raises = ModelUnavailable("the device worker died too often")
    stream = await engine.probes.get()
    stream.feed(Delta(1, 0, {}))
    while not isinstance(event := await told.next(), WorkerProbed) or event.error is None:
        pass
    assert event.error == "the device worker died too often"


async def test_a_worker_without_a_sample_is_asked_once(engine: Engine, told: Told):
    """It stays healthy for as long as it serves."""
    engine.has_sample = False
    one = Prober(engine, 0.01, 0.01, told)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0.05)
    assert one.judge().well
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told.events.empty()
