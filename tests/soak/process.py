"""A server process in the hands of a row, and what must hold behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.wire import Wire

ROOT = Path(__file__).parent.parent.parent
START_S = 60.0
SETTLE_S = 60.0
TEXT = "The food was lovely, the bill was not."


class Process:
    """One server process; see `served.py` for what it is told and tells."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.tasks = 0

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"ws://127.0.0.1:{self.port}/"

    async def state(self) -> dict[str, Any]:
        """Ask the process for its state."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await _line(self.process)

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask again and again until something is so; return that state."""
        async with asyncio.timeout(SETTLE_S):
            while not true(state := await self.state()):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
        return state

    def signal(self, sign: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(sign)

    async def ended(self) -> int:
        """Wait for its end and return its status."""
        async with asyncio.timeout(SETTLE_S):
            return await self.process.wait()

    async def settle(self, *errors: str) -> dict[str, Any]:
        """Wait until nothing is left of what was asked of it, then ask it for a fresh job.

        Raises AssertionError where an error was logged that begins with none of `errors`,
        TimeoutError where something stays.
        """
        state = await self.until(
            lambda now: (
                not any(now[name] for name in ("live", "waiting", "sockets", "calls"))
                and now["tasks"] <= self.tasks
            )
        )
        logged = [line for line in state["errors"] if not line.startswith(errors or ("\0",))]
        assert logged == [], "\n".join(logged)
        async with connect(self.url) as socket:
            wire = Wire(socket)
            await wire.send(type="process", id="fresh", text=TEXT, include_summary=False)
            done = await wire.next("done")
            assert (done["status"], done["result"]["failed_stages"]) == ("completed", [])
        return state


@asynccontextmanager
async def served(**wanted: Any) -> AsyncIterator[Process]:
    """Run a server process for the length of a block; see `served.py` for what it is told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak.served", json.dumps(wanted)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None,
        limit=1 << 20,
    )
    try:
        async with asyncio.timeout(START_S):
            told = await _line(process)
        server = Process(process, told["port"])
        server.tasks = (await server.state())["tasks"]
        yield server
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"the server process ended with {await process.wait()}")
    state: dict[str, Any] = json.loads(line)
    return state
