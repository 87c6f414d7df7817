"""A request's job: admitted, run, stopped and forgotten, without a socket."""

import asyncio
from contextlib import aclosing
from typing import cast

import pytest

from tests.fakes import FakeEngine, plausible
from wsproc.admission import Admission
from wsproc.config import ServerConfig
from wsproc.events import Event, JobAccepted, JobEnded, JobRejected, Reader, nobody
from wsproc.face.clients import Clients
from wsproc.face.exchange import Desk
from wsproc.face.faults import Refused
from wsproc.frames.client import Generate, Process
from wsproc.frames.errors import ErrorCode
from wsproc.frames.server import Cancelled, Completed, Done, JobFrame
from wsproc.job import StopReason
from wsproc.session import Offer
from wsproc.tasks import default_registry

TEXT = "I love this. Ada is great! " * 5
PROCESS = Process(text=TEXT)


def desk(engine: FakeEngine, tell: Reader = nobody, **settings: int) -> Desk:
    """Return a desk as a server makes it."""
    config = ServerConfig(**settings)
    registry = default_registry()
    offer = Offer("1", "e", registry.requests, config.limits(), 15, engine.unavailable, tell)
    clients = Clients(config.max_jobs_per_connection, rate=0, burst=1)
    return Desk(config, offer, Admission(config.max_jobs), engine, registry, clients)


async def test_a_job_from_its_first_frame_to_its_end():
    """The frames of the WebSocket without `accepted`; then no trace is left."""
    told: list[Event] = []
    one = desk(FakeEngine(answers=plausible), told.append)
    async with one.open(PROCESS, "ada") as exchange:
        assert one.admission.live == 1
        frames = [frame async for frame in exchange]
    assert frames[0].status == "started"
    assert isinstance(frames[-1], Completed)
    assert one.admission.live == 0
    assert [type(event) for event in told] == [JobAccepted, JobEnded]


@pytest.mark.parametrize("frames_read", [0, 1])
async def test_leaving_stops_the_job_and_waits_for_the_engine(frames_read: int):
    """The device is free and the slot is back when the block is left."""
    engine, told = FakeEngine(), []
    one = desk(engine, told.append)
    async with one.open(Generate(prompt="x"), "ada") as exchange:
        async with aclosing(aiter(exchange)) as frames:
            for _ in range(frames_read):
                await anext(frames)
        call = await engine.calls.get()
        neighbour = one.open(Generate(prompt="y"), "grace")
        other = await engine.calls.get()
    assert call.cancelled.is_set()
    assert call.stream.end is not None
    assert one.admission.live == 1
    async with neighbour:
        plausible(other)
        assert isinstance([frame async for frame in neighbour][-1], Completed)
    ends = [event.outcome for event in told if isinstance(event, JobEnded)]
    assert ends == ["cancelled", "completed"]


async def test_a_stopped_job_has_an_end():
    """Its reader sees `done{cancelled}` and is not left waiting."""
    engine = FakeEngine()
    async with desk(engine).open(Generate(prompt="x"), "ada") as exchange:
        await engine.calls.get()
        exchange.stop(StopReason.DISCONNECT)
        last = [frame async for frame in exchange][-1]
    assert isinstance(last, Cancelled)
    assert last.reason == "disconnect"


async def test_a_deadline_ends_the_job():
    """`timeout_ms` counts from the acceptance."""
    engine = FakeEngine()
    async with desk(engine).open(Generate(prompt="x", timeout_ms=10), "ada") as exchange:
        last = [frame async for frame in exchange][-1]
    assert last.error.code == ErrorCode.DEADLINE_EXCEEDED


async def test_a_slow_reader_holds_its_own_job_back():
    """Over `outbox_bytes` the job pauses, and goes on when there is room."""
    engine = FakeEngine()
    one = desk(engine, outbox_bytes=1000)
    async with one.open(Generate(prompt="x"), "ada") as exchange:
        call = await engine.calls.get()
        for _ in range(1000):
            call.delta(text="x" * 100)
        plausible(call)
        text, longest = "", 0
        async for frame in exchange:
            longest = max(longest, len(getattr(frame, "text", "")))
            text += getattr(frame, "text", "")
    assert text.startswith("x" * 100_000)
    assert longest < 2000


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"max_jobs": 1}, ErrorCode.QUEUE_FULL),
        ({"max_jobs_per_connection": 1}, ErrorCode.TOO_MANY_JOBS),
    ],
)
async def test_too_many_jobs_are_refused(settings: dict[str, int], code: ErrorCode):
    """By the server's limit, which all share, or by the client's, and that is told; a job that ends
    makes room.
    """
    told: list[Event] = []
    one = desk(FakeEngine(), told.append, **settings)
    async with one.open(PROCESS, "ada"):
        with pytest.raises(Refused) as refused:
            one.open(PROCESS, "ada")
        assert refused.value.error.code == code
        assert told[-1] == JobRejected(code)
        assert one.admission.live == 1
    async with one.open(PROCESS, "ada"):
        pass


async def test_one_clients_limit_is_not_anothers():
    """Each has its own, and its own share of the devices."""
    engine = FakeEngine()
    one = desk(engine, max_jobs_per_connection=1)
    async with one.open(Generate(prompt="x"), "ada"), one.open(Generate(prompt="x"), "grace"):
        owners = {(await engine.calls.get()).stream.call.owner for _ in range(2)}
    assert owners == {"ada", "grace"}


async def test_refused_jobs_leave_no_trace():
    """Too large, no such model: neither admission nor desk remembers it."""
    one = desk(FakeEngine(stages=["sentiment"]), max_text_chars=100)
    for request, code in (
        (PROCESS, ErrorCode.MODEL_UNAVAILABLE),
        (Process(text=TEXT, include_summary=False), ErrorCode.INPUT_TOO_LARGE),
    ):
        with pytest.raises(Refused) as refused:
            one.open(request, "ada")
        assert refused.value.error.code == code
    assert one.admission.live == 0
    assert repr(one) == "<Desk 0 exchanges>"


async def test_draining_ends_every_job_and_takes_no_other():
    """Their readers are told why."""
    engine = FakeEngine()
    one = desk(engine)

    async def last(exchange) -> JobFrame:
        async with exchange:
            return [frame async for frame in exchange][-1]

    jobs = [asyncio.create_task(last(one.open(PROCESS, name))) for name in ("ada", "grace")]
    await engine.calls.get()
    one.drain()
    one.stop()
    await one.finished()
    for done in await asyncio.gather(*jobs):
        assert isinstance(done, Done)
        assert cast("Cancelled", done).reason == "shutdown"
    with pytest.raises(Refused) as refused:
        one.open(PROCESS, "ada")
    assert refused.value.error.code == ErrorCode.DRAINING
    assert one.admission.live == 0
