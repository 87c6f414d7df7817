"""Rows F2 and F3: every job of a shutdown is counted; a rolling restart costs no job."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from contextlib import AsyncExitStack

import wsproc
from tests.raw import CLOSE, TEXT, Raw, raw
from tests.soak.process import Process, served
from tests.soak.row import Row

CLIENTS = 10
QUICK = {"sentiment": {"step_s": 0.01, "rows": 8}, "generation": {"step_s": 0.01, "rows": 16}}


async def under_load(rate: float, seconds: float) -> Row:
    """Row F2: jobs by the clock from ten connections, SIGTERM in the middle."""
    row = Row(
        "F2",
        f"{rate:.0f} jobs/s from {CLIENTS} connections for {seconds:.0f} s, then SIGTERM",
        "accepted = answered, each once; every submit that was read is accepted or refused; exit 0",
    )
    async with served(options=QUICK, settings={"drain_s": 1, "grace_s": 5}) as server:
        clients = [_Counter(await raw(server.port)) for _ in range(CLIENTS)]
        reading = [asyncio.create_task(one.read()) for one in clients]
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        ending = None
        while not all(task.done() for task in reading):
            now = loop.time() - began
            while sent < now * rate and now < seconds + 0.5:
                clients[sent % CLIENTS].submit(sent)
                sent += 1
            if ending is None and now >= seconds:
                server.signal(signal.SIGTERM)
                ending = loop.time()
            await asyncio.sleep(0.005)
        status = await server.ended()
        assert ending is not None
        took = loop.time() - ending
    codes = {one.code for one in clients}
    accepted = sum(len(one.accepted) for one in clients)
    ends = Counter(end for one in clients for end in one.ends.values())
    rejected = sum(one.rejected for one in clients)
    row.told = {"sent": sent, "accepted": accepted, **ends, "rejected": rejected, "exit_s": took}
    row.check(status == 0, f"exit status {status}")
    row.check(codes == {1012}, f"close codes {codes}")
    row.check(all(one.accepted == set(one.ends) for one in clients), "accepted without an end")
    row.check(not any(one.twice for one in clients), "ended twice")
    row.in_time(took < 8, f"{took:.1f} s to the exit")
    return row


class _Counter:
    """One connection that counts what becomes of its jobs."""

    def __init__(self, connection: Raw) -> None:
        self._connection = connection
        self.accepted: set[str] = set()
        self.ends: dict[str, str] = {}
        self.rejected = 0
        self.twice = 0
        self.code = 0

    def submit(self, number: int) -> None:
        """Send a job, unless the connection is over."""
        if not self._connection.writer.transport.is_closing():
            frame = {"type": "generate", "prompt": "x", "max_tokens": 5, "id": f"j{number}"}
            self._connection.send(**frame)

    async def read(self) -> None:
        """Read to the close."""
        try:
            while True:
                opcode, body = await self._connection.frame()
                if opcode == CLOSE:
                    self.code = int.from_bytes(body[:2])
                    return
                if opcode == TEXT:
                    self._count(json.loads(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.code = 1006
        finally:
            self._connection.leave()

    def _count(self, frame: dict) -> None:
        if frame["type"] == "accepted":
            self.accepted.add(frame["id"])
        elif frame["type"] == "rejected":
            self.rejected += 1
        elif frame["type"] == "done":
            self.twice += frame["id"] in self.ends
            self.ends[frame["id"]] = frame["status"]


async def rolling(restarts: int, jobs: int) -> Row:
    """Row F3: servers that drain and are replaced on the same port, under one Python client."""
    row = Row(
        "F3",
        f"{restarts} restarts on one port under the Python client, {jobs} generations in flight",
        "every job ends with its whole text",
    )
    patient = wsproc.Reconnect(first_delay_s=0.05, max_delay_s=0.5, max_time_s=60)
    options = {"generation": {"step_s": 0.02, "rows": 64}}
    settings = {"drain_s": 0.3, "grace_s": 5}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(options=options, settings=settings))
        settings["port"] = server.port
        client = wsproc.connect(server.url, reconnect=patient)
        await client.open()
        running: list[asyncio.Task[str]] = []
        for _ in range(restarts):
            running += [asyncio.create_task(_whole(client)) for _ in range(jobs)]
            await _busy(server)
            server.signal(signal.SIGTERM)
            row.check(await server.ended() == 0, "a server did not end with 0")
            server = await stack.enter_async_context(served(options=options, settings=settings))
        texts = await asyncio.gather(*running, return_exceptions=True)
        lost = [repr(text) for text in texts if isinstance(text, BaseException)]
        row.told = {"jobs": len(texts), "whole": len(texts) - len(lost)}
        row.check(lost == [], f"{len(lost)} lost: {lost[:1]}")
        await client.close()
        await server.settle()
    return row


async def _busy(server: Process) -> None:
    """Wait until the server is in the middle of jobs."""
    await server.until(lambda now: now["live"] > 0)
    await asyncio.sleep(0.2)  # some of their tokens are out


async def _whole(client: wsproc.Client) -> str:
    job = await client.generate("x", max_tokens=60, seed=7)
    pieces = [piece async for piece in job.tokens()]
    text: str = (await job.result())["text"]
    if "".join(pieces) != text or len(text.split()) != 60:
        raise AssertionError(f"{len(text.split())} words")
    return text
