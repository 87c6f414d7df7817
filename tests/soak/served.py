"""A server process for the rows of the fault matrix: real workers, stages without a model.

Run as `python -m tests.soak.served JSON`, where the JSON has the server's `settings`, the stages'
`options`, and `files`, a limit of open files. It tells its port in one line of JSON, and its state
in another one for each line that it is given; at the end of its standard input it is gone, so that
nothing is left of it when its test dies. Signals do what they do to `wsproc serve`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sys
import threading
import time
from typing import Any

from wsproc.cli.open_files import allow_files
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig
from wsproc.engine.heap import freeze_heap
from wsproc.server import Server

OWN = {
    "sentiment": "tests.engine.own_stages:cheerful",
    "generation": "tests.engine.own_stages:draw",
}
SAMPLE_S = 0.01


class Errors(logging.Handler):
    """Keeps the first lines of the log that are errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        if len(self.lines) < 20:
            self.lines.append(self.format(record)[:2000])


class Lag:
    """How late a timer of 10 ms is, since the last time that somebody asked."""

    def __init__(self) -> None:
        self.samples: list[float] = []

    async def watch(self) -> None:
        """Sample for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            self.samples.append(loop.time() - due)

    def take(self) -> dict[str, float]:
        """Return the 99th percentile and the longest, in seconds, and begin again."""
        samples, self.samples = sorted(self.samples), []
        if not samples:
            return {"p99": 0.0, "max": 0.0}
        return {"p99": samples[int(0.99 * (len(samples) - 1))], "max": samples[-1]}


def memory() -> int:
    """Return the resident bytes of this process."""
    pages = int(open("/proc/self/statm").read().split()[1])  # noqa: SIM115 - gone in this line
    return pages * resource.getpagesize()


def state(server: Server, errors: Errors, lag: Lag) -> dict[str, Any]:
    """Return what the rows' invariant is about, and what they measure."""
    return {
        "live": server.admission.live,
        "waiting": server.admission.waiting,
        "sockets": len(server.gate),
        "sessions": len(server.lobby.sessions),
        "detached": server.lobby.sessions.detached,
        "calls": sum(worker.calls for worker in server.engine.workers.values()),
        "deaths": sum(worker.deaths for worker in server.engine.workers.values()),
        "down": list(server.engine.down),
        "workers": server.engine.pids,
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "memory": memory(),
        "cpu_s": time.process_time(),
        "lag": lag.take(),
        "errors": errors.lines,
    }


def listen(report: Any) -> None:
    """Answer lines, on a thread of its own; end everything with the input."""
    for _ in sys.stdin:
        report()
    os._exit(3)


async def main() -> None:
    """Serve until a signal."""
    wanted = json.loads(sys.argv[1])
    errors, lag = Errors(), Lag()
    logging.getLogger().addHandler(errors)
    engine = {"models": {}, "own_stages": OWN, "threads": 1, "niceness": 0}
    engine |= {"options": wanted.get("options", {}), **wanted.get("engine", {})}
    settings = {"port": 0, "messages_per_s": 0, **wanted.get("settings", {})}
    config = ServerConfig(engine=EngineConfig(**engine), **settings)
    if "files" in wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted["files"], wanted["files"]))
    allow_files(config.max_connections)
    server = Server(config)
    await server.start()
    freeze_heap()  # as `wsproc serve` does
    loop = asyncio.get_running_loop()
    watching = asyncio.create_task(lag.watch())
    running = asyncio.create_task(server.run_until_signal())
    await asyncio.sleep(0)  # it listens to signals now

    def report() -> None:
        print(json.dumps(state(server, errors, lag)), flush=True)

    asking = threading.Thread(
        target=listen, args=(lambda: loop.call_soon_threadsafe(report),), daemon=True
    )
    asking.start()
    print(json.dumps({"port": server.port}), flush=True)
    await running
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # the thread waits for its input
