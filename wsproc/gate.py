"""Who may connect: the sockets there are, counted in all and by address. Pure.

An address is an IPv4 address or the /64 that an IPv6 address lies in, since whoever has one address
of a /64 has all of them. Loopback, and a socket without an address, have no limit of their own: it
is a proxy that comes from there, or the machine's owner.

Up to the limits connections are `welcome`; some beyond them are `too many`: they are worth a
handshake and a close that a browser can read. Still more are to be `cut` at once, as telling them
would cost what the limits are there to save.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Literal

Welcome = Literal["welcome", "too many", "too many of one address", "cut"]

TELLING = 64
"""How many sockets over each limit are told in words."""


class Gate:
    """Counts sockets against `most` in all and `most_by_address`; 0 of the latter is no limit."""

    def __init__(self, most: int, most_by_address: int) -> None:
        self.most = most
        self.most_by_address = most_by_address
        self._there: Counter[str] = Counter()
        self._count = 0

    def __repr__(self) -> str:
        return f"<Gate {self._count} sockets of {self.most}, {len(self._there)} addresses>"

    def __len__(self) -> int:
        return self._count

    def enter(self, host: str | None) -> Welcome:
        """Count a socket in and say how it is to be met; it is in until `leave`, however met."""
        name = origin_of(host)
        self._count += 1
        self._there[name] += 1
        of_one = self._over(name)
        in_all = self._count - self.most
        if max(of_one, in_all) > TELLING:
            return "cut"
        if of_one > 0:
            return "too many of one address"
        return "too many" if in_all > 0 else "welcome"

    def leave(self, host: str | None) -> None:
        """Count a socket out."""
        name = origin_of(host)
        self._count -= 1
        self._there[name] -= 1
        if not self._there[name]:
            del self._there[name]

    def _over(self, name: str) -> int:
        if not self.most_by_address or name == LOCAL:
            return 0
        return self._there[name] - self.most_by_address


LOCAL = "local"


def origin_of(host: str | None) -> str:
    """Return what sockets of a host are counted under; the /64 for IPv6, `local` for loopback."""
    if host is None:
        return LOCAL
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return LOCAL
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            if address.is_loopback:
                return LOCAL
            return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
        address = address.ipv4_mapped
    return LOCAL if address.is_loopback else str(address)
