"""Where clients come in: the handshake's decision carried out, and the wait for an `auth` frame.

What is decided, pure rooms decide: `handshake` at the handshake, `auth.doorway` after it. Nobody
has a session here; a stranger costs a socket and little memory, and strangers are counted. Nothing
that was presented is logged, and a request's secrets are dropped once they were judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response

from wsproc.auth.bearer import BadBearer, token_of_request
from wsproc.auth.doorway import Answer, Doorway, TurnAway
from wsproc.auth.expiry import Expiry
from wsproc.auth.grant import Denied, Grant
from wsproc.auth.keyring import Keyring
from wsproc.config import ServerConfig
from wsproc.events import HandshakeRefused, Peer, Reader
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import AuthRequired
from wsproc.guarded import GuardedSocket
from wsproc.handshake import Ask, Decision, Knock, Refusal, decide
from wsproc.protocol import encode
from wsproc.quota import Quota
from wsproc.session import Close

GONE = 1006
"""What stands for the close code of a socket that was just gone; it is never sent."""

EXPIRED = Close(CloseCode.UNAUTHORIZED, "the token has expired; get a new one")

TAKEN_BACK = Close(CloseCode.UNAUTHORIZED, "the token is no longer taken")

_TOO_MANY = {
    "too many": "too many connections",
    "too many of one address": "too many connections from your address",
}
"""Why a socket is not welcome, by what the gate says."""


class Visitor(GuardedSocket):
    """A socket that knows who knocked and how its handshake was decided."""

    __slots__ = ("decision", "peer")

    peer: Peer
    decision: Decision


@dataclass(slots=True, eq=False)
class Guest:
    """Who was let in, and by what. `expiry` is set where that is not for ever."""

    peer: Peer
    grant: Grant
    expiry: Expiry | None = None


class Entrance:
    """Lets clients in or turns them away, and tells of those that it turns away.

    `count` numbers them.
    """

    def __init__(
        self, config: ServerConfig, keyring: Keyring, tell: Reader, count: Iterator[int]
    ) -> None:
        self._config = config
        self._keyring = keyring
        self._tell = tell
        self._count = count
        self._connections = Quota(config.max_connections_per_principal)
        self._guests: dict[Guest, Callable[[Close], None]] = {}
        self._outside: set[ServerConnection] = set()
        self._strangers = 0

    def __repr__(self) -> str:
        return f"<Entrance {self._connections!r}, {self._strangers} without a token>"

    # --- before there is a WebSocket ------------------------------------------------------------

    def answer_handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        """Decide about a handshake; return the HTTP refusal for those who can read one."""
        assert isinstance(socket, Visitor)
        try:
            knock = _knock_of(request)
        except InvalidHeader:  # its own words would repeat the header
            words = "Sec-WebSocket-Protocol is no list"
            self.tell_refused(socket, HTTPStatus.BAD_REQUEST, words)
            return socket.respond(HTTPStatus.BAD_REQUEST, f"{words}\n")
        address = _address(socket.remote_address)
        socket.peer = Peer(next(self._count), address, knock.origin)
        authenticator = self._keyring if self._keyring.asked else None
        socket.decision = decide(knock, self._config.origins, authenticator)
        _forget(request, "Authorization")
        refusal = socket.decision
        if (
            not isinstance(refusal, Refusal)
            or refusal.status is None
            or not refusal.by_status(knock)
        ):
            return None
        self._tell(HandshakeRefused(socket.peer, refusal.status.value, refusal.reason))
        return _refuse(socket, refusal.status, refusal.reason)

    def tell_refused(self, socket: ServerConnection, status: HTTPStatus, reason: str) -> None:
        """Tell of a handshake that was refused before anything was decided here."""
        peer = Peer(next(self._count), _address(socket.remote_address))
        self._tell(HandshakeRefused(peer, status.value, reason))

    def answer_metrics(self, socket: ServerConnection, request: Request) -> Response | None:
        """Return why a client may not read /metrics; None where it may."""
        try:
            token = token_of_request(request.headers.get("Authorization"), ())
        except BadBearer as error:
            return _refuse(socket, HTTPStatus.UNAUTHORIZED, str(error))
        verdict = self._keyring.may_read_metrics(token)
        if isinstance(verdict, Denied):
            return _refuse(socket, HTTPStatus.UNAUTHORIZED, verdict.reason)
        return None

    # --- after the handshake --------------------------------------------------------------------

    async def meet(self, socket: ServerConnection) -> Guest | None:
        """Return who comes in, until `leave`; None is one that was turned away."""
        assert isinstance(socket, Visitor)
        socket.forget_handshake()
        grant = await self._judge(socket)
        if grant is None:
            return None
        self._connections.take(grant.principal)
        return Guest(replace(socket.peer, principal=grant.principal or None), grant)

    def watch(self, guest: Guest, end: Callable[[Close], None]) -> None:
        """Call `end` when the guest's token expires or is taken back, until `leave`."""
        grant = guest.grant
        if grant.token_hash is not None:
            self._guests[guest] = end
        if grant.expires_at is not None:
            guest.expiry = Expiry(grant.expires_at, lambda: end(EXPIRED))

    def leave(self, guest: Guest) -> None:
        """Note that a guest's connection is over."""
        self._connections.give_back(guest.grant.principal)
        self._guests.pop(guest, None)
        if guest.expiry is not None:
            guest.expiry.cancel()

    def look_again(self) -> None:
        """Show out whose token is no longer taken, after the files were read again."""
        for guest, end in list(self._guests.items()):
            if not self._keyring.stands_by(guest.grant):
                end(TAKEN_BACK)

    async def send_away(self, code: CloseCode, reason: str) -> None:
        """Close those who are not in yet: the server is going away."""
        closing = [socket.close(code, reason) for socket in self._outside]
        await asyncio.gather(*closing)

    def abort(self) -> None:
        """Cut off those who are not in yet."""
        for socket in list(self._outside):
            socket.transport.abort()

    async def _judge(self, socket: Visitor) -> Grant | None:
        self._outside.add(socket)
        try:
            decision = socket.decision
            if not isinstance(decision, Refusal) and socket.met in _TOO_MANY:
                decision = Refusal(CloseCode.TRY_AGAIN_LATER, _TOO_MANY[socket.met])
            if decision is Ask.AUTH_FRAME:
                decision = await self._ask(socket)
            if isinstance(decision, Grant):
                if not self._connections.full(decision.principal):
                    return decision
                reason = "this principal has too many connections"
                decision = Refusal(CloseCode.TRY_AGAIN_LATER, reason)
            self._tell(HandshakeRefused(socket.peer, decision.code, decision.reason))
            await socket.close(decision.code, decision.reason)
        except ConnectionClosed:
            self._tell(HandshakeRefused(socket.peer, GONE, "gone before a token came"))
        finally:
            self._outside.discard(socket)
        return None

    async def _ask(self, socket: ServerConnection) -> Grant | Refusal:
        """Ask for an `auth` frame and wait for it, for so long as the settings say."""
        if self._strangers >= self._config.auth.max_strangers:
            return Refusal(CloseCode.TRY_AGAIN_LATER, "too many connections without a token")
        self._strangers += 1
        try:
            async with asyncio.timeout(self._config.auth.auth_timeout_s):
                return await self._converse(socket)
        except TimeoutError:
            return Refusal(CloseCode.AUTH_TIMEOUT, "no auth frame came in time")
        finally:
            self._strangers -= 1

    async def _converse(self, socket: ServerConnection) -> Grant | Refusal:
        doorway = Doorway(self._keyring)
        await socket.send(encode(AuthRequired(auth="required")), text=True)
        while True:
            step = doorway.receive(await socket.recv())
            match step:
                case Grant():
                    return step
                case Answer(frame):
                    await socket.send(encode(frame), text=True)
                case TurnAway(frame, code, reason):
                    await socket.send(encode(frame), text=True)
                    return Refusal(code, reason)


