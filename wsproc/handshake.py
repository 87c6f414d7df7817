"""Who may open a connection: the decisions of the opening handshake. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from wsproc.frames.errors import CloseCode
from wsproc.protocol import SUBPROTOCOL


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is closed right after its handshake."""

    code: CloseCode
    reason: str


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """Return the subprotocol to answer with.

    An unknown one alone is echoed, since a browser that gets none back sees no close code at all;
    `refuse` then closes with the code that says why.
    """
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return offered[0] if offered else None


def refuse(
    subprotocol: str | None, origin: str | None, host: str | None, allowed: Collection[str]
) -> Refusal | None:
    """Return why a connection must not go on, or None where it may.

    `origin` and `host` are the request's headers; `allowed` are origins that may come beside the
    server's own.
    """
    if not origin_allowed(origin, host, allowed):
        return Refusal(CloseCode.FORBIDDEN, "this origin may not connect; see --origin")
    if subprotocol not in (None, SUBPROTOCOL):
        return Refusal(CloseCode.SUBPROTOCOL, f"subprotocol not supported; use {SUBPROTOCOL}")
    return None


def origin_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether a page from `origin` may connect to `host`. No Origin at all is not a browser."""
    if origin is None or origin in allowed:
        return True
    parts = _split(origin)
    same = host is not None and bool(parts.netloc) and parts.netloc.lower() == host.lower()
    return same and parts.scheme in ("http", "https")


def host_allowed(host: str | None, bound_to: str, allowed: Collection[str]) -> bool:
    """Whether a Host header may be meant for a server bound to `bound_to`.

    A server on loopback answers to loopback names alone: otherwise a page of any site could point
    its own name at 127.0.0.1 and be of the same origin (DNS rebinding).
    """
    if not _is_loopback(bound_to) or host is None:
        return True
    name = _split(f"//{host}").hostname or ""
    return _is_loopback(name) or any(_split(origin).hostname == name for origin in allowed)


def _split(address: str) -> SplitResult:
    """Return the parts of an address; what cannot be read (`http://[::1`) names nobody."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
