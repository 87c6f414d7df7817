"""Row E2: workers that are killed again and again, at the pace that people's machines have."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request

from tests.soak.process import Process, served
from tests.soak.row import Row


async def killed(times: int) -> Row:
    """Row E2: kill -9 of the worker whenever it serves again; then it recovers by itself."""
    row = Row(
        "E2",
        f"kill -9 of the worker, {times} times, each when it serves again",
        "pauses grow; from the fifth death within a minute /healthz is 503; it recovers by itself",
    )
    pauses: list[float] = []
    unwell = 0
    async with served() as server:
        for _ in range(times):
            state = await server.until(lambda now: now["down"] == [])
            deaths = state["deaths"]
            os.kill(state["workers"]["device"], signal.SIGKILL)
            began = time.monotonic()
            await server.until(lambda now, deaths=deaths: now["deaths"] > deaths)
            unwell += await _health(server) == 503
            await server.until(lambda now: now["down"] == [])
            pauses.append(time.monotonic() - began)
        well = await _health(server)
        await server.settle("the device worker died", "the engine is not healthy")
    row.told = {"pauses s": pauses, "503 while down": unwell, "/healthz in the end": well}
    row.in_time(max(pauses) > 2 * pauses[0], "the pauses did not grow")
    row.check(times < 5 or unwell > 0, "/healthz was never 503")
    row.check(well == 200, f"/healthz in the end is {well}")
    return row


async def _health(server: Process) -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz") as answer:
                json.load(answer)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    return await asyncio.to_thread(ask)
