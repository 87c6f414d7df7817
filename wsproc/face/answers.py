"""An answer runs its job while the client listens.

A client that goes away stops its job at once; so does one that reads nothing for too long. Errors
that come before the first byte have a status of their own; what form an answer has, and how it
tells a later one, stands in `wsproc.face.forms`.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wsproc.events import Peer, PeerStalled
from wsproc.face.exchange import Desk
from wsproc.face.faults import Refused
from wsproc.face.forms import Broken, Form, Reply, Stalled
from wsproc.face.sockets import TRANSPORT
from wsproc.frames.client import Submit
from wsproc.job import StopReason
from wsproc.stall import Patience

logger = logging.getLogger("wsproc.face")


class Answer(Response):
    """The response to a request: a job, in a form. Raises `Refused` where the job is not taken."""

    def __init__(
        self,
        desk: Desk,
        request: Submit,
        form: Form,
        *,
        client: str,
        peer: Peer,
        send_timeout_s: float,
    ) -> None:
        super().__init__()
        self._desk = desk
        self._request = request
        self._form = form
        self._client = client
        self._peer = peer
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        transport = scope.get("state", {}).get(TRANSPORT)
        patience = None if transport is None else Patience(transport, self._send_timeout_s)
        principal = self._peer.principal or ""
        async with self._desk.open(self._request, self._client, principal) as exchange:
            gone = asyncio.create_task(_gone(receive))
            gone.add_done_callback(lambda _: exchange.stop(StopReason.DISCONNECT))
            try:
                reply = Reply(send, self._form.media_type, patience)
                await self._form.write(exchange, reply)
            except Refused:
                if not gone.done():  # else nobody is there to be told
                    raise
            except Broken as broken:
                if not gone.done():
                    self._note(broken)
                    if transport is not None:
                        transport.abort()
                    await gone
            finally:
                gone.cancel()

    def _note(self, broken: Broken) -> None:
        if isinstance(broken, Stalled):
            self._desk.offer.tell(PeerStalled(self._peer))
        else:
            logger.warning("an answer was cut off before its end: %s", broken)


async def _gone(receive: Receive) -> None:
    """Return when the client has gone, or has its whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
