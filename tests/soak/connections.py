"""Rows A1 and A3: connections that idle in great numbers, and those that come and go."""

from __future__ import annotations

import asyncio
import time

from benchmarks.load import WebSocketWire
from tests.raw import raw
from tests.soak.process import served
from tests.soak.row import Row, quantile

KIB, MIB = 1 << 10, 1 << 20
AT_ONCE = 50


class Idle(WebSocketWire):
    """A connection that answers pings and else does nothing."""

    def on_message(self, payload: bytes) -> None:
        """It is the welcome."""


async def idle(count: int, *, limit_kib: float = 20.0) -> Row:
    """Row A1: so many idle connections; what each costs, and a handshake among them."""
    row = Row("A1", f"{count:,} idle connections", f"<= {limit_kib:.0f} KiB each over the base")
    async with served(settings={"max_connections": count + 100}) as server:
        before = await server.settle()
        wires: list[Idle] = []
        while len(wires) < count:
            some = min(AT_ONCE, count - len(wires))
            wires += await asyncio.gather(*(Idle.connected(server.port) for _ in range(some)))
        full = await server.until(lambda now: now["sockets"] == count)
        each = (full["memory"] - before["memory"]) / count
        times = []
        for _ in range(100):
            at = time.perf_counter()
            wire = await Idle.connected(server.port)
            times.append(1000 * (time.perf_counter() - at))
            wire.transport.abort()
        after = await server.until(lambda now: now["sockets"] == count)
        for wire in wires:
            wire.transport.abort()
        await server.settle()
    row.told = {
        "KiB each": each / KIB,
        "base MiB": before["memory"] / MIB,
        "handshake p50 ms": quantile(times, 0.5),
        "handshake p99 ms": quantile(times, 0.99),
        "left by themselves": count - after["sockets"],
    }
    row.check(each <= limit_kib * KIB, f"{each / KIB:.1f} KiB each")
    return row


async def churn(cycles: int, each: int) -> Row:
    """Row A3: connect, submit, go away abruptly, again and again: memory comes to a plateau."""
    row = Row(
        "A3",
        f"{cycles} times {each} connections, each with a job, that go away abruptly",
        "memory of the last ten rounds within 5 %",
    )
    settings = {"resume_s": 0, "result_ttl_s": 1, "max_detached_sessions": each}
    memory = []
    async with served(settings=settings) as server:
        for _ in range(cycles):
            for _ in range(0, each, AT_ONCE):
                await asyncio.gather(*(_come_and_go(server.port) for _ in range(AT_ONCE)))
            state = await server.until(lambda now: now["sockets"] == 0)
            memory.append(state["memory"] / MIB)
        await server.settle()
    last = memory[-10:]
    row.told = {"first MiB": memory[0], "last ten MiB, least": min(last), "most": max(last)}
    if cycles > 10:
        row.check(max(last) <= 1.05 * min(last), f"{min(last):.1f} to {max(last):.1f} MiB")
    return row


async def _come_and_go(port: int) -> None:
    one = await raw(port)
    one.send(type="generate", prompt="x", max_tokens=3)
    await one.receive()
    one.reset()
