"""One request's job: a session that has one job, is never resumed, and ends with its answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from wsproc.admission import Admission
from wsproc.config import ServerConfig
from wsproc.events import JobRejected
from wsproc.face.clients import Clients
from wsproc.face.faults import Refused
from wsproc.frames.client import Submit
from wsproc.frames.server import Done, JobFrame, Rejected, ServerFrame
from wsproc.job import StopReason
from wsproc.logs import bound
from wsproc.numbered import Fresh
from wsproc.outbox import Outbox
from wsproc.protocol import decode_server
from wsproc.room import Room
from wsproc.runner import Runner
from wsproc.session import Action, JobAction, Offer, Session
from wsproc.tasks import TaskRegistry
from wsproc.tasks.context import Caller
from wsproc.tenant import Tenants


@dataclass
class Desk:
    """Takes the jobs of all requests, with the admission that the WebSocket side has.

    To admission and engine a client is one owner, as a connection is, and its jobs have ids that
    tell them apart.
    """

    config: ServerConfig
    offer: Offer
    admission: Admission
    engine: Caller
    registry: TaskRegistry
    clients: Clients
    tenants: Tenants = field(default_factory=Tenants)
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _open: set[Exchange] = field(default_factory=set)
    _draining: bool = False

    def __repr__(self) -> str:
        return f"<Desk {len(self._open)} exchanges>"

    def open(self, request: Submit, client: str, principal: str = "") -> Exchange:
        """Submit a job of a client, in the name of a principal where a token named one.

        Raises `Refused` where it is not taken. Use the result with `async with`.
        """
        objection = self.clients.objection(client)
        if objection is not None:
            self.offer.tell(JobRejected(objection.code))
            raise Refused(objection)
        # The client's name in place of a secret: nobody can come back for this session.
        session = Session(
            client,
            self.offer,
            self.admission,
            Outbox(self.config.outbox_bytes),
            tenant=self.tenants.of(principal),
        )
        session.draining = self._draining
        exchange = Exchange(self, session, client)
        exchange.submit(request.model_copy(update={"id": f"request-{next(self._count)}"}))
        self._open.add(exchange)
        self.clients.take(client)
        return exchange

    def leave(self, exchange: Exchange) -> None:
        """Forget an exchange whose job is over."""
        self._open.discard(exchange)
        self.clients.give_back(exchange.client)

    def drain(self) -> None:
        """Take no further job."""
        self._draining = True

    def stop(self) -> None:
        """Stop all jobs, since the server is going away; their clients are told so."""
        for exchange in self._open:
            exchange.stop(StopReason.SHUTDOWN)

    async def finished(self) -> None:
        """Wait until every job has ended."""
        await asyncio.gather(*(exchange.finished() for exchange in self._open))


class Exchange:
    """A job and its frames. Leaving it stops the job and waits until the engine has left it."""

    def __init__(self, desk: Desk, session: Session, client: str) -> None:
        self.client = client
        self._desk = desk
        self._session = session
        self._work = asyncio.Event()
        self._room = Room()
        self._runner = Runner(
            session,
            desk.engine,
            desk.registry,
            wake=self._work.set,
            room=self._room,
        )

    def submit(self, request: Submit) -> None:
        """Start the job; raise `Refused` where it is not taken."""
        actions = self._session.submit(request, time.monotonic())
        first = self._take()
        if isinstance(first, Rejected):
            raise Refused(first.error)
        with bound(session=self._session.label):
            self._carry_out(actions)

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(StopReason.DISCONNECT)
        try:
            await self.finished()
        finally:
            self._desk.leave(self)

    async def __aiter__(self) -> AsyncIterator[JobFrame]:
        """Yield the job's frames; the last one is its `Done`."""
        while True:
            frame = self._take()
            if not self._session.outbox.congested:
                self._room.free()
            if frame is None:
                self._work.clear()
                await self._work.wait()
            elif isinstance(frame, JobFrame):
                yield frame
                if isinstance(frame, Done):
                    return

    def _take(self) -> ServerFrame | None:
        """Take the next frame; none is ever sent again, so none needs a number."""
        one = self._session.outbox.pop()
        if one is None:
            return None
        return decode_server(one.message if isinstance(one, Fresh) else one)

    async def finished(self) -> None:
        """Wait until the job has ended."""
        await self._runner.finished()

    def stop(self, reason: StopReason) -> None:
        """Stop the job if it is not over."""
        self._carry_out(self._session.leave(reason))
        self._room.free()

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, JobAction):
                self._runner.carry_out(action)
