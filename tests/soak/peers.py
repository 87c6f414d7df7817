"""Rows B1, B2 and B3: peers that read nothing, are stopped, or are behind a dead line."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect

from tests.soak.process import ROOT, TEXT, Process, served
from tests.soak.row import Row, quantile
from tests.wire import Wire
from wsproc.guarded import PARTING_S
from wsproc.listening import PING_S, PONG_S

MIB = 1 << 20
ENDLESS = {"type": "generate", "prompt": "x", "max_tokens": 1_000_000}
IDLE_S = PING_S + PONG_S + PARTING_S
"""Every 20 s a ping, 20 s to answer it, two to read why this is the end."""

LINES = itertools.count()

USER_TIMEOUT_S = 20
"""What `server.TCP_USER_TIMEOUT_MS` gives a line on which nothing is acknowledged."""

FILL_S = 5.0
"""What sixteen generations take to fill the kernel's buffers, and the last two seconds of a close:
the time of a stalled peer runs from the last byte that the kernel took."""

QUICK = {"generation": {"rows": 64, "step_s": 0.002}}
PAUSE_S = 0.05

KEPT = 1 << 16
"""Bytes of the outbox and of the replay log."""

STEP_S, WIDTH = 0.05, 2000
"""Of the stalled readers' generations: long words, that the kernel's buffers are soon full."""


CROWD = """
import asyncio, json, sys
from tests.raw import raw
async def main():
    port, count, frame = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    window = None if sys.argv[4] == "read" else 4096
    peers = [await raw(port, window=window) for _ in range(count)]
    for one in peers:
        one.send(**frame)
    print("ready", flush=True)
    if sys.argv[4] == "read":
        await asyncio.gather(*(read(one) for one in peers))
    await asyncio.Event().wait()
async def read(one):
    while True:
        await one.frame()
asyncio.run(main())
"""


async def slow_readers(slow: int, healthy: int, send_timeout_s: float, timed_s: float = 5.0) -> Row:
    """Row B1: so many readers that stop beside healthy ones. These are timed alone, beside as many
    that read the same, so that the device has the same to do, and beside those that stop.
    """
    row = Row(
        "B1",
        f"{slow} generations that nobody reads any more, {healthy} healthy clients beside them",
        f"all cut within {send_timeout_s:.0f} + 10 s; memory < four times outboxes and logs, and"
        " three times the text that was written; healthy p99 < 2 times what it is beside as many"
        " generations that are read",
    )
    settings = {
        "send_timeout_s": send_timeout_s,
        "resume_s": 1,
        "outbox_bytes": KEPT,
        "replay_bytes": KEPT,
        "max_tokens": 1_000_000,
    }
    wide = {"generation": {"rows": 128, "step_s": STEP_S, "width": WIDTH}}
    async with served(settings=settings, options=wide) as server:
        await server.settle()  # what the first job takes is nobody's
        alone = await _timed(server, healthy, timed_s)
        async with _crowd(server, slow, "read"):
            beside_readers = await _timed(server, healthy, timed_s)
        before = await server.settle()
        async with _crowd(server, slow, "stop"):
            began, most = time.monotonic(), 0
            during = await _timed(server, healthy, timed_s)
            async with asyncio.timeout(send_timeout_s + 60):
                while (state := await server.state())["sockets"] > 0:
                    most = max(most, state["memory"])
                    await asyncio.sleep(PAUSE_S)
            took = time.monotonic() - began
        await server.settle()
    grown = (most - before["memory"]) / MIB
    text = slow * WIDTH * took / STEP_S
    bound = (slow * 4 * KEPT + 3 * text) / MIB + 32
    p99 = [1000 * quantile(times, 0.99) for times in (alone, beside_readers, during)]
    row.told = {
        "all cut after s": took,
        "memory + MiB": grown,
        "healthy p99 ms alone": p99[0],
        "beside readers": p99[1],
        "beside those that stop": p99[2],
    }
    row.check(grown <= bound, f"{grown:.0f} MiB more, {bound:.0f} are the bound")
    row.in_time(took < send_timeout_s + 10, f"{took:.1f} s")
    row.in_time(p99[2] < 2 * p99[1], f"healthy p99 {p99[2]:.0f} ms")
    return row


@asynccontextmanager
async def _crowd(server: Process, count: int, kind: str) -> AsyncIterator[None]:
    """Run clients with a generation each that all `read`, or all `stop`."""
    command = [str(server.port), str(count), json.dumps(ENDLESS), kind]
    async with _client(CROWD, *command):
        yield


async def _timed(server: Process, clients: int, seconds: float) -> list[float]:
    """Run short jobs one after the other on so many connections; return how long each took."""
    times: list[float] = []

    async def client() -> None:
        async with connect(server.url) as socket:
            wire = Wire(socket)
            until = time.monotonic() + seconds
            number = 0
            while (at := time.monotonic()) < until:
                number += 1
                await wire.send(type="process", id=f"h{number}", text=TEXT, include_summary=False)
                await wire.next("done")
                times.append(time.monotonic() - at)
                await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(client() for _ in range(clients)))
    return times


# --- peers that are stopped, or behind a dead line ------------------------------------------------

PEER = """
import asyncio, sys
from tests.raw import raw
async def main():
    one = await raw(int(sys.argv[2]), host=sys.argv[1], window=4096)
    await one.receive()
    if sys.argv[3] == "streaming":
        for _ in range(16):
            one.send(type="generate", prompt="x", max_tokens=1000000)
            await one.receive()
    print("ready", flush=True)
    while True:
        await one.frame()
