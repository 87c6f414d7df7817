"""Rows E1 to E9 of the fault matrix, with real worker processes: what goes wrong, who notices."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until_elsewhere
from wsproc.engine import (
    DeadlineExceeded,
    Delta,
    EndReason,
    Engine,
    EngineConfig,
    EngineError,
    Failure,
    ModelUnavailable,
    OutOfMemory,
    Result,
    circuit,
)

OWN = "tests.engine.own_stages"


def config(**fields: Any) -> EngineConfig:
    """Serve the stage `reverse`, in one process; its options are given as `options`."""
    options = {"reverse": fields.pop("options", {})}
    own = {"reverse": f"{OWN}:reverse"}
    return EngineConfig(models={}, own_stages=own, threads=1, niceness=0, options=options, **fields)


@pytest.fixture(autouse=True)
def _quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart at once: the pause between two starts is for people's machines."""
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(circuit, "LONGEST_PAUSE_S", 0.01)


@pytest.fixture
def deaths(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Count the deaths of workers that the engine has told of."""
    return lambda: sum("worker died with" in record.message for record in caplog.records)


class Gate:
    """A FIFO at which a stage waits while it is there; see `own_stages.wait_at`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def shut(self) -> None:
        """Let whoever comes wait."""
        os.mkfifo(self.path)

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[None]:
        """Wait until somebody waits at it; nobody else will, and at the end of the block it opens.

        Whoever waits must not die before that.
        """
        with await asyncio.to_thread(open, self.path, "wb"):
            os.unlink(self.path)
            yield


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that stands open."""
    return Gate(tmp_path / "gate")


async def reverse(engine: Engine, *items: dict, **fields: Any) -> list:
    """Call the stage and return all outcomes, which are right where they are results."""
    async with engine.call("reverse", items, **fields) as stream:
        outcomes = [outcome async for outcome in stream.outcomes()]
    assert stream.end.reason is EndReason.COMPLETED
    over = [one for one in outcomes if not isinstance(one, Delta)]
    assert sorted(one.item for one in over) == list(range(len(items)))
    for one in over:
        item = items[one.item]
        if isinstance(one, Result):
            assert one.value == {"text": item["text"][::-1]}
            deltas = [
                d.value["at"] for d in outcomes if isinstance(d, Delta) and d.item == one.item
            ]
            assert deltas == list(range(1, item.get("steps", 1)))
    return over


def errors(outcomes: list) -> list[EngineError]:
    """Return the errors among outcomes."""
    return [one.error for one in outcomes if isinstance(one, Failure)]


def kill(engine: Engine) -> None:
    """Kill the worker the hard way."""
    os.kill(engine.pids["device"], signal.SIGKILL)


async def test_e1_a_worker_killed_in_mid_batch(gate: Gate, deaths: Callable[[], int]):
    """E1: 200 items of 20 callers are in flight; all results are right and none comes twice.

    Sixteen were on the device, so sixteen are run again in steps of their own; nothing fails.
    """
    gate.shut()
    async with Engine(config()) as engine:
        first = engine.pids["device"]
        items = [{"text": f"text {n}", "steps": 1 + n % 5, "gate": gate.path} for n in range(200)]
        calls = [
            asyncio.create_task(reverse(engine, *items[n : n + 10], owner=str(n % 3)))
            for n in range(0, 200, 10)
        ]
        async with gate.reached():
            kill(engine)
        outcomes = [one for call in calls for one in await call]
        assert len(outcomes) == 200
        assert errors(outcomes) == []
        assert deaths() == 1
        assert engine.pids["device"] != first


async def test_e1_a_death_is_seen_within_50_ms():
    """E1: by the end of its socket, not by the next heartbeat. The best of three."""
    async with Engine(config()) as engine:
        times = []
        for _ in range(3):
            kill(engine)
            at = time.monotonic()
            await until_elsewhere(lambda: engine.down == ("device",))
            times.append(time.monotonic() - at)
            await until_elsewhere(lambda: engine.down == ())
        assert min(times) < 0.05


async def test_e1_what_the_caller_has_is_not_given_again(gate: Gate):
    """E1: the deltas go on behind those that had come; `reverse` checks that none is missing."""
    gate.shut()
    async with Engine(config()) as engine:
        call = asyncio.create_task(reverse(engine, {"text": "abc", "steps": 40, "gate": gate.path}))
        async with gate.reached():
            kill(engine)
        assert errors(await call) == []


async def test_e1_two_kills_from_outside_condemn_nobody(gate: Gate, deaths: Callable[[], int]):
    """E1: 40 callers, sixteen of them on the device, and the worker is killed in mid-batch, and so
    is the next one: whoever was there at both did nothing, and has its answer.
    """
    gate.shut()
    async with Engine(config()) as engine:
        items = [{"text": f"text {n}", "steps": 3, "gate": gate.path} for n in range(40)]
        calls = [asyncio.create_task(reverse(engine, item)) for item in items]
        async with gate.reached():
            kill(engine)
            gate.shut()
        async with gate.reached():
            kill(engine)
        assert [errors(await call) for call in calls] == [[]] * 40
        assert deaths() == 2


async def test_e1_what_can_go_on_is_not_done_again(gate: Gate):
    """E1: a stage whose deltas tell how to go on behind them begins there, in the new worker: what
    it gives need not be what it gave.
    """
    gate.shut()
    own = {"diary": f"{OWN}:diary"}
    async with Engine(EngineConfig(models={}, own_stages=own, threads=1, niceness=0)) as engine:
        first = engine.pids["device"]
        stream = engine.call("diary", [{"words": 5, "gate": gate.path}])
        outcomes = stream.outcomes()
        given = [await anext(outcomes), await anext(outcomes)]
        async with gate.reached():
            kill(engine)
        *others, result = [outcome async for outcome in outcomes]
        second = engine.pids["device"]
        words = [(0, first), (1, first), *((number, second) for number in (2, 3, 4))]
        assert [one.value for one in (*given, *others)] == [
            {"number": number, "pid": pid} for number, pid in words
        ]
        assert result.value == {"written": [list(word) for word in words]}


async def test_e1_a_call_is_cancelled_while_no_worker_serves(gate: Gate):
    """E1: its end comes at once, and no later worker runs it."""
    async with Engine(config(options={"start": gate.path})) as engine:
        gate.shut()
        endless = engine.call("reverse", [{"text": "a", "steps": 10**9}])
        await anext(endless.outcomes())
        kill(engine)
        await until_elsewhere(lambda: engine.down == ("device",))
        waiting = engine.call("reverse", [{"text": "b", "steps": 10**9}])
        for stream in (endless, waiting):
            await stream.aclose()
            assert stream.end.reason is EndReason.CANCELLED
        async with gate.reached():
            pass
        await until_elsewhere(lambda: engine.down == ())
        assert repr(engine) == "<Engine <Place device: up, 0 open>>"
        assert errors(await reverse(engine, {"text": "c"})) == []


async def test_e1_a_deadline_passes_while_no_worker_serves(gate: Gate):
    """E1: the call ends as one whose deadline passed; nobody waits for the next worker."""
    async with Engine(config(options={"start": gate.path})) as engine:
        gate.shut()
        kill(engine)
        await until_elsewhere(lambda: engine.down == ("device",))
        late = engine.call("reverse", [{"text": "a"}], deadline=time.monotonic() + 0.01)
        async with late as outcomes:
            with pytest.raises(DeadlineExceeded):
                await anext(outcomes.outcomes())
        async with gate.reached():
            pass
        await until_elsewhere(lambda: engine.down == ())
        assert repr(engine) == "<Engine <Place device: up, 0 open>>"


async def test_e2_a_worker_that_is_killed_again_and_again():
    """E2: with the fifth death within a minute what waits is answered and nothing more is taken.

    It recovers by itself as soon as a worker serves; the sixth death opens the circuit again.
    """
    async with Engine(config()) as engine:
        for death in range(1, 7):
            waiting = engine.call("reverse", [{"text": "a", "steps": 10**9}])
            await anext(waiting.outcomes())
            kill(engine)
            await until_elsewhere(lambda: engine.down == ("device",))
            if death < circuit.DEATHS:
                assert engine.unavailable("reverse") is None
                await waiting.aclose()
            else:
                words = "the device worker died too often and is being started again"
                assert engine.unavailable("reverse") == words
                with pytest.raises(ModelUnavailable, match=words):
                    engine.call("reverse", [{"text": "a"}])
                with pytest.raises(ModelUnavailable, match=words):
                    await anext(waiting.results())
            await until_elsewhere(lambda: engine.down == ())
            assert engine.unavailable("reverse") is None
            assert errors(await reverse(engine, {"text": "abc"})) == []


async def test_e2_pauses_between_restarts_grow(monkeypatch: pytest.MonkeyPatch):
    """E2: each death doubles the pause before the next start."""
    pauses: list[float] = []
    pause_s = circuit.Circuit.pause_s

    def note(self: circuit.Circuit, now: float) -> float:
        self.jitter.seed(0)
        pauses.append(pause_s(self, now))
        return pauses[-1]

    monkeypatch.setattr(circuit.Circuit, "pause_s", note)
    async with Engine(config()) as engine:
        for _ in range(3):
            kill(engine)
            await until_elsewhere(lambda: engine.down == ("device",))
            await until_elsewhere(lambda: engine.down == ())
    assert [pause / pauses[0] for pause in pauses] == pytest.approx([1, 2, 4])


async def test_e3_a_worker_that_is_stopped(deaths: Callable[[], int]):
    """E3: SIGSTOP: killed `stall_s` (here half a second) later, within a second; its calls, one
    that ran and one that it never read, are answered by the next.
    """
    async with Engine(config(stall_s=0.5)) as engine:
        running = engine.call("reverse", [{"text": "ab", "steps": 10**9}])
        await anext(running.outcomes())
        pid, at = engine.pids["device"], time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(reverse(engine, {"text": "abc", "steps": 3}))
        await until_elsewhere(lambda: engine.down == ("device",))
        assert 0.4 < time.monotonic() - at < 1.5
        assert errors(await waiting) == []
        assert isinstance(await anext(running.outcomes()), Delta)
        await running.aclose()
        assert deaths() == 1


async def test_e3_a_worker_that_is_stopped_again(deaths: Callable[[], int]):
    """E3: who stops a worker twice, with the same item on its device, does not condemn it."""
    async with Engine(config(stall_s=0.5)) as engine:
        running = engine.call("reverse", [{"text": "ab", "steps": 10**9}])
        for _ in range(2):
            await anext(running.outcomes())
            os.kill(engine.pids["device"], signal.SIGSTOP)
            await until_elsewhere(lambda: engine.down == ("device",))
            await until_elsewhere(lambda: engine.down == ())
        async for outcome in running.outcomes():
            if isinstance(outcome, Delta):
                break
        await running.aclose()
        assert running.end.reason is EndReason.CANCELLED
        assert deaths() == 2


async def test_e3_a_worker_that_is_idle_or_slow_is_left_alone(deaths: Callable[[], int]):
    """E3: it answers between two steps, and silence before it is asked counts for nothing."""
    async with Engine(config(stall_s=2)) as engine:
        pid = engine.pids["device"]
        endless = engine.call("reverse", [{"text": "ab", "steps": 10**9}])
        async for outcome in endless.outcomes():
            if time.monotonic() - endless.opened_at > 2.5 and isinstance(outcome, Delta):
                break
        await endless.aclose()
        # Stop the engine, not its worker: as long as a suspended machine, or a debugger, would.
        time.sleep(2.5)  # noqa: ASYNC251
        assert errors(await reverse(engine, {"text": "abc"})) == []
        assert engine.pids["device"] == pid
        assert deaths() == 0


async def test_e4_an_input_that_crashes_the_worker(deaths: Callable[[], int]):
    """E4: os.abort() in a batch of 32: 31 right answers, one engine_error, at most 3 restarts."""
    async with Engine(config(options={"rows": 32})) as engine:
        items = [{"text": f"text {n}"} for n in range(32)]
        items[13]["abort"] = True
        outcomes = await reverse(engine, *items)
        words = "the worker died again, with this input alone; it is not run again"
        (failure,) = [one for one in outcomes if isinstance(one, Failure)]
        assert (failure.item, failure.error) == (13, EngineError(words))
        assert failure.error.code == "engine_error"
        assert deaths() == 2
        assert errors(await reverse(engine, {"text": "abc"})) == []


@pytest.mark.parametrize("poison", [{30}, {3, 30}])
async def test_e4_the_neighbours_are_other_callers(poison: set[int], deaths: Callable[[], int]):
    """E4: 32 callers of one item each; some crash the worker, and the others are right.

    Each of those is known for certain by its second death, so nobody is blamed for another's.
    """
    async with Engine(config(options={"rows": 32})) as engine:
        items = [{"text": f"text {n}", **({"abort": 1} if n in poison else {})} for n in range(32)]
        answers = await asyncio.gather(*(reverse(engine, item) for item in items))
        assert {n for n, answer in enumerate(answers) if errors(answer)} == poison
        assert deaths() <= 2 * len(poison)


async def test_e4_an_input_for_which_the_kernel_kills_the_worker(deaths: Callable[[], int]):
    """E4: as it does for want of memory: 31 right answers, one engine_error, three restarts."""
    async with Engine(config(options={"rows": 32})) as engine:
        items = [{"text": f"text {n}", **({"kill": 1} if n == 13 else {})} for n in range(32)]
        answers = await asyncio.gather(*(reverse(engine, item) for item in items))
        assert {n for n, answer in enumerate(answers) if errors(answer)} == {13}
        assert errors(answers[13])[0].code == "engine_error"
        assert deaths() == 3


async def test_e5_an_exception_in_a_batch(deaths: Callable[[], int]):
    """E5: 31 right answers, one error, no restart."""
    async with Engine(config(options={"rows": 32})) as engine:
        items = [{"text": f"text {n}"} for n in range(32)]
        items[13]["raise"] = True
        error = EngineError("the model failed on this input (RuntimeError)")
        outcomes = await reverse(engine, *items)
        assert {one.item: one.error for one in outcomes if isinstance(one, Failure)} == {13: error}
        assert deaths() == 0


@pytest.mark.parametrize(
    "trouble",
    [{"weigh": "heavy"}, {"weigh": None}, {"weigh": -5}, {"value": "no JSON"}],
    ids=["weighs a word", "weighs nothing", "weighs less than nothing", "value is no JSON"],
)
async def test_e5_a_stage_that_is_wrong_otherwise(trouble: dict, deaths: Callable[[], int]):
    """E5: a weight that is none, a value that cannot travel: no restart, the others are right."""
    async with Engine(config()) as engine:
        items = [{"text": f"text {n}", "steps": 2} for n in range(8)]
        items[3] |= trouble
        failed = errors(await reverse(engine, *items))
        assert [type(error) for error in failed] == [EngineError] * ("value" in trouble)
        assert deaths() == 0


async def test_e6_more_than_fits_the_memory(deaths: Callable[[], int]):
    """E6: MemoryError above eight rows: the batch is halved, all is answered, no restart."""
    async with Engine(config(options={"rows": 32, "fits": 8})) as engine:
        items = [{"text": f"text {n}", "steps": 3} for n in range(50)]
        assert errors(await reverse(engine, *items)) == []
        assert deaths() == 0


async def test_e6_memory_that_is_really_short(deaths: Callable[[], int]):
    """E6: the system has room for twelve rows. What a step held that failed is free again when its
    halves are tried; all is answered, no restart.
    """
    options = {"rows": 32, "row_mb": 64, "room_mb": 800}
    async with Engine(config(options=options)) as engine:
        items = [{"text": f"text {n}", "steps": 3} for n in range(32)]
        assert errors(await reverse(engine, *items)) == []
        assert deaths() == 0


async def test_e6_what_does_not_fit_alone(deaths: Callable[[], int]):
    """E6: it fails as out of memory, with what to do about it."""
    async with Engine(config(options={"fits": 0})) as engine:
        (error,) = errors(await reverse(engine, {"text": "abc"}))
        assert isinstance(error, OutOfMemory)
        assert deaths() == 0


TRAPS = {
    "a million characters": "x" * 1_000_001,
    "backslashes": "\\" * 511,
    "one token, many times": "contact" * 14_000,
    "nothing": "",
    "blanks": " \t\n\u2003" * 100,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 50,
    "right to left": "שלום \u202eעולם\u202c مرحبا",  # noqa: RUF001
    "controls": "a\0b\x1b[31m\x7f",
}


async def test_e7_texts_that_break_models_elsewhere(deaths: Callable[[], int]):
    """E7: each comes through to the stage and back as it is, and nothing restarts.

    What each model makes of them is the stages' own tests'.
    """
    async with Engine(config()) as engine:
        outcomes = await reverse(engine, *({"text": text} for text in TRAPS.values()))
        assert errors(outcomes) == []
        with pytest.raises(TypeError):
            engine.call("reverse", [{"text": "half of a pair: \ud800"}])
        assert errors(await reverse(engine, {"text": "abc"})) == []
        assert deaths() == 0


PARENT = f"""
import asyncio
from wsproc.engine import Engine, EngineConfig
async def main():
    own = {{"countdown": "{OWN}:countdown"}}
    engine = Engine(EngineConfig(models={{}}, own_stages=own, threads=1))
    await engine.start()
    call = engine.call("countdown", [{{"n": None}}])
    await anext(call.outcomes())
    engine.call("countdown", [{{"hang": True}}])
    print(engine.pids["device"], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def runs(pid: int) -> bool:
    """Whether a process is there; one that ended and that nobody has asked about does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_e8_a_worker_dies_with_its_parent():
    """E8: kill -9 of the server, in the middle of a step that never ends: gone within 2 s.

    The worker holds the other end of the pipe that is read here, so that it ends with its last
    holder; a process that ended, and that merely nobody has buried, is gone.
    """
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.kill()
        at = time.monotonic()
        assert parent.stderr.read() == b""
        while runs(pid):  # its pipes are closed a moment before it is gone
            assert time.monotonic() - at < 2


async def test_e9_a_slow_start(gate: Gate):
    """E9: a call that is opened while the worker loads waits, and is served when it is there."""
    gate.shut()
    engine = Engine(config(options={"start": gate.path}))
    starting = asyncio.create_task(engine.start())
    call = asyncio.create_task(reverse(engine, {"text": "abc", "steps": 3}))
    cancelled = engine.call("reverse", [{"text": "never"}])
    async with gate.reached():
        assert engine.down == ("device",)
        assert engine.unavailable("reverse") is None
        await cancelled.aclose()
        assert cancelled.end.reason is EndReason.CANCELLED
        assert not call.done()
    await starting
    assert errors(await call) == []
    await engine.close()


async def test_e9_a_start_that_fails_answers_what_waits():
    """E9: nobody waits for a worker that will not come."""
    engine = Engine(EngineConfig(models={}, own_stages={"reverse": f"{OWN}:raising"}, threads=1))
    call = asyncio.create_task(reverse(engine, {"text": "abc"}))
    with pytest.raises(ModelUnavailable):
        await engine.start()
    (error,) = errors(await call)
    assert error.retryable


async def test_e9_a_restart_is_broken_off_by_a_close(gate: Gate):
    """E9: of a worker that is loading: it is gone, and what waited is answered."""
    engine = Engine(config(options={"start": gate.path}))
    await engine.start()
    gate.shut()
    kill(engine)
    await until_elsewhere(lambda: engine.down == ("device",))
    call = asyncio.create_task(reverse(engine, {"text": "abc"}))
    writer = asyncio.create_task(asyncio.to_thread(open, gate.path, "wb"))
    with await writer:
        pid = engine.pids["device"]
        await engine.close()
    assert not runs(pid)
    assert [type(error).code for error in errors(await call)] == ["lost"]


async def test_e9_a_first_start_is_broken_off_by_a_close(gate: Gate):
    """E9: whoever waits for the start is told, and does not wait as long as loading may take."""
    gate.shut()
    engine = Engine(config(options={"start": gate.path}))
    starting = asyncio.create_task(engine.start())
    async with gate.reached():
        await engine.close()
    with pytest.raises(ModelUnavailable, match="the device worker died as it loaded"):
        await starting
    assert engine.pids == {}
