"""A WebSocket client by hand, for what a well-behaved one would not do, such as not reading."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from wsproc.server import Server


async def raw_connection(
    server: Server,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection whose reader reads only what it is told to, and buffers little."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=slow, limit=1024)
    writer.write(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def first_frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read the first frame: the welcome."""
    head = await reader.readexactly(2)
    length = head[1] & 127
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    return json.loads(await reader.readexactly(length))


def send_raw(writer: asyncio.StreamWriter, frame: dict[str, Any]) -> None:
    """Write a masked text frame; a mask of zeros leaves it as it is."""
    body = json.dumps(frame).encode()
    head = bytes([0x81, 0x80 | 126]) + len(body).to_bytes(2, "big") + bytes(4)
    writer.write(head + body)


async def frames_of(reader: asyncio.StreamReader) -> list[tuple[int, bytes]]:
    """Read what comes to the end: opcodes and payloads."""
    frames = []
    while True:
        head = await reader.readexactly(2)
        length = head[1] & 127
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await reader.readexactly(8), "big")
        frames.append((head[0] & 15, await reader.readexactly(length)))
        if frames[-1][0] == 8:
            return frames
