"""One HTTP socket: counted at the gate that WebSockets pass too, and waited for only so long.

uvicorn itself waits for the head of a request for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from wsproc.gate import Gate, Welcome

MET, TRANSPORT = "met", "transport"
"""Where the state of a request's scope has what the gate said of its socket, and its transport."""


class CountedSocket(H11Protocol):
    """A server's end of one socket."""

    def __init__(self, gate: Gate, limit_s: float, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gate = gate
        self._limit_s = limit_s
        self._patience: asyncio.TimerHandle | None = None
        self._host: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Count the socket in, and wait for a first request; cut it where too many were told."""
        super().connection_made(transport)
        self._host = self.client[0] if self.client else None
        met: Welcome = self._gate.enter(self._host)
        self.app_state = {MET: met, TRANSPORT: transport}
        if met == "cut":
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Read, and go on waiting where that was no whole head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the socket out, and wait no longer."""
        super().connection_lost(exc)
        self._gate.leave(self._host)
        if self._patience is not None:
            self._patience.cancel()

    def _watch(self) -> None:
        head_is_awaited = self.conn.their_state is h11.IDLE
        if self._patience is None and head_is_awaited:
            self._patience = self.loop.call_later(self._limit_s, self.transport.abort)
        elif self._patience is not None and not head_is_awaited:
            self._patience.cancel()
            self._patience = None


def sockets_of(gate: Gate, limit_s: float) -> type[asyncio.Protocol]:
    """Return what uvicorn makes its sockets with; it calls it and does no more.

    A head that takes longer than `limit_s` is not waited for.
    """
    factory: Callable[..., CountedSocket] = partial(CountedSocket, gate, limit_s)
    return cast("type[asyncio.Protocol]", factory)
