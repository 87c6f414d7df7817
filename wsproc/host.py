"""A session at run time: it keeps its jobs running while connections come and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from wsproc.frames.errors import CloseCode
from wsproc.job import StopReason
from wsproc.room import Room
from wsproc.runner import Runner
from wsproc.session import Action, Close, JobAction, Session, TakeUp
from wsproc.tasks import TaskRegistry
from wsproc.tasks.context import Caller

TAKEN_OVER = Close(CloseCode.TAKEN_OVER, "the session was taken over by a newer connection")

SHORTEST_WAIT_S = 0.1
"""Results that are due within it are forgotten together."""


class Link(Protocol):
    """The connection of a session, as its host sees it."""

    def wake(self) -> None:
        """Send what waits now."""

    def lose(self, close: Close) -> None:
        """Close: the session has another connection from now on."""


class Host:
    """One session, its jobs, and its connection, of which there is one at most.

    `on_over` is called once when the session has nothing left to live for.
    """

    __slots__ = ("_link", "_on_over", "_room", "_runner", "_timer", "session")

    def __init__(
        self,
        session: Session,
        engine: Caller,
        registry: TaskRegistry,
        *,
        on_over: Callable[[Host], None],
    ) -> None:
        self.session = session
        self._room = Room()
        self._link: Link | None = None
        self._on_over = on_over
        self._timer: asyncio.TimerHandle | None = None
        self._runner = Runner(
            session, engine, registry, wake=self._wake, room=self._room, on_end=self._ended
        )

    def __repr__(self) -> str:
        place = "detached" if self._link is None else repr(self._link)
        return f"<Host {self.session!r} {place}>"

    @property
    def attached(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    # --- connections ----------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        """Give the session a connection; an older one loses it and is closed."""
        older, self._link = self._link, link
        if older is not None:
            older.lose(TAKEN_OVER)
            self.session.detach(time.monotonic(), clean=False)
        self.session.attach()
        self._rearm()

    def detach(self, link: Link, *, clean: bool) -> bool:
        """Take the connection away, unless it has lost the session already; tell whether it had it.

        After a `clean` close nobody is expected back for jobs that are not to be kept.
        """
        if self._link is not link:
            return False
        self._link = None
        self._carry_out(self.session.detach(time.monotonic(), clean=clean))
        self._room.free()
        self._rearm()
        return True

    def receive(self, message: str | bytes) -> list[Close | TakeUp]:
        """Act on a message; return what is the connection's to do."""
        return self._carry_out(self.session.receive(message, time.monotonic()))

    def put_off(self, message: str | bytes, wait_s: float) -> list[Close | TakeUp]:
        """Answer a message that came too fast."""
        return self._carry_out(self.session.put_off(message, wait_s))

    def next_message(self) -> bytes | None:
        """Take the next message to send, or None; producers go on where there is room again."""
        message = self.session.next_message()
        if not self.session.outbox.congested:
            self._room.free()
        return message

    # --- ends -----------------------------------------------------------------------------------

    def leave(self, reason: StopReason) -> None:
        """Stop every job."""
        self._carry_out(self.session.leave(reason))
        self._wake()

    def abandon(self) -> None:
        """Let go of a session that nobody can come back for; its jobs are stopped."""
        self._cancel_timer()
        self.leave(StopReason.DISCONNECT)
        self.session.log.close()

    def drain(self, close: Close, grace_ms: int) -> None:
        """Announce the planned close; without a client to announce it to, stop the jobs now."""
        self.session.drain(close.code, close.reason, grace_ms)
        if self._link is None:
            self.leave(StopReason.SHUTDOWN)
        self._wake()

    async def finished(self) -> None:
        """Wait until every job has ended."""
        await self._runner.finished()

    # --- inside ---------------------------------------------------------------------------------

    def _carry_out(self, actions: Iterable[Action]) -> list[Close | TakeUp]:
        """Do to the jobs what is to be done; return what is the connection's to do."""
        rest: list[Close | TakeUp] = []
        for action in actions:
            if isinstance(action, JobAction):
                self._runner.carry_out(action)
            else:
                rest.append(action)
        return rest

    def _wake(self) -> None:
        if self._link is not None:
            self._link.wake()

    def _ended(self) -> None:
        if self._timer is None:
            self._rearm()

    def _rearm(self) -> None:
        """Have the session tended to when it is next due."""
        self._cancel_timer()
        due = self.session.due
        if due is not None:
            wait_s = max(SHORTEST_WAIT_S, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tend)

    def _tend(self) -> None:
        self._timer = None
        self._carry_out(self.session.tend(time.monotonic()))
        self._wake()
        if self.session.over:
            self._on_over(self)
        else:
            self._rearm()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
