"""Who may ask: Host, Origin and token of a request are checked before anything reads its body.

What runs a job is a POST and needs a token where the server asks for one; the GETs are public.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsproc.auth.bearer import BadBearer, token_of_request
from wsproc.auth.grant import Authenticator, Denied, Verdict
from wsproc.config import ServerConfig
from wsproc.events import Answered, FrameRefused, HandshakeRefused, Peer, Reader
from wsproc.face.clients import Clients, client_of
from wsproc.face.faults import Refused
from wsproc.face.sockets import MET
from wsproc.frames.errors import CloseCode, ErrorCode, error_info
from wsproc.handshake import ANYBODY, host_allowed, origin_allowed
from wsproc.logs import bound, ids_of

PEER = "wsproc.peer"
"""Where the scope of a request has its `Peer`."""

CLIENT = "wsproc.client"
"""Where it has whose job it is to be."""

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that run nothing."""

CROWDED = {
    "too many": "too many connections",
    "too many of one address": "too many connections from your address",
}
"""What the gate says of a socket, in words; a welcome one has none."""

CLIENT_LEFT = 499
"""The status of a request that was never answered, as others count it too."""


class Guard:
    """ASGI middleware around the app. It tells who asked and what came of it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        config: ServerConfig,
        authenticator: Authenticator | None,
        clients: Clients,
        tell: Reader,
        count: Iterator[int],
    ) -> None:
        self._app = app
        self._config = config
        self._authenticator = authenticator
        self._clients = clients
        self._tell = tell
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        began = time.monotonic()
        headers = Headers(scope=scope)
        stranger = Peer(next(self._count), _address(scope), headers.get("origin"))
        peer, refused = self._meet(stranger, scope, headers)
        scope[PEER] = peer
        status = CLIENT_LEFT

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            with bound(**ids_of(peer)):
                app = refused or self._app
                await app(scope, _in_time(receive, self._config.open_timeout_s), watched)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._tell(Answered(peer, path, status, time.monotonic() - began))

    def _meet(self, peer: Peer, scope: Scope, headers: Headers) -> tuple[Peer, Response | None]:
        """Return who asks, and the answer where the request must not go on."""
        refused = self._crowded(peer, scope) or self._misled(peer, headers)
        if refused is not None or scope["method"] in SAFE:
            return peer, refused
        verdict = self._judge(headers)
        if isinstance(verdict, Denied):
            return peer, self._unauthorized(peer, verdict)
        peer = replace(peer, principal=verdict.principal or None)
        host, port = scope.get("client") or (None, None)
        scope[CLIENT] = client_of(peer.principal, host, port)
        return peer, self._too_much(scope[CLIENT], headers)

    def _crowded(self, peer: Peer, scope: Scope) -> Response | None:
        """Return the answer on a socket that is one too many."""
        words = CROWDED.get(scope.get("state", {}).get(MET, "welcome"))
        if words is None:
            return None
        refused = self._closed(peer, HTTPStatus.SERVICE_UNAVAILABLE, words)
        refused.headers.update({"Retry-After": "1", "Connection": "close"})
        return refused

    def _misled(self, peer: Peer, headers: Headers) -> Response | None:
        """Return the answer to what was meant for another server, or comes from another's page."""
        config = self._config
        if any(len(headers.getlist(name)) > 1 for name in ("host", "origin", "authorization")):
            words = "Host, Origin and Authorization may be given once"
            return self._closed(peer, HTTPStatus.BAD_REQUEST, words)
        host = headers.get("host")
        if not host_allowed(
            host, config.http_host or config.host, config.origins, config.host_names
        ):
            words = "this server answers to its own address only"
            return self._closed(peer, HTTPStatus.MISDIRECTED_REQUEST, words)
        if not origin_allowed(peer.origin, host, config.origins):
            words = "pages of this origin may not ask; see --origin"
            return self._closed(peer, HTTPStatus.FORBIDDEN, words)
        return None

    def _too_much(self, client: str, headers: Headers) -> Response | None:
        """Return the answer to what comes too soon, or says itself that it is too large."""
        announced = headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else 0
        error = self._clients.hear(client, size, time.monotonic())
        if error is not None:
            self._tell(FrameRefused(error.code))
            return refusal(Refused(error))
        most = self._config.max_frame_bytes
        return refusal(too_large(most)) if size > most else None

    def _judge(self, headers: Headers) -> Verdict:
        if self._authenticator is None:
            return ANYBODY
        try:
            token = token_of_request(headers.get("authorization"), ())
        except BadBearer as error:
            return Denied(str(error))
        if token is None:
            return Denied("this server wants a token: Authorization: Bearer")
        return self._authenticator.check(token)

    def _unauthorized(self, peer: Peer, denied: Denied) -> Response:
        refused = Refused(error_info(_ERRORS[denied.code], denied.reason))
        self._tell(HandshakeRefused(peer, refused.status, denied.reason))
        return refusal(refused)

    def _closed(self, peer: Peer, status: HTTPStatus, words: str) -> Response:
        self._tell(HandshakeRefused(peer, status, words))
        return JSONResponse({"detail": words}, status)


_ERRORS = {
    CloseCode.UNAUTHORIZED: ErrorCode.UNAUTHORIZED,
    CloseCode.FORBIDDEN: ErrorCode.FORBIDDEN,
}


def refusal(refused: Refused) -> Response:
    """Return the answer that says an error."""
    return JSONResponse(refused.body, refused.status, refused.headers)


def too_large(limit: int) -> Refused:
    """Return the refusal of a body of more bytes than `limit`."""
    message = f"the body may have {limit} bytes at most"
    return Refused(error_info(ErrorCode.INPUT_TOO_LARGE, message))


def _address(scope: Scope) -> str:
    if scope.get("client") is None:
        return ""
    host, port = scope["client"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _in_time(receive: Receive, limit_s: float) -> Receive:
    """Return `receive` with a limit to how long the whole body may take to come."""
    deadline = asyncio.get_running_loop().time() + limit_s
    complete = False

    async def in_time() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            words = f"the body did not come within {limit_s:g} seconds"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, words) from None
        complete = not message.get("more_body", False)
        return message

    return in_time
