"""Rows D1, D5 and D7: messages that cost memory, time, or sense."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from tests.raw import packed, raw
from tests.soak.fuzz import Fuzz
from tests.soak.process import served
from tests.soak.row import Row

MIB = 1 << 20


async def fuzzed(count: int, seed: int = 2026) -> Row:
    """Row D7: messages that are almost right, over connections that end in every way."""
    row = Row(
        "D7", f"{count:,} fuzzed messages, seed {seed}", "codes of the protocol; no traceback"
    )
    codes: Counter[int] = Counter()
    lanes, each = 4, 200
    settings = {"resume_s": 0, "result_ttl_s": 1, "input_timeout_s": 1}
    async with served(settings=settings) as server:

        async def lane(number: int) -> None:
            fuzz = Fuzz(seed + number)
            while fuzz.sent < count // lanes:
                codes[await fuzz.run(server.port, each)] += 1

        await asyncio.gather(*(lane(number) for number in range(lanes)))
        await server.settle()
    row.told = {f"closed {code}" if code else "left open": n for code, n in sorted(codes.items())}
    row.check(set(codes) <= set(Fuzz.allowed), f"codes {set(codes) - set(Fuzz.allowed)}")
    return row


async def big(count: int) -> Row:
    """Row D1: frames that say they are of 64 MiB, in one and in parts, from many at once."""
    row = Row("D1", f"{count} frames of 64 MiB, declared and in parts", "1009; memory + <= 32 MiB")
    async with served() as server:
        before = await server.settle()
        codes = await asyncio.gather(*(_big(server.port, n % 2 == 0) for n in range(count)))
        after = await server.settle()
    grown = (after["memory"] - before["memory"]) / MIB
    row.told = {"codes": sorted(set(codes)), "memory + MiB": grown}
    row.check(set(codes) == {1009}, f"codes {set(codes)}")
    row.check(grown <= 32, f"{grown:.0f} MiB more")
    return row


async def _big(port: int, whole: bool) -> int:
    one = await raw(port)
    if whole:
        one.write(packed(b"", declared=64 * MIB))
    else:
        one.write(packed(b"x" * 60_000, final=False))
        for _ in range(1100):
            one.write(packed(b"x" * 60_000, opcode=0, final=False))
    code = await one.closed()
    one.leave()
    return code


async def tiny_objects(seconds: float, per_s: int) -> Row:
    """Row D5: messages of the most bytes, full of empty objects, by the clock, from one client
    after the other, against the rates that a server has by default.
    """
    row = Row(
        "D5",
        f"{per_s} messages of 256 KiB of empty objects a second for {seconds:.0f} s",
        "the sender is cut; loop lag p99 < 50 ms",
    )
    body = packed(b"[" + b"{}," * 87_000 + b"{}]")
    cut = 0
    async with served(settings={"messages_per_s": 200}) as server:
        await server.state()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            one = await raw(server.port)
            with suppress(ConnectionError):
                while not one.writer.transport.is_closing() and loop.time() < until:
                    one.write(body)
                    await asyncio.sleep(1 / per_s)
                    if one.writer.transport.get_write_buffer_size() > MIB:
                        break
            code = await one.closed()
            cut += code != 0
            one.leave()
        lag = (await server.state())["lag"]
        await server.settle()
    row.told = {"cut": cut, "lag p99 ms": 1000 * lag["p99"], "lag max ms": 1000 * lag["max"]}
    row.check(cut > 0, "nobody was cut")
    row.in_time(lag["p99"] < 0.05, f"lag p99 {1000 * lag['p99']:.0f} ms")
    return row