asyncio.run(main())
"""


@asynccontextmanager
async def _client(
    code: str, *words: str, prefix: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a client process up to where it says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-c", code, *words),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _gone_after(server: Process, limit_s: float) -> float:
    """Return after how many seconds the server has no socket left; infinity beyond the limit."""
    began = time.monotonic()
    while (await server.state())["sockets"] > 0:
        if time.monotonic() - began > limit_s:
            return float("inf")
        await asyncio.sleep(PAUSE_S)
    return time.monotonic() - began


async def stopped(kind: str, send_timeout_s: float = 15.0) -> Row:
    """Row B2: a client process that is stopped (SIGSTOP), while it idles or streams."""
    limit_s = IDLE_S + 2.0 if kind == "idle" else send_timeout_s + FILL_S
    row = Row("B2", f"SIGSTOP of a client that is {kind}", f"let go within {limit_s:.0f} s")
    settings = {"send_timeout_s": send_timeout_s, "resume_s": 0, "max_tokens": 1_000_000}
    async with served(settings=settings, options=QUICK) as server:
        async with _client(PEER, "127.0.0.1", str(server.port), kind) as peer:
            peer.send_signal(signal.SIGSTOP)
            took = await _gone_after(server, limit_s + 20)
        await server.settle()
    return _let_go(row, took, limit_s)


def _let_go(row: Row, took: float, limit_s: float) -> Row:
    """Tell in a row after how many seconds a peer was let go, and judge that."""
    row.told = {"s": took}
    row.check(took < float("inf"), "it stayed")
    row.in_time(took <= limit_s, f"{took:.1f} s")
    return row


def may_make_namespaces() -> str | None:
    """Return why this process cannot make a network of its own, None where it can."""
    if os.geteuid() != 0:
        return "only root may make a network namespace"
    if shutil.which("ip") is None:
        return "there is no `ip` command"
    name = f"wsproc-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        return "this machine lets nobody make a network namespace"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None


@asynccontextmanager
async def _line() -> AsyncIterator[tuple[str, str, str]]:
    """Make a namespace that is joined by one line; yield its name, the name of the line there, and
    the address on our side.
    """
    tag = (os.getpid() + 5000 * next(LINES)) % 10_000
    name, ours, theirs = f"wsproc-{tag}", f"wsa{tag}", f"wsb{tag}"
    net = f"10.{200 + tag % 50}.{tag // 50 % 250}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("addr", "add", f"{net}.1/24", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", name, "addr", "add", f"{net}.2/24", "dev", theirs)
        _ip("-n", name, "link", "set", theirs, "up")
        yield name, theirs, f"{net}.1"
    finally:
        _ip("link", "del", ours, may_fail=True)
        _ip("netns", "del", name, may_fail=True)


def _ip(*words: str, may_fail: bool = False) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


async def half_open(kind: str, send_timeout_s: float = 15.0) -> Row:
    """Row B3: the line goes dead, and no packet tells: half-open TCP, in a namespace of its own."""
    limit_s = IDLE_S + 2.0
    if kind == "streaming":
        limit_s = min(send_timeout_s + FILL_S, USER_TIMEOUT_S + 2)
    row = Row("B3", f"a dead line under a client that is {kind}", f"let go within {limit_s:.0f} s")
    reason = may_make_namespaces()
    if reason is not None:
        row.told = {"skipped": reason}
        return row
    settings = {"send_timeout_s": send_timeout_s, "resume_s": 0, "max_tokens": 1_000_000}
    async with _line() as (name, line, address):
        bound = {"host": "0.0.0.0"}
        async with served(settings=settings | bound, options=QUICK) as server:
            prefix = ("ip", "netns", "exec", name)
            async with _client(PEER, address, str(server.port), kind, prefix=prefix):
                _ip("-n", name, "link", "set", line, "down")
                took = await _gone_after(server, limit_s + 20)
            await server.settle()
    return _let_go(row, took, limit_s)
