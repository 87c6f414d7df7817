"""Who asks, and how much each may: as much as one connection on the WebSocket side. Pure.

A client is the owner of a token, or else an address as the gate counts them. Whoever comes from
loopback is a proxy or the machine's owner, so there each connection is a client of its own.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.gate import LOCAL, origin_of
from wsproc.rate import MessageRate

REMEMBERED = 10_000
"""How many clients without a job are remembered, for their rate, when they come back."""

ABUSE_RETRY_MS = 20_000
"""When to come again for who was told to wait, many times, and did not."""


def client_of(principal: str | None, host: str | None, port: int | None) -> str:
    """Return the name of a client, for limits and for sharing the devices."""
    if principal is not None:
        return f"http-as:{principal}"
    origin = origin_of(host)
    return f"http:{host}:{port}" if origin == LOCAL else f"http:{origin}"


@dataclass(slots=True)
class _Client:
    rate: MessageRate
    jobs: int = 0


class Clients:
    """What each client has, against what it may have: `most` jobs at a time, and so many requests
    a second, of which so many may come at once.
    """

    def __init__(self, most: int, rate: float, burst: float) -> None:
        self._most = most
        self._rate = rate
        self._burst = burst
        self._busy: dict[str, _Client] = {}
        self._idle: OrderedDict[str, _Client] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Clients {self.jobs} jobs of {len(self._busy)}, {len(self._idle)} idle>"

    @property
    def jobs(self) -> int:
        """How many jobs all of them have."""
        return sum(one.jobs for one in self._busy.values())

    def hear(self, name: str, size: int, now: float) -> ErrorInfo | None:
        """Take note of a request of `size` bytes; return why it comes too soon."""
        admittance = self._known(name).rate.admit(size, now)
        if admittance.verdict == "taken":
            return None
        wait_ms = math.ceil(admittance.wait_s * 1000) or ABUSE_RETRY_MS
        message = f"too many requests: {self._rate:g} a second are yours"
        return error_info(ErrorCode.RATE_LIMITED, message, retry_after_ms=wait_ms)

    def objection(self, name: str) -> ErrorInfo | None:
        """Return why a client may have no further job now."""
        client = self._busy.get(name)
        if client is None or client.jobs < self._most:
            return None
        message = f"{self._most} jobs of yours are running; wait for one to end"
        return error_info(ErrorCode.TOO_MANY_JOBS, message, retry_after_ms=1000)

    def take(self, name: str) -> None:
        """Count a job more; ask `objection` before."""
        client = self._busy[name] = self._known(name)
        self._idle.pop(name, None)
        client.jobs += 1

    def give_back(self, name: str) -> None:
        """Count a job less."""
        client = self._busy[name]
        client.jobs -= 1
        if not client.jobs:
            del self._busy[name]
            self._remember(name, client)

    def _known(self, name: str) -> _Client:
        client = self._busy.get(name)
        if client is None:
            client = self._idle.get(name) or _Client(MessageRate(self._rate, self._burst))
            self._remember(name, client)
        return client

    def _remember(self, name: str, client: _Client) -> None:
        self._idle[name] = client
        self._idle.move_to_end(name)
        if len(self._idle) > REMEMBERED:
            self._idle.popitem(last=False)
