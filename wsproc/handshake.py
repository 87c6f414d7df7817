"""Who may open a connection: the decisions of the opening handshake. Pure.

The origin is looked at first, so that a page that may not connect learns nothing of tokens; then
the subprotocol; then the token. A browser can read a close code and no HTTP status, other clients
the other way round (`by_status`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from wsproc.auth.bearer import BadBearer, token_of_request, without_tokens
from wsproc.auth.grant import Authenticator, Denied, Grant
from wsproc.frames.errors import CloseCode
from wsproc.protocol import SUBPROTOCOL


@dataclass(frozen=True, slots=True)
class Knock:
    """What a client says in its handshake: headers as they are, and the offered subprotocols."""

    origin: str | None = None
    host: str | None = None
    user_agent: str | None = None
    authorization: str | None = field(default=None, repr=False)
    offered: tuple[str, ...] = field(default=(), repr=False)

    @property
    def from_browser(self) -> bool:
        """Whether a page asks: they alone send an Origin and call themselves Mozilla."""
        return self.origin is not None and (self.user_agent or "").startswith("Mozilla/")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client must stay outside, as a close code and as an HTTP status.

    `status` is None where every client is told by a close.
    """

    code: CloseCode
    reason: str
    status: HTTPStatus | None = None

    def by_status(self, knock: Knock) -> bool:
        """Whether to refuse by the HTTP status, before there is a WebSocket at all."""
        return self.status is not None and not knock.from_browser


class Ask(Enum):
    """The one answer that is neither yes nor no."""

    AUTH_FRAME = "auth frame"


STATUS = {
    CloseCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    CloseCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
}
"""What the close codes of a refusal are in HTTP."""

Decision: TypeAlias = Grant | Refusal | Literal[Ask.AUTH_FRAME]

ANYBODY = Grant("")
"""What everyone has on a server that asks for no token: the principal without a name."""


def decide(knock: Knock, allowed: Collection[str], authenticator: Authenticator | None) -> Decision:
    """Return whether a client may come in; `authenticator` is None where no token is asked for."""
    if not origin_allowed(knock.origin, knock.host, allowed):
        reason = "this origin may not connect; see --origin"
        return Refusal(CloseCode.FORBIDDEN, reason, STATUS[CloseCode.FORBIDDEN])
    return _wrong_subprotocol(knock.offered) or _judge(knock, authenticator)


def _wrong_subprotocol(offered: Sequence[str]) -> Refusal | None:
    names = without_tokens(offered)
    if SUBPROTOCOL in names or not offered:
        return None
    if names:
        return Refusal(CloseCode.SUBPROTOCOL, f"subprotocol not supported; use {SUBPROTOCOL}")
    # Nothing can be answered to a token alone, and to a client that gets no answer it is an error.
    reason = f"offer {SUBPROTOCOL} beside the token"
    return Refusal(CloseCode.SUBPROTOCOL, reason, HTTPStatus.BAD_REQUEST)


def _judge(knock: Knock, authenticator: Authenticator | None) -> Decision:
    if authenticator is None:
        return ANYBODY
    try:
        token = token_of_request(knock.authorization, knock.offered)
    except BadBearer as error:
        return Refusal(CloseCode.UNAUTHORIZED, str(error), STATUS[CloseCode.UNAUTHORIZED])
    if token is None:
        return Ask.AUTH_FRAME
    verdict = authenticator.check(token)
    if isinstance(verdict, Denied):
        return Refusal(verdict.code, verdict.reason, STATUS[verdict.code])
    return verdict


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """Return the subprotocol to answer with; never one that carries a token.

    An unknown one alone is echoed, since a browser that gets none back sees no close code at all;
    `decide` has refused it with the code that says why.
    """
    names = without_tokens(offered)
    if SUBPROTOCOL in names:
        return SUBPROTOCOL
    return names[0] if names else None


def origin_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether a page from `origin` may connect to `host`. No Origin at all is not a browser."""
    if origin is None or origin in allowed:
        return True
    parts = _split(origin)
    same = host is not None and bool(parts.netloc) and parts.netloc.lower() == host.lower()
    return same and parts.scheme in ("http", "https")


def host_allowed(
    host: str | None, bound_to: str, allowed: Collection[str], names: Collection[str] = ()
) -> bool:
    """Whether a Host header may be meant for a server bound to `bound_to`.

    A page of any site could point its own name at the server's address and be of the same origin
    (DNS rebinding). So a server on loopback answers to loopback names alone, and another one to
    `names` alone where some are given, and to addresses; both to the names of allowed origins.
    """
    at_home = is_loopback(bound_to)
    if host is None or not (at_home or names):
        return True
    name = _split(f"//{host}").hostname or ""
    if any(_split(origin).hostname == name for origin in allowed):
        return True
    return is_loopback(name) if at_home else _is_address(name) or name in map(str.lower, names)


def is_loopback(name: str) -> bool:
    """Whether a host's name or address is this machine's own, that nobody else can reach."""
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(address: str) -> SplitResult:
    """Return the parts of an address; what cannot be read (`http://[::1`) names nobody."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
