"""A session at run time: one connection at most, jobs that outlive it, and an end."""

import asyncio
import json

import pytest

from tests.fakes import FakeEngine
from tests.session.test_session import LIMITS
from tests.waiting import until
from wsproc.admission import Admission
from wsproc.engine import EndReason
from wsproc.frames.client import TASKS
from wsproc.host import TAKEN_OVER, Host
from wsproc.job import StopReason
from wsproc.outbox import Outbox
from wsproc.session import Close, Offer, Session
from wsproc.tasks import default_registry


class Link:
    """A connection as its host sees it."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.lost: Close | None = None

    def wake(self) -> None:
        """Note that there is something to send."""
        self.woken.set()

    def lose(self, close: Close) -> None:
        """Note that the session is another one's."""
        self.lost = close


class Shell:
    """A host and those that it has let go of."""

    def __init__(self, *, resume_s: float = 30, result_ttl_s: float = 300) -> None:
        offer = Offer("1", "epoch", TASKS, LIMITS, 15, resume_s=resume_s, result_ttl_s=result_ttl_s)
        self.engine = FakeEngine()
        self.admission = Admission(9)
        self.over = asyncio.Event()
        self.host = Host(
            Session("epoch.secret", offer, self.admission, Outbox(limit=1000)),
            self.engine,
            default_registry(),
            on_over=lambda _: self.over.set(),
        )

    def send(self, **frame) -> list:
        """Hand a frame in; return what is the connection's to do."""
        return self.host.receive(json.dumps(frame))

    def generate(self, job: str = "a", **fields) -> None:
        """Submit a generation."""
        assert self.send(type="generate", id=job, prompt="x", max_tokens=9, **fields) == []

    async def complete(self) -> None:
        """Submit a generation and let it come to its end."""
        self.generate()
        call = await self.engine.calls.get()
        call.result(text="", prompt_tokens=1, completion_tokens=0)
        call.end()
        await self.host.finished()

    def sent(self) -> list[dict]:
        """Take all that waits."""
        return [json.loads(one) for one in iter(self.host.next_message, None)]


async def test_a_newer_connection_takes_the_session_from_the_older_one():
    """Which is told so, and has no say any more."""
    shell, older, newer = Shell(), Link(), Link()
    shell.host.attach(older)
    assert shell.host.attached
    shell.host.attach(newer)
    assert (older.lost, newer.lost) == (TAKEN_OVER, None)
    assert not shell.host.detach(older, clean=True)
    assert shell.host.attached
    assert shell.host.detach(newer, clean=True)
    assert not shell.host.attached
    assert "detached" in repr(shell.host)


async def test_a_job_runs_on_without_a_connection():
    """One that was held back by a full outbox goes on: the log takes what it makes."""
    shell, link = Shell(), Link()
    shell.host.attach(link)
    shell.generate(on_disconnect="keep")
    call = await shell.engine.calls.get()
    for _ in range(30):
        call.delta(text="x" * 100)
    call.result(text="x" * 3000, prompt_tokens=1, completion_tokens=30)
    call.end()
    await link.woken.wait()
    assert shell.admission.live == 1
    shell.host.detach(link, clean=True)
    await shell.host.finished()
    assert shell.admission.live == 0
    shell.host.attach(link)
    shell.host.session.resume({})
    assert [frame["type"] for frame in shell.sent()][-1] == "done"


async def test_who_does_not_come_back_in_time_loses_what_is_not_kept():
    """By a timer of the host's own."""
    shell, link = Shell(resume_s=0.05), Link()
    shell.host.attach(link)
    shell.generate("gone")
    gone = await shell.engine.calls.get()
    shell.generate("kept", on_disconnect="keep")
    kept = await shell.engine.calls.get()
    shell.host.detach(link, clean=False)
    await gone.cancelled.wait()
    assert not kept.cancelled.is_set()
    shell.host.leave(StopReason.SHUTDOWN)
    await shell.host.finished()


async def test_who_comes_back_in_time_loses_nothing():
    """The timer is called off."""
    shell, link = Shell(resume_s=0.05), Link()
    shell.host.attach(link)
    shell.generate()
    call = await shell.engine.calls.get()
    shell.host.detach(link, clean=False)
    shell.host.attach(link)
    await asyncio.sleep(0.2)
    assert not call.cancelled.is_set()
    shell.host.leave(StopReason.SHUTDOWN)
    await shell.host.finished()


async def test_a_session_is_over_once_nothing_is_left_of_it():
    """When its last result is forgotten, for instance, and nobody is there."""
    shell, link = Shell(resume_s=0, result_ttl_s=0.2), Link()
    shell.host.attach(link)
    await shell.complete()
    shell.sent()
    shell.host.detach(link, clean=True)
    assert not shell.over.is_set()
    async with asyncio.timeout(10):
        await shell.over.wait()


async def test_results_of_a_client_that_stays_are_forgotten_as_well():
    """Its session goes on."""
    shell, link = Shell(result_ttl_s=0.1), Link()
    shell.host.attach(link)
    await shell.complete()
    shell.sent()
    async with asyncio.timeout(10):
        await until(lambda: shell.host.session.vacant)
    assert not shell.over.is_set()
    shell.host.abandon()


async def test_an_abandoned_session_keeps_nothing():
    """Its jobs are stopped, also one that takes its time."""
    shell = Shell()
    shell.engine._slow_to_stop = True
    link = Link()
    shell.host.attach(link)
    shell.generate()
    call = await shell.engine.calls.get()
    shell.host.detach(link, clean=False)
    shell.host.abandon()
    await call.cancelled.wait()
    call.end(EndReason.CANCELLED)
    await shell.host.finished()
    assert (shell.admission.live, shell.host.session.log.size) == (0, 0)
    assert not shell.over.is_set()


@pytest.mark.parametrize("attached", [True, False])
async def test_a_drain_stops_the_jobs_of_those_who_are_not_there(attached: bool):
    """The others are told, and may let them end."""
    shell, link = Shell(), Link()
    shell.host.attach(link)
    shell.generate(on_disconnect="keep")
    call = await shell.engine.calls.get()
    shell.sent()
    if not attached:
        shell.host.detach(link, clean=False)
    shell.host.drain(TAKEN_OVER, grace_ms=1)
    await asyncio.sleep(0)
    assert call.cancelled.is_set() is not attached
    if attached:
        assert shell.sent()[0]["type"] == "goaway"
    shell.host.leave(StopReason.SHUTDOWN)
    await shell.host.finished()


async def test_messages_that_come_too_fast_are_answered():
    """By the session; nothing is done."""
    shell, link = Shell(), Link()
    shell.host.attach(link)
    assert shell.host.put_off('{"type":"generate","id":"a"}', 0.5) == []
    (answer,) = shell.sent()
    assert answer["error"]["code"] == "rate_limited"