def _knock_of(request: Request) -> Knock:
    """Read what decides; raises InvalidHeader for subprotocols that cannot be read."""
    headers = request.headers
    lists = headers.get_all("Sec-WebSocket-Protocol")
    return Knock(
        origin=headers.get("Origin"),
        host=headers.get("Host"),
        user_agent=headers.get("User-Agent"),
        authorization=headers.get("Authorization"),
        offered=tuple(name for one in lists for name in parse_subprotocol(one)),
    )


def _forget(request: Request, header: str) -> None:
    """Drop a header that may hold a token: the request lives as long as its connection."""
    if header in request.headers:
        del request.headers[header]


def _address(remote: Any) -> str:
    """Write a peer's address as people do; a socket that is no TCP has none."""
    if not isinstance(remote, tuple):
        return ""
    host, port = remote[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refuse(socket: ServerConnection, status: HTTPStatus, reason: str) -> Response:
    """Return an HTTP refusal; a 401 says what would be accepted (RFC 6750, section 3)."""
    response = socket.respond(status, f"{reason}\n")
    if status is HTTPStatus.UNAUTHORIZED:
        words = reason.replace("\\", "").replace('"', "'")
        response.headers["WWW-Authenticate"] = (
            f'Bearer realm="wsproc", error="invalid_token", error_description="{words}"'
        )
    return response


__all__ = ["Entrance", "Guest", "Visitor"]
