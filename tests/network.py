"""A network between client and server, on loopback, that a test can cut and mend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Network:
    """Forwards connections to a port of this machine while it is up."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.port = 0
        self._up = True
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection without a word, and let none through from now on."""
        self._up = False
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._up = True

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection, both ways, until either end closes it."""
        if not self._up:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers |= {writer, far_writer}
        ways = ((reader, far_writer), (far_reader, writer))
        await asyncio.gather(*(_forward(*way) for way in ways))
        self._writers -= {writer, far_writer}


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def network(to_port: int) -> AsyncIterator[Network]:
    """Run such a network for the length of a block."""
    forwarder = Network(to_port)
    server = await asyncio.start_server(forwarder.join, "127.0.0.1", 0)
    forwarder.port = server.sockets[0].getsockname()[1]
    async with server:
        yield forwarder
        forwarder.cut()
