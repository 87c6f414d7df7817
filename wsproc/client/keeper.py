"""Keeps a client connected: reads its link, and where that is lost, makes another and resumes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from wsproc.client.errors import (
    ConnectFailed,
    ConnectionLost,
    ProtocolError,
    SessionLost,
    Unauthorized,
    WsprocError,
)
from wsproc.client.job import Job
from wsproc.client.ledger import Later, Ledger, Outgoing
from wsproc.client.link import Dialer, Link, TapFailed
from wsproc.client.reconnect import Reconnect, may_return
from wsproc.client.state import ConnectionState
from wsproc.frames.client import Resume
from wsproc.frames.errors import CloseCode
from wsproc.frames.server import Error, Goaway, ResumeReply, ServerFrame, Welcome
from wsproc.protocol import encode

logger = logging.getLogger("wsproc.client")

BYTES_OF_AN_ID = 90
"""The most that one job takes in a `resume`: an id of 64 characters, a number, the quotes."""

StateWatcher = Callable[[ConnectionState], None]


class Keeper:
    """One client's connection, over any number of links."""

    def __init__(
        self,
        dialer: Dialer,
        ledger: Ledger,
        policy: Reconnect | None,
        watcher: StateWatcher | None,
    ) -> None:
        self.state = ConnectionState("connecting")
        self.welcome: Welcome | None = None
        self.goaway: Goaway | None = None
        self.ended: WsprocError | None = None
        """Why there is and will be no connection any more."""
        self.session = ""
        """The secret by which this client's session is found again."""
        self.adopted: dict[str, Job[Any]] = {}
        self._dialer = dialer
        self._ledger = ledger
        self._policy = policy
        self._watcher = watcher
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._sending: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    # --- for the client -------------------------------------------------------------------------

    async def open(self, session: str | None = None) -> None:
        """Make the first connection, and on it take up the `session` of another client.

        Raises `ConnectFailed`, and RuntimeError a second time.
        """
        if self._task is not None:
            raise RuntimeError("a client is opened once; make another one")
        self._tell(ConnectionState("connecting"))
        try:
            link = await self._dialer.dial()
            self.session = session or link.welcome.session
            if session is not None:
                await self._adopt(link)
        except (ConnectFailed, ConnectionLost) as error:
            self._tell(ConnectionState("closed", cause=error))
            raise
        self._use(link)
        self._tell(ConnectionState("open"))
        self._task = asyncio.get_running_loop().create_task(self._keep(link))

    async def close(self) -> None:
        """Close the connection for good. Safe to repeat."""
        self._closing = True
        if self._task is None:
            return
        if self._link is not None:
            await self._link.close()
        else:
            self._task.cancel()
        await asyncio.wait([self._task])

    async def send(self, message: bytes) -> None:
        """Send what the ledger holds, if there is a link; otherwise the next one sends it."""
        if self._link is not None:
            await _send_on(self._link, message)

    # --- one link after the other ---------------------------------------------------------------

    async def _keep(self, link: Link) -> None:
        """Read one link after the other until one ends for good; leave nobody waiting."""
        end: WsprocError = ConnectionLost("the client was closed", CloseCode.NORMAL)
        try:
            tries, since = 0, time.monotonic()
            while True:
                begun = time.monotonic()
                lost = await self._read(link)
                policy = self._return_after(lost)
                self._leave(lost)
                if time.monotonic() - begun >= policy.first_delay_s:
                    tries, since = 0, time.monotonic()
                link, tries = await self._return(lost, policy, tries, since)
        except WsprocError as error:
            end = error
        except Exception as error:  # a fault of this client must not leave anybody waiting either
            logger.exception("the client failed, the connection is closed")
            end = ConnectionLost(f"the client failed: {error!r}", 1006)
            await link.close()
        finally:
            self._finish(end)

    async def _read(self, link: Link) -> ConnectionLost:
        """Take in frames until the link is lost; return how. Raises what ends it for good."""
        try:
            while True:
                frame = await link.receive()
                if isinstance(frame, Goaway):
                    self._take_leave(frame)
                else:
                    self._carry_out(link, self._ledger.receive(frame, time.monotonic()))
        except ConnectionLost as lost:
            return lost
        except ProtocolError:
            await link.close(1002, "protocol error")
            raise
        except TapFailed as error:  # the tap is not ours; nobody may be left waiting over it
            logger.exception("the tap raised an error, the connection is closed", exc_info=error)
            await link.close()
            raise ConnectionLost(str(error), 1006) from error

    def _return_after(self, lost: ConnectionLost) -> Reconnect:
        """Return how to come back; raise the loss where the client is not to."""
        if self._closing or self._policy is None:
            raise lost
        renewable = isinstance(lost, Unauthorized) and self._dialer.credential.renewable
        invited = self.goaway is not None and self.goaway.reconnect
        barred = 4400 <= lost.close_code < 4500 or (self.goaway is not None and not invited)
        if renewable or (not barred and (invited or may_return(lost.close_code))):
            return self._policy
        raise lost

    async def _return(
        self, lost: ConnectionLost, policy: Reconnect, tries: int, since: float
    ) -> tuple[Link, int]:
        """Make another link and take up the session; return it and how many tries there were.

        `tries` and `since` count from the first loss in a row. Raises `ConnectionLost` where it
        fails for good, or too often.
        """
        cause: ConnectFailed | ConnectionLost = lost
        while not policy.gives_up(tries, time.monotonic() - since):
            delay_s = policy.delay_s(tries, random.random())  # noqa: S311 - a jitter is no secret
            tries += 1
            self._tell(ConnectionState("reconnecting", tries, delay_s, cause=cause))
            await asyncio.sleep(delay_s)
            try:
                link = await self._dialer.dial()
                await self._take_up(link, lost)
            except (ConnectFailed, ConnectionLost) as error:
                cause = error
                if not _may_be_tried_again(error):
                    break
            else:
                return link, tries
        raise cause if isinstance(cause, Unauthorized) else _gone(lost, cause)

    async def _adopt(self, link: Link) -> None:
        reply = await self._resume(link)
        if reply.outcome != "ok":
            await link.close()
            raise SessionLost(reply.outcome)
        self.adopted = self._ledger.adopt(reply)

    async def _take_up(self, link: Link, lost: ConnectionLost) -> None:
        """Resume the session on a new link, or begin a new one where it is gone."""
        reply = await self._resume(link)
        now, resumed = time.monotonic(), reply.outcome == "ok"
        if resumed:
            messages = self._ledger.resumed(reply, lost, now)
        else:
            self.session = link.welcome.session
            messages = self._ledger.forgotten(lost, now)
        self._use(link)
        self._carry_out(link, messages)  # ahead of whatever follows from the news
        self._tell(ConnectionState("open", resumed=resumed))

    async def _resume(self, link: Link) -> ResumeReply:
        """Ask for the session; leave no link behind where that fails."""
        try:
            async with asyncio.timeout(self._dialer.open_timeout_s):
                return await self._answer_to_resume(link)
        except TimeoutError:
            await link.cut()
            raise ConnectFailed("the server did not answer `resume`", retryable=True) from None
        except BaseException:
            await link.cut()
            raise

    async def _answer_to_resume(self, link: Link) -> ResumeReply:
        most = link.welcome.limits.max_frame_bytes // 2 // BYTES_OF_AN_ID
        await link.send(encode(Resume(session=self.session, after=self._ledger.after(most))))
        while not isinstance(reply := _as_reply(await link.receive()), ResumeReply):
            pass
        return reply

    # --- what follows a change ------------------------------------------------------------------

    def _use(self, link: Link) -> None:
        self._link, self.welcome, self.goaway = link, link.welcome, None

    def _leave(self, lost: ConnectionLost) -> None:
        self._link = None
        self._stop_timers()
        self._ledger.interrupt(lost)

    def _take_leave(self, goaway: Goaway) -> None:
        self.goaway = goaway
        self._ledger.draining = goaway.reconnect and self._policy is not None
        self._tell(ConnectionState("draining"))

    def _finish(self, error: WsprocError) -> None:
        self.ended, self._link = error, None
        self._stop_timers()
        self._ledger.fail(error)
        self._tell(ConnectionState("closed", cause=None if self._closing else error))

    def _carry_out(self, link: Link, outgoing: Sequence[Outgoing]) -> None:
        """Send what the ledger wants sent, beside the reading."""
        loop = asyncio.get_running_loop()
        messages = [one for one in outgoing if isinstance(one, bytes)]
        if messages:
            sending = loop.create_task(_send_on(link, *messages))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        for one in outgoing:
            if isinstance(one, Later):
                delay_s = one.delay_s * random.uniform(1, 1.5)  # noqa: S311 - no secret either
                self._timers.add(loop.call_later(delay_s, self._ask_again, link, one))

    def _ask_again(self, link: Link, later: Later) -> None:
        self._carry_out(link, self._ledger.retry(later.what))

    def _stop_timers(self) -> None:
        timers, self._timers = self._timers, set()
        for timer in timers:
            timer.cancel()

    def _tell(self, state: ConnectionState) -> None:
        self.state = state
        if self._watcher is None:
            return
        try:
            self._watcher(state)
        except Exception:  # the watcher is not ours, and the connection is not its business
            logger.exception("on_state raised an error, which is ignored")


async def _send_on(link: Link, *messages: bytes) -> None:
    """Send on this link and no other: what it does not take, the next one is given anew."""
    try:
        await link.send(*messages)
    except ConnectionLost:
        return  # its reader sees it too, and the ledger holds the messages


def _as_reply(frame: ServerFrame) -> ServerFrame:
    """Take a server's refusal to resume for its knowing no such session."""
    if not isinstance(frame, Error) or frame.re is None or frame.re.type != "resume":
        return frame
    return ResumeReply(outcome="unknown_session")


def _may_be_tried_again(error: ConnectFailed | ConnectionLost) -> bool:
    if isinstance(error, ConnectFailed):
        return error.retryable
    return may_return(error.close_code)


def _gone(lost: ConnectionLost, cause: ConnectFailed | ConnectionLost) -> ConnectionLost:
    """Say that a connection was lost, and why it could not be made again."""
    why = "" if cause is lost else f"; it could not be made again: {cause}"
    gone = ConnectionLost(f"{lost}{why}", lost.close_code, lost.reason)
    gone.__cause__ = cause
    return gone
