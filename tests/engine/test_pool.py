"""The engine with real worker processes: started, called, stopped, killed and started again."""

import asyncio
import os
import signal
import time
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
    InvalidItem,
    ModelUnavailable,
    Result,
    WorkerLost,
    circuit,
)

OWN = "tests.engine.own_stages"


def config(factory: str = "countdown", *, stage: str = "countdown", **fields: Any) -> EngineConfig:
    """Serve one stage of one's own, in one process."""
    own = {stage: f"{OWN}:{factory}"}
    return EngineConfig(models={}, own_stages=own, threads=1, niceness=0, **fields)


class Reports:
    """The lines that an engine tells, and a way to wait for as many as a test needs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, text: str) -> None:
        """Take a line."""
        self.lines.append(text)
        self._changed.set()

    async def reach(self, count: int) -> None:
        """Wait for so many lines."""
        while len(self.lines) < count:
            self._changed.clear()
            await self._changed.wait()


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart at once: the pause between two starts is for people's machines."""
    monkeypatch.setattr(circuit, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(circuit, "LONGEST_PAUSE_S", 0.01)


def is_alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def count(engine: Engine, *items: dict, **fields: Any) -> list:
    """Call the stage and return all outcomes."""
    async with engine.call("countdown", items, **fields) as outcomes:
        return [outcome async for outcome in outcomes.outcomes()]


async def test_an_engine_starts_serves_and_ends():
    """Its facts and pids are told while it serves; after `close` the process is gone."""
    reports = Reports()
    engine = Engine(config(options={"countdown": {"x": 1}}))
    assert engine.down == ("device",)
    await engine.start(reports)
    assert engine.down == ()
    pid = engine.pids["device"]
    assert reports.lines == ["building countdown"]
    assert engine.stages == ("countdown",)
    assert engine.facts["countdown"] == {"options": {"x": 1}, "threads": 1}
    assert engine.unavailable("countdown") is None
    result, other = await count(engine, {"n": 1}, {"n": 2})
    assert result == Result(result.call, 0, {"pid": pid})
    assert other.item == 1
    assert pid != os.getpid()
    assert repr(engine) == "<Engine <Place device: up, 0 open>>"
    await engine.close()
    assert engine.pids == {}
    assert not is_alive(pid)


async def test_what_cannot_be_called():
    """A stage that is not served, items that are no JSON, and anything after the close."""
    engine = Engine(config())
    async with engine:
        with pytest.raises(ModelUnavailable, match="has no other model; it serves countdown"):
            engine.call("other", [{}])
        with pytest.raises(TypeError):
            engine.call("countdown", [{"n": object()}])
        assert repr(engine) == "<Engine <Place device: up, 0 open>>"
        assert await count(engine) == []
    with pytest.raises(ModelUnavailable, match="the engine is shut down"):
        engine.call("countdown", [{"n": 1}])


async def test_calls_run_side_by_side_and_leave_alone():
    """One is cancelled, one expires, one raises, one is refused, one runs."""
    async with Engine(config()) as engine:
        endless = engine.call("countdown", [{"n": None}], owner="a")
        assert isinstance(await anext(endless.outcomes()), Delta)
        late = asyncio.create_task(
            count(engine, {"n": None}, owner="b", deadline=time.monotonic() + 0.05)
        )
        raising = asyncio.create_task(count(engine, {"n": 2}, {"raise": 1}, owner="c"))
        refused = asyncio.create_task(count(engine, {}, owner="d"))
        assert isinstance((await count(engine, {"n": 50}))[0], Result)
        await endless.aclose()
        assert endless.end.reason is EndReason.CANCELLED
        assert endless.end.stop_ms is not None
        with pytest.raises(DeadlineExceeded):
            await late
        failed, fine = sorted(await raising, key=lambda one: isinstance(one, Result))
        assert isinstance(failed, Failure)
        assert failed.error == EngineError("the model failed on this input (RuntimeError)")
        assert fine.item == 0
        assert [one.error for one in await refused] == [InvalidItem("empty")]
        assert isinstance((await count(engine, {"n": 1}))[0], Result)


async def test_a_cancelled_caller_returns_when_the_worker_has_left():
    """And the worker serves others."""
    async with Engine(config()) as engine:
        stream = engine.call("countdown", [{"n": None}])

        async def read() -> None:
            async with stream:
                async for _ in stream:
                    reader.cancel()

        reader = asyncio.create_task(read())
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert stream.end.reason is EndReason.CANCELLED
        assert isinstance((await count(engine, {"n": 1}))[0], Result)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("raising", f"the stage {OWN}:raising cannot be built: no such file (ValueError)"),
        ("absent", "has no attribute 'absent' (AttributeError)"),
        ("dying", "the device worker died as it loaded"),
    ],
)
async def test_a_stage_that_cannot_be_built(factory: str, words: str):
    """One sentence says why; nothing is left running, no process and no task."""
    before = asyncio.all_tasks()
    engine = Engine(config(factory))
    with pytest.raises(ModelUnavailable) as caught:
        await engine.start()
    assert words in caught.value.message
    assert engine.pids == {}
    assert asyncio.all_tasks() == before


async def test_one_worker_that_cannot_start_ends_the_others():
    """Also one that would load for ever."""
    before = asyncio.all_tasks()
    own = {"countdown": f"{OWN}:hanging", "entities": f"{OWN}:raising"}
    engine = Engine(EngineConfig(models={}, own_stages=own, threads=1, niceness=0))
    with pytest.raises(ModelUnavailable, match="no such file"):
        await engine.start()
    assert engine.pids == {}
    assert asyncio.all_tasks() == before


