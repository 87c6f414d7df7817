"""What holds after every row of the fault matrix, as a place to play the row in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from tests.fakes import FakeEngine, fake_server, plausible
from tests.waiting import until
from tests.wire import connected
from wsproc.engine import Engine
from wsproc.server import Server

House: TypeAlias = Callable[..., AbstractAsyncContextManager[Server]]

TEXT = "The food was lovely, the bill was not."


@pytest.fixture
def house(caplog: pytest.LogCaptureFixture) -> House:
    """Return what opens a server to play a row against.

    It is used as `async with house(engine, **settings) as server`. Behind the block the invariant
    of every row is checked: no job is live or waits, every socket and every call of the engine has
    gone, so have the tasks, a fresh job is answered, and nothing was logged as an error but what
    begins with one of `errors`.
    """

    @asynccontextmanager
    async def opened(
        engine: FakeEngine | None = None,
        *,
        server: Server | None = None,
        errors: tuple[str, ...] = (),
        **settings: Any,
    ) -> AsyncIterator[Server]:
        engine = engine or FakeEngine(answers=plausible)
        async with server or fake_server(engine, **settings) as running:
            tasks = len(asyncio.all_tasks())
            yield running
            await recovered(running, tasks)
        records = [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR]
        assert [one for one in records if not one.getMessage().startswith(errors or ("\0",))] == []

    return opened


async def recovered(server: Server, tasks: int) -> None:
    """Wait until nothing is left of what was asked of a server, then ask it for a fresh job."""
    await until(lambda: server.admission.live == 0)
    assert server.admission.waiting == 0
    await until(lambda: len(server.gate) == 0)
    await until(lambda: not server._connections)
    await until(lambda: _open_calls(server.engine) == 0)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    if isinstance(server.engine, FakeEngine):
        server.engine.answers = plausible
    async with connected(server) as wire:
        await wire.send(type="process", id="fresh", text=TEXT, include_summary=False)
        done = await wire.next("done")
        assert (done["status"], done["result"]["failed_stages"]) == ("completed", [])
    assert server.admission.live == 0


def _open_calls(engine: Engine | FakeEngine) -> int:
    if isinstance(engine, FakeEngine):
        return len(engine.open_calls)
    return sum(worker.calls for worker in engine.workers.values())
