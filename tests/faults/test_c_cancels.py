"""Rows C of the fault matrix: cancels and departures at every moment of a job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_faults import Gate
from tests.fakes import FakeCall, FakeEngine, plausible
from tests.faults.conftest import House
from tests.raw import Raw, raw
from tests.waiting import until
from tests.wire import Wire, connected
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig
from wsproc.events import Event, JobAccepted, JobEnded
from wsproc.server import Server

PROMPT = {"type": "generate", "prompt": "x"}
TURNS = 40
"""More turns of the loop than a job of the played engine takes from its submit to its end."""


@pytest.mark.parametrize("way", ["cancel", "reset", "leave"])
async def test_a_departure_at_every_turn_of_a_submit(house: House, way: str):
    """Row C2: a cancel, a lost connection or a close after any number of the server's turns leaves
    no job, no call and no task, whether the engine had the job already or not.
    """
    engine = FakeEngine(answers=_in_steps)
    events: list[Event] = []
    async with house(engine, resume_s=0, result_ttl_s=0, readers=(events.append,)) as server:
        for turns in range(TURNS):
            one = await raw(server.port)
            await one.receive()
            one.send(**PROMPT, id="a")
            while turns and _told(events, JobAccepted) == _told(events, JobEnded):  # noqa: ASYNC110  # turns count
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            if way == "cancel":
                await _cancel(one)
            (one.reset if way == "reset" else one.leave)()
            await until(lambda: len(server.gate) == 0)
            await until(lambda: server.admission.live == 0 and not engine.open_calls)
            events.clear()


def _told(events: list[Event], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in events)


async def _cancel(one: Raw) -> None:
    """Cancel the job, and read on to its one end and to the answer."""
    one.send(type="cancel", id="a")
    one.send(type="ping")
    kinds: list[str] = []
    while {"done", "pong"} - set(kinds):
        kinds.append((await one.receive())["type"])
    assert kinds.count("done") == kinds.count("reply") == 1


def _in_steps(call: FakeCall) -> None:
    """Answer within some turns of the loop, not within the call."""
    loop = asyncio.get_running_loop()

    def step(left: int) -> None:
        if call.stream.end is not None:
            return
        if left:
            call.delta(text=" word")
            loop.call_soon(step, left - 1)
        else:
            usage = {"prompt_tokens": 1, "completion_tokens": 5}
            call.result(text=" word" * 5, finish_reason="eos", **usage)
            call.end()

    loop.call_soon(step, 5)


async def test_a_cancel_reaches_ones_own_jobs_alone(house: House):
    """Row C3: another connection's job of the same id, and all of its jobs at `*`, go on."""
    engine = FakeEngine()
    async with house(engine) as server, connected(server) as mine, connected(server) as other:
        await other.send(**PROMPT, id="theirs")
        call = await engine.calls.get()
        for wanted in ("theirs", "*", "nobody"):
            await mine.send(type="cancel", id=wanted)
            reply = await mine.next("reply", op="cancel")
            assert reply["outcome"] in ("unknown", "done")
            assert "ids" not in reply or reply["ids"] == []
        assert not call.cancelled.is_set()
        plausible(call)
        assert (await other.next("done"))["status"] == "completed"


async def test_an_id_again_when_nothing_of_it_is_left(house: House):
    """Row C4: while its result is kept another job is a conflict; then the id is free."""
    engine = FakeEngine(answers=plausible)
    async with house(engine, result_ttl_s=1) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="a", seed=1)
        await wire.next("done")
        answer, tries = {"type": "rejected"}, 0
        while answer["type"] == "rejected":
            await wire.send(**PROMPT, id="a", seed=2)
            answer = await wire.receive()
            tries += answer["type"] == "rejected"
            assert answer["type"] == "accepted" or answer["error"]["code"] == "id_conflict"
            await asyncio.sleep(0.01)
        assert tries > 0
        assert (await wire.next("done"))["status"] == "completed"


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_five_hundred_queued_jobs_of_one_that_leaves(house: House, tmp_path: Path, how: str):
    """Row C6: they wait behind one step of the worker, which then computes nothing of them but what
    goes on the device before it has read that they left, and goes on.
    """
    gate = Gate(tmp_path / "gate")
    options = {"generation": {"gate": gate.path, "step_s": 0.005}}
    own = {
        "sentiment": "tests.engine.own_stages:cheerful",
        "generation": "tests.engine.own_stages:draw",
    }
    engine = EngineConfig(models={}, own_stages=own, threads=1, niceness=0, options=options)
    limits = {"max_jobs_per_connection": 1000, "messages_per_s": 0}
    server = Server(ServerConfig(port=0, engine=engine, probe_s=0, **limits))
    async with house(server=server), connected(server) as neighbour:
        gate.shut()
        await neighbour.send(**PROMPT, id="n", max_tokens=6)
        async with gate.reached():
            await _leave_with_many(server, how)
            for _ in range(3):  # turns of the server, in which the worker is told
                await neighbour.send(type="ping")
                await neighbour.next("pong")
        done = await neighbour.next("done")
        assert (done["status"], done["usage"]["completion_tokens"]) == ("completed", 6)
        await until(lambda: server.admission.live == 0)
        await neighbour.send(**PROMPT, id="m", max_tokens=1)
        await neighbour.next("done", id="m")
        await until(lambda: _rows(server) > 0)
        assert _rows(server) < 10 * ROWS


ROWS = 16
"""Of one step of `own_stages.draw`."""


def _rows(server: Server) -> int:
    tally = server.engine.tally.get("generation")
    return 0 if tally is None else tally.rows


async def _leave_with_many(server: Server, how: str) -> None:
    async with connected(server) as wire:
        for number in range(500):
            await wire.send(**PROMPT, id=f"q{number}", max_tokens=50)
        await wire.next("accepted", id="q499")
        assert server.admission.live == 501
        if how == "cancel":
            await wire.send(type="cancel", id="*")
            await wire.next("reply", id="*", outcome="cancelling")
        await wire.socket.close()
    await until(lambda: server.admission.waiting == 0)


async def test_the_same_storm_in_small(house: House):
    """Row C1: a hundred jobs, cancelled in one burst, three times: one end for each; the soak's is
    a thousand, fifty times.
    """
    engine = FakeEngine()
    async with house(engine, messages_per_s=0) as server, connected(server) as wire:
        for storm in range(3):
            for number in range(100):
                await wire.send(**PROMPT, id=f"{storm}.{number}")
            for number in range(100):
                await wire.send(type="cancel", id=f"{storm}.{number}")
            ends = await _ends(wire, 100)
            assert {end["status"] for end in ends} == {"cancelled"}
            assert {end["id"] for end in ends} == {f"{storm}.{number}" for number in range(100)}
            assert server.admission.live == 0


async def _ends(wire: Wire, count: int) -> list[dict[str, Any]]:
    return [await wire.next("done") for _ in range(count)]
