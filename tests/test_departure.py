"""How a server goes away: what may end, what is stopped, and that nothing holds it up."""

import asyncio
import os
import signal

import pytest
from websockets.asyncio.client import connect

from tests.fakes import FakeCall, FakeEngine, fake_server, plausible, serving
from tests.raw import raw_connection, send_raw
from tests.waiting import until
from tests.wire import PROMPT, connected
from wsproc.engine import EndReason, WorkerState
from wsproc.server import Server


async def test_a_job_that_ends_in_time_is_not_stopped():
    """Its client has the whole result; one without a job is closed at once."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as idle, connected(server) as busy:
        await busy.send(**PROMPT, id="a")
        call = await engine.calls.get()
        closing = asyncio.create_task(server.close())
        assert (await idle.next("goaway"))["grace_ms"] == 5000
        assert await idle.closed() == 1012
        assert not closing.done()
        call.finish("all of it")
        assert (await busy.next("done"))["result"]["text"] == "all of it"
        assert await busy.closed() == 1012
        await closing


async def test_what_does_not_end_in_time_is_stopped_and_told():
    """With what was made until then."""
    engine = FakeEngine()
    async with serving(engine, drain_s=0.1) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="a")
        (await engine.calls.get()).delta(text="a part")
        closing = asyncio.create_task(server.close())
        done = await wire.next("done")
        assert (done["status"], done["reason"]) == ("cancelled", "shutdown")
        assert done["partial_result"]["text"] == "a part"
        assert await wire.closed() == 1012
        await closing


class SlowToClose(FakeEngine):
    """An engine that refuses work while its workers end, as a real one does."""

    async def close(self) -> None:
        """Refuse at once, and take a while."""
        self.workers = {"fake": WorkerState(False, 0, 0, refuses="the engine is shut down")}
        await asyncio.sleep(0.1)  # what must not happen meanwhile has no event to wait for
        await super().close()


async def test_a_shutdown_is_no_sickness(caplog: pytest.LogCaptureFixture):
    """Whoever is woken by errors in a log is not woken by it."""
    async with serving(SlowToClose(), probe_s=0.04) as server:
        await server.close()
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


async def test_jobs_of_clients_that_are_gone_are_stopped_at_once():
    """Nobody could come back for them, and a job of somebody who is there may need the device."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as stays:
        async with connected(server) as gone:
            await gone.send(**PROMPT, id="a", on_disconnect="keep")
            call = await engine.calls.get()
            gone.lose()
        await until(lambda: server.lobby.sessions.detached > 0)
        await stays.send(**PROMPT, id="b")
        other = await engine.calls.get()
        closing = asyncio.create_task(server.close())
        await call.cancelled.wait()
        assert not other.cancelled.is_set()
        other.finish("text")
        await stays.next("done")
        await closing


async def test_readers_that_stall_hold_nothing_up(caplog: pytest.LogCaptureFixture):
    """Whatever waits for them, the server is gone after `drain_s` and `grace_s`."""
    engine = FakeEngine()
    async with serving(engine, drain_s=0.1, grace_s=0.2) as server, connected(server) as wire:
        _, writer = await raw_connection(server)
        send_raw(writer, {**PROMPT, "id": "a"})
        call = await engine.calls.get()
        for _ in range(100):
            call.delta(text="x" * 10_000)
        await wire.send(**PROMPT, id="b")
        plausible(await engine.calls.get())
        await wire.next("done")
        async with asyncio.timeout(5):
            await server.close()
        assert await wire.closed() == 1012
        assert "1 connections did not close in time" in caplog.text
        writer.transport.abort()


async def test_an_engine_that_hangs_holds_nothing_up():
    """Its workers are killed when no job may need them any more."""

    class Hanging(FakeEngine):
        def __init__(self) -> None:
            super().__init__(slow_to_stop=True)
            self.killed = asyncio.Event()

        async def close(self) -> None:
            await self.killed.wait()
            await super().close()

        def kill(self) -> None:
            self.killed.set()

    engine = Hanging()
    async with serving(engine, drain_s=0.05, grace_s=0.05) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="a")
        await engine.calls.get()
        async with asyncio.timeout(5):
            await server.close()
        assert engine.killed.is_set()
        assert server.admission.live == 0


