"""The load: clients that send a text, read its results to the end, and send the next."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from websockets.asyncio.client import connect


@dataclass
class Tally:
    """What the clients of one round saw; times in seconds."""

    seconds: float = 0.0
    chunks: int = 0
    firsts: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Chunks a second over all clients."""
        return self.chunks / self.seconds


Client = Callable[[str, float, Tally], Awaitable[None]]


async def measure(client: Client, clients: int, seconds: float, texts: list[str]) -> Tally:
    """Run so many clients at once for so long; a job that began in time is finished and counted."""
    tally = Tally()
    began = time.monotonic()
    until = began + seconds
    await asyncio.gather(*(client(texts[n % len(texts)], until, tally) for n in range(clients)))
    tally.seconds = time.monotonic() - began
    return tally


def websocket_client(url: str, chunk_size: int) -> Client:
    """Return a client of wsproc: one connection, one job after the other."""

    async def client(text: str, until: float, tally: Tally) -> None:
        job = {"type": "process", "text": text, "chunk_size": chunk_size, "include_summary": False}
        async with connect(url, compression=None, max_size=None) as socket:
            await socket.recv()
            while (began := time.monotonic()) < until:
                await socket.send(json.dumps(job))
                first = None
                while True:
                    frame = json.loads(await socket.recv(decode=False))
                    if frame.get("status") == "sentiment_progress":
                        first = first or time.monotonic() - began
                        tally.chunks += 1
                    elif frame["type"] in ("done", "rejected"):
                        break
                if frame.get("status") != "completed":
                    raise RuntimeError(f"a job failed: {frame}")
                tally.firsts.append(first or 0.0)
                tally.jobs.append(time.monotonic() - began)

    return client


def http_client(host: str, port: int, chunk_size: int) -> Client:
    """Return a client of the plain endpoint: one request after the other.

    It reads the lines off a bare socket, so that the peer does not pay for an HTTP library of ours.
    """

    async def client(text: str, until: float, tally: Tally) -> None:
        body = json.dumps({"text": text, "chunk_size": chunk_size}).encode()
        head = (
            f"POST /process-stream HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        while (began := time.monotonic()) < until:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(head.encode() + body)
            first = None
            completed = False
            async for line in reader:
                if b"sentiment_progress" in line:
                    first = first or time.monotonic() - began
                    tally.chunks += 1
                completed = completed or b"completed" in line
            writer.close()
            if not completed:
                raise RuntimeError("a request was not answered to its end")
            tally.firsts.append(first or 0.0)
            tally.jobs.append(time.monotonic() - began)

    return client
