"""A line between client and server that a test may cut: TCP passed on, byte by byte as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """Passes connections on to `port`, which may change as servers come and go."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.url = ""
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break every connection off, without a word to either side."""
        for end in self._ends:
            end.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self.connections += 1
        try:
            there = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        ways = [(reader, there[1]), (there[0], writer)]
        self._ends |= {writer, there[1]}
        for way in ways:
            task = asyncio.create_task(_pass_on(*way))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def close(self) -> None:
        """Cut, and wait until nothing passes."""
        self.cut()
        await asyncio.gather(*self._passing)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """A line for the length of a block."""
    line = Line(port)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        await line.close()
        await server.wait_closed()
