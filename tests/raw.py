"""A client below the WebSocket library: it writes what no library would, and reads or does not."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import Any

from wsproc.server import Server

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

PATIENCE_S = 30


def upgrade(port: int, host: str = "127.0.0.1") -> bytes:
    """Return the request of a handshake."""
    return (
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def packed(
    body: bytes,
    opcode: int = TEXT,
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    declared: int | None = None,
) -> bytes:
    """Return a client's frame. Its mask is of zeros, which leaves the body as it is.

    `reserved` are the three bits beside `final`; `declared` is a length that is not the body's.
    """
    size = len(body) if declared is None else declared
    mask = 0x80 if masked else 0
    first = bytes([0x80 * final | reserved << 4 | opcode])
    if size < 126:
        head = first + bytes([mask | size])
    elif size < 1 << 16:
        head = first + bytes([mask | 126]) + size.to_bytes(2)
    else:
        head = first + bytes([mask | 127]) + size.to_bytes(8)
    return head + bytes(4 if masked else 0) + body


async def frame_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read the opcode and the body of a server's frame."""
    head = await reader.readexactly(2)
    size = head[1]
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    return head[0] & 0xF, await reader.readexactly(size)


class Raw:
    """One connection, behind its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)

    def send(self, **frame: Any) -> None:
        """Write one JSON frame, without a wait."""
        self.writer.write(packed(json.dumps(frame).encode()))

    async def frame(self) -> tuple[int, bytes]:
        """Return the opcode and the body of the server's next frame."""
        async with asyncio.timeout(PATIENCE_S):
            return await frame_of(self.reader)

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        while True:
            opcode, body = await self.frame()
            assert opcode != CLOSE, f"closed: {body!r}"
            if opcode == TEXT:
                message: dict[str, Any] = json.loads(body)
                return message

    async def closed(self) -> int:
        """Read to the end; return the close code, 1006 where the server just went away."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, body = await self.frame()
                if opcode == CLOSE:
                    self.write(packed(body, CLOSE))
                    return int.from_bytes(body[:2])
        return 1006

    def reset(self) -> None:
        """Go away by a RST, as a process does that dies with data unread."""
        reset_on_close(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()

    def leave(self) -> None:
        """Go away without a closing handshake."""
        self.writer.transport.abort()


def reset_on_close(end: socket.socket) -> None:
    """Have a socket go away by a RST once it is closed."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def plugged(port: int, *, host: str = "127.0.0.1", window: int | None = None) -> Raw:
    """Connect without a handshake; a `window` of some bytes lets little in that nobody reads."""
    sock = socket.socket()
    try:
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        limit = 1 << 20 if window is None else 1024
        return Raw(*await asyncio.open_connection(sock=sock, limit=limit))
    except BaseException:
        sock.close()
        raise


async def raw(port: int, *, host: str = "127.0.0.1", window: int | None = None) -> Raw:
    """Connect and shake hands; the welcome is the first message."""
    connection = await plugged(port, host=host, window=window)
    connection.write(upgrade(port, host))
    async with asyncio.timeout(PATIENCE_S):
        head = await connection.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    return connection


# --- by reader and writer -------------------------------------------------------------------------


async def raw_connection(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection whose reader reads only what it is told to, and buffers little."""
    one = await raw(server.port, window=4096)
    return one.reader, one.writer


async def first_frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read the first frame: the welcome."""
    _, body = await frame_of(reader)
    frame: dict[str, Any] = json.loads(body)
    return frame


def send_raw(writer: asyncio.StreamWriter, frame: dict[str, Any]) -> None:
    """Write a text frame."""
    writer.write(packed(json.dumps(frame).encode()))


async def frames_of(reader: asyncio.StreamReader) -> list[tuple[int, bytes]]:
    """Read what comes to the close: opcodes and payloads."""
    frames = [await frame_of(reader)]
    while frames[-1][0] != CLOSE:
        frames.append(await frame_of(reader))
    return frames