async def test_a_killed_worker_is_replaced(quick_restarts: None):
    """Its open calls go on with the next process, each item once; a new one may come meanwhile."""
    async with Engine(config()) as engine:
        pid = engine.pids["device"]
        stream = engine.call("countdown", [{"n": None}, {"n": 1}])
        outcomes = stream.outcomes()
        seen = [await anext(outcomes), await anext(outcomes)]
        assert {type(one) for one in seen} == {Delta, Result}
        os.kill(pid, signal.SIGKILL)
        (result,) = await count(engine, {"n": 1})
        await until_elsewhere(lambda: not engine.down)
        (result,) = await count(engine, {"n": 1})
        assert result.value["pid"] == engine.pids["device"] != pid
        assert stream.end is None
        await stream.aclose()
        assert stream.end.reason is EndReason.CANCELLED
        assert [one async for one in outcomes] == []


@pytest.mark.parametrize("trouble", ["die", "hang"])
async def test_an_item_that_ends_its_worker_twice_fails(trouble: str, quick_restarts: None):
    """It dies, or hangs for `stall_s` and is killed; the engine goes on."""
    async with Engine(config(stall_s=0.4)) as engine:
        (failure,) = await count(engine, {trouble: True})
        words = "the worker died again, with this input alone; it is not run again"
        assert failure.error == EngineError(words)
        assert isinstance((await count(engine, {"n": 1}))[0], Result)


async def test_a_worker_that_cannot_be_started_again_is_tried_until_it_can(
    quick_restarts: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """One start after another, never two at once, and no process of a failed one stays."""
    file, reports = tmp_path / "model", Reports()
    file.touch()
    engine = Engine(config("if_file", options={"countdown": {"file": str(file)}}))
    await engine.start(reports)
    file.unlink()
    os.kill(engine.pids["device"], signal.SIGKILL)
    waiting = asyncio.create_task(count(engine, {"n": 1}))
    await reports.reach(3)
    assert engine.unavailable("countdown") is None
    (failure,) = await waiting
    assert isinstance(failure.error, ModelUnavailable), "it did not wait for ever"
    assert "died too often" in engine.unavailable("countdown")
    file.touch()
    await until_elsewhere(lambda: not engine.down)
    assert engine.unavailable("countdown") is None
    assert isinstance((await count(engine, {"n": 1}))[0], Result)
    deaths, *failed_starts = [record.message for record in caplog.records]
    assert deaths == "the device worker died with 0 items on its device: SIGKILL"
    assert all("the device worker cannot be started again" in one for one in failed_starts)
    assert len(failed_starts) == len(reports.lines) - 2
    await engine.close()


async def test_closing_ends_open_calls(caplog: pytest.LogCaptureFixture):
    """They are lost, with a word why; a planned end is no death in the log."""
    engine = Engine(config())
    await engine.start()
    calls = asyncio.create_task(count(engine, {"n": None}, {"n": None}))
    await asyncio.sleep(0)
    await engine.close()
    assert {one.error for one in await calls if isinstance(one, Failure)} == {
        WorkerLost("the engine was shut down")
    }
    assert caplog.records == []


@pytest.mark.usefixtures("quick_restarts")
async def test_replicas_share_the_calls_and_survive_the_death_of_one():
    """Calls go to the worker with the fewest open; none is lost with the one that dies."""
    async with Engine(config(replicas=2)) as engine:
        assert engine.pids.keys() == {"device", "device-2"}
        endless = [engine.call("countdown", [{"n": None}]) for _ in range(4)]
        for stream in endless:
            await anext(aiter(stream))
        os.kill(engine.pids["device"], signal.SIGKILL)
        short = [engine.call("countdown", [{"n": 2}]) for _ in range(4)]
        pids = {result.value["pid"] for stream in short async for result in stream.results()}
        assert engine.pids["device-2"] in pids
        for stream in endless:
            await stream.aclose()
        assert {stream.end.reason for stream in endless if stream.end} == {EndReason.CANCELLED}


# --- probes ---------------------------------------------------------------------------------------


async def test_a_probe_is_an_item_of_the_workers_own():
    """What comes of it moves `worked_at`, as all work does."""
    async with Engine(config("cheerful", stage="sentiment")) as engine:
        before = engine.workers["device"].worked_at
        assert before <= time.monotonic()
        stream = engine.probe("device", time.monotonic() + 60)
        assert stream is not None
        assert (stream.call.stage, stream.call.priority) == ("sentiment", 9)
        async with stream:
            result = await anext(stream.outcomes())
        assert isinstance(result, Result)
        assert result.value["sentiment"] == "POSITIVE"
        assert engine.workers["device"].worked_at > before


async def test_a_worker_whose_stages_have_no_item_cannot_be_probed():
    """Stages of one's own need not have one."""
    async with Engine(config()) as engine:
        assert engine.probe("device", time.monotonic() + 60) is None


async def test_a_failure_is_no_work():
    """A worker whose model fails on everything proves nothing."""
    async with Engine(config("cheerful", stage="sentiment")) as engine:
        before = engine.workers["device"].worked_at
        async with engine.call("sentiment", [{"no": "text"}]) as stream:
            assert isinstance(await anext(stream.outcomes()), Failure)
        assert engine.workers["device"].worked_at == before
