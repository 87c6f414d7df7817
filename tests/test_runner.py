"""A connection's jobs at run time, with no writer: the outbox is full when the test says so."""

import asyncio
import json

from tests.fakes import FakeEngine
from tests.session.test_session import LIMITS
from wsproc.admission import Admission
from wsproc.engine import EndReason
from wsproc.frames.client import TASKS
from wsproc.room import Room
from wsproc.runner import Runner
from wsproc.session import Offer, Session, Start, Stop
from wsproc.tasks import default_registry


class Shell:
    """A session and its runner, and what a connection would do with them."""

    def __init__(self, engine: FakeEngine) -> None:
        offer = Offer("1.2.3", "epoch", TASKS, LIMITS, heartbeat_s=15)
        self.session = Session("secret", offer, Admission(9))
        self.room = Room()
        self.woken = asyncio.Event()
        self.runner = Runner(
            self.session, engine, default_registry(), wake=self.woken.set, room=self.room
        )

    def receive(self, **frame) -> None:
        """Hand a frame in and carry out what follows from it."""
        loop = asyncio.get_running_loop()
        for action in self.session.receive(json.dumps(frame), loop.time()):
            assert isinstance(action, Start | Stop)
            self.runner.carry_out(action)

    def sent(self) -> list[dict]:
        """Take all that waits."""
        return [json.loads(one) for one in iter(self.session.next_message, None)]


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_full_outbox_pauses_the_producer_until_there_is_room():
    """What it made is kept, what it would make is not made; nothing is lost."""
    engine = FakeEngine()
    shell = Shell(engine)
    shell.receive(type="generate", id="a", prompt="x", max_tokens=5)
    shell.session.outbox.limit = 1
    await _settle()
    assert [frame["type"] for frame in shell.sent()] == ["accepted", "status"]
    shell.room.free()
    call = await engine.calls.get()
    for text in ("one ", "two ", "three"):
        call.delta(text=text)
    await _settle()
    assert [frame["text"] for frame in shell.sent()] == ["one "]
    shell.room.free()
    await _settle()
    assert [frame["text"] for frame in shell.sent()] == ["two "]


async def test_a_job_that_waits_for_room_is_stopped_like_any_other():
    """`done` comes when the engine has left its calls, and not before."""
    engine = FakeEngine(slow_to_stop=True)
    shell = Shell(engine)
    shell.receive(type="process", id="a", text="a text that is long enough", include_summary=False)
    call = await engine.calls.get()
    await _settle()
    shell.session.outbox.limit = 1
    call.result(sentiment="NEUTRAL", confidence=0.5)
    await _settle()
    shell.session.outbox.limit = 10**6
    shell.receive(type="cancel", id="a")
    await call.cancelled.wait()
    await _settle()
    assert all(frame["type"] != "done" for frame in shell.sent())
    call.end(EndReason.CANCELLED)
    await shell.runner.finished()
    (done,) = shell.sent()
    assert (done["type"], done["status"]) == ("done", "cancelled")
    assert done["timing_ms"]["stop"] > 0
    assert done["partial_result"]["sentiment"]["chunk_sentiments"][0]["chunk"] == 1


async def test_a_job_that_is_stopped_before_its_first_line_has_its_end():
    """A task that never ran tells nobody anything by itself."""
    shell = Shell(FakeEngine())
    shell.receive(type="generate", id="a", prompt="x", max_tokens=5)
    shell.receive(type="cancel", id="a")
    await shell.runner.finished()
    kinds = [frame["type"] for frame in shell.sent()]
    assert kinds == ["accepted", "reply", "done"]
    assert shell.session.live_jobs == 0


async def test_nothing_to_wait_for_is_no_wait():
    """`finished` returns at once without jobs."""
    await Shell(FakeEngine()).runner.finished()