async def test_the_engine_goes_as_soon_as_no_job_needs_it():
    """Not only when the last connection is closed: both take their time."""
    closed = asyncio.Event()

    class Watched(FakeEngine):
        async def close(self) -> None:
            closed.set()

    engine = Watched()
    async with serving(engine, drain_s=60, grace_s=60) as server:
        _, writer = await raw_connection(server)
        send_raw(writer, {**PROMPT, "id": "a"})
        call = await engine.calls.get()
        call.finish(*["x" * 10_000] * 100)
        closing = asyncio.create_task(server.close())
        await closed.wait()
        assert not closing.done()
        writer.transport.abort()
        await closing


async def test_a_client_that_comes_while_the_server_goes_is_sent_away():
    """One that was about to present a token, and one whose handshake was under way."""
    engine = FakeEngine()
    async with serving(engine, auth={"tokens": {"ada": "a-token"}}) as server:
        async with connect(server.url) as stranger:
            await stranger.recv()
            closing = asyncio.create_task(server.close())
            await stranger.wait_closed()
            assert stranger.close_code == 1012
        await closing


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_waits_for_nothing_but_the_telling(sign: signal.Signals):
    """Neither for jobs nor for clients nor for the engine; each job has its end all the same."""
    engine = FakeEngine(slow_to_stop=True)
    server = fake_server(engine, drain_s=60, grace_s=60)
    async with server, connected(server) as wire:
        running = asyncio.create_task(server.run_until_signal())
        _, stalled = await raw_connection(server)
        send_raw(stalled, {**PROMPT, "id": "s"})
        (await engine.calls.get()).finish(*["x" * 10_000] * 100)
        for job in ("a", "b"):
            await wire.send(**PROMPT, id=job)
            await engine.calls.get()
        os.kill(os.getpid(), sign)
        await wire.next("goaway")
        os.kill(os.getpid(), sign)
        for job in ("a", "b"):
            done = await wire.next("done", id=job)
            assert (done["status"], done["reason"]) == ("cancelled", "shutdown")
        assert await wire.closed() == 1012
        async with asyncio.timeout(5):
            await running
        assert server.admission.live == 0
        stalled.transport.abort()


async def test_two_signals_at_once_are_two():
    """The second is not lost because the first has not been acted upon yet."""
    engine = FakeEngine(slow_to_stop=True)
    server = fake_server(engine, drain_s=60, grace_s=60)
    async with server, connected(server) as wire:
        running = asyncio.create_task(server.run_until_signal())
        await wire.send(**PROMPT, id="a")
        await engine.calls.get()
        for one in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), one)
        assert (await wire.next("done"))["reason"] == "shutdown"
        assert await wire.closed() == 1012
        async with asyncio.timeout(5):
            await running


async def test_no_session_may_be_taken_up_for_a_new_job_while_the_server_goes():
    """What was accepted is known, and nothing new is taken."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire, connected(server) as other:
        await wire.send(**PROMPT, id="a")
        call: FakeCall = await engine.calls.get()
        await other.send(**PROMPT, id="b")
        late: FakeCall = await engine.calls.get()
        closing = asyncio.create_task(server.close())
        await wire.next("goaway")
        await wire.send(**PROMPT, id="a")
        await wire.next("accepted", duplicate=True)
        await wire.send(**PROMPT, id="new")
        assert (await wire.next("rejected"))["error"]["code"] == "draining"
        call.finish("text")
        await wire.next("done")
        late.end(EndReason.CANCELLED)
        await other.closed()
        await closing


async def test_a_server_that_is_gone_is_no_trouble_to_hurry():
    """Neither before it goes nor after."""
    server: Server = fake_server(FakeEngine())
    server.hurry()
    async with server:
        await server.close()
        server.hurry()
        await server.close()
