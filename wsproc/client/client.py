"""The client: jobs and questions go in, a ledger keeps what is owed, a keeper the connection."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Mapping,
)
from types import TracebackType
from typing import Any, cast

from wsproc.client.address import shown, websocket_url
from wsproc.client.credential import Credential, TokenSource
from wsproc.client.entry import submit_message
from wsproc.client.errors import (
    ConnectFailed,
    ConnectionLost,
    JobRejected,
    ProtocolError,
    Unauthorized,
    WsprocError,
)
from wsproc.client.feeder import Feeder
from wsproc.client.job import Job
from wsproc.client.keeper import Keeper
from wsproc.client.ledger import Ledger
from wsproc.client.link import Dialer
from wsproc.client.reconnect import Reconnect, policy
from wsproc.client.seed import seed_of
from wsproc.client.state import ConnectionState
from wsproc.client.tasks import Tasks
from wsproc.frames.client import TASKS, Cancel, ClientFrame, Jobs, Ping
from wsproc.frames.errors import ErrorCode, error_info
from wsproc.frames.server import CancelReply, Goaway, InputReply, JobInfo, Welcome
from wsproc.protocol import encode

DEFAULT_URL = "ws://127.0.0.1:8765"

PURE_TASKS = frozenset(TASKS)
"""The built-in tasks: running one of their jobs twice does nothing but cost time."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def connect(
    url: str = DEFAULT_URL,
    *,
    token: TokenSource | None = None,
    reconnect: bool | Reconnect = True,
    resubmit: bool | Collection[str] = PURE_TASKS,
    session: str | None = None,
    on_state: Callable[[ConnectionState], None] | None = None,
    tap: Callable[[str], None] | None = None,
    open_timeout_s: float = 10.0,
    **socket_options: Any,
) -> Client:
    """Return a client for a server's address; `async with` opens and closes it.

        async with connect("ws://127.0.0.1:8765") as client:
            result = await client.process("What a lovely day it was.").result()
            print(result.sentiment)  # POSITIVE

    `url` is `ws://HOST:PORT` or `wss://...`; a browser's `http://...` is understood too.

    `token` opens servers that ask for one: a string, or a function, plain or async, that returns
    one and is called before each connection, so that an expired token is renewed.

    `reconnect` says what happens when the connection is lost: the client comes back by itself and
    its jobs go on where they were (True, or a `Reconnect` with other limits), or they are lost at
    once (False). The first connection is not tried again.

    `resubmit` names the tasks whose jobs are submitted once more, with the same fields, where the
    server has lost them: it was restarted, or the client was away for longer than it waits. By
    itself these are the built-in tasks, which do nothing but compute; True is every task, False
    none. No event is delivered twice; a generation that does not come out the same is lost.

    `session` takes up the session of another client, which may have been another program's: what
    its `Client.session` was. Its jobs, those submitted with `on_disconnect="keep"` above all, are
    then in `Client.adopted`.

    `on_state` is called with a `ConnectionState` at each change, so that a program can show it.
    `tap` is given every message as it came, before it is acted upon, and must not raise.
    `socket_options` go to `websockets.asyncio.client.connect` as they are (`ssl`,
    `additional_headers`, ...).
    """
    return Client(
        url,
        token=token,
        reconnect=reconnect,
        resubmit=resubmit,
        session=session,
        on_state=on_state,
        tap=tap,
        open_timeout_s=open_timeout_s,
        **socket_options,
    )


class Client(Tasks):
    """A connection to a wsproc server; made by `connect`.

    Any number of tasks may use it at once. While a lost connection is made again, submits and
    questions wait and jobs go on waiting for events. Once it cannot be had any more, jobs raise
    `JobLost` and everything else `ConnectionLost`, and a new client is needed.

    `state` tells where the connection stands; `goaway` is set while the server has announced that
    it will close, for which a client that reconnects need do nothing.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: TokenSource | None = None,
        reconnect: bool | Reconnect = True,
        resubmit: bool | Collection[str] = PURE_TASKS,
        session: str | None = None,
        on_state: Callable[[ConnectionState], None] | None = None,
        tap: Callable[[str], None] | None = None,
        open_timeout_s: float = 10.0,
        **socket_options: Any,
    ) -> None:
        self.url = websocket_url(url)
        how = policy(reconnect)
        dialer = Dialer(self.url, Credential(token), tap, open_timeout_s, socket_options)
        self._ledger = Ledger(self, _repeatable(resubmit), returns=how is not None)
        self._keeper = Keeper(dialer, self._ledger, how, on_state)
        self._wanted_session = session
        self._feeder = Feeder(self._ledger, self._ask)
        self._background: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        opened = self._keeper.welcome is not None
        phase = self.state.phase if opened else "not open"
        return f"<Client {shown(self.url)} {phase}, {len(self._ledger.entries)} jobs>"

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._keeper.state

    @property
    def welcome(self) -> Welcome:
        """What the server told of itself when the present connection was opened."""
        if self._keeper.welcome is None:
            raise ConnectFailed("the client is not open; use it with `async with` or await `open`")
        return self._keeper.welcome

    @property
    def goaway(self) -> Goaway | None:
        """The server's announcement that it will close the present connection."""
        return self._keeper.goaway

    @property
    def session(self) -> str:
        """The secret by which the session is found again, see `connect`; as good as a password."""
        return self._keeper.session

    @property
    def adopted(self) -> Mapping[str, Job[Any]]:
        """The jobs that were there when a `session` was taken up, by their ids."""
        return self._keeper.adopted

    # --- opening and closing --------------------------------------------------------------------

    async def __aenter__(self) -> Client:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect and wait for the welcome. `close` is due afterwards.

        Raises `ConnectFailed`: `Unauthorized` where the server wants another token or one at all,
        `SessionLost` where it does not know the `session` that was asked for.
        """
        await self._keeper.open(self._wanted_session)
        if self.adopted:
            try:
                await self._name_adopted()
            except BaseException:
                await self.close()
                raise

    async def _name_adopted(self) -> None:
        for info in await self.jobs():
            if info.id in self.adopted:
                self.adopted[info.id].task = info.task

    async def close(self) -> None:
        """Close the connection; the server cancels the jobs that are left. Safe to repeat."""
        for task in self._background:
            task.cancel()
        await self._keeper.close()

    # --- jobs -------------------------------------------------------------------------------------

    async def _submit(self, task: str, fields: dict[str, Any]) -> Job[Any]:
        name = str(fields.pop("id", None) or self._ledger.entries.new_name())
        if task == "generate" and self._ledger.may_repeat(task):
            # A generation can go on after a restart of the server only if its dice fall the same.
            fields.setdefault("seed", seed_of(self.session, name))
        message = self._checked(name, task, fields)
        self._raise_if_ended()
        answer = self._ledger.submit(name, task, fields, message)
        try:
            await self._keeper.send(message)
            return await answer
        except asyncio.CancelledError:
            answer.cancel()
            self._cancel_later(name)
            raise

    def _checked(self, name: str, task: str, fields: dict[str, Any]) -> bytes:
        """Return the submit as a message; refuse here what would confuse or end the connection."""
        try:
            message = submit_message(task, name, fields)
        except TypeError as error:
            raise ValueError(f"the job cannot be written as JSON: {error}") from None
        if not _ID.fullmatch(name):
            text = f"id: 1 to 64 of A-Z a-z 0-9 _ . : -, this is {name[:80]!r}"
            raise JobRejected(None, error_info(ErrorCode.INVALID_FIELD, text, path="id"))
        if name in self._ledger.entries:
            text = f"a job with the id {name!r} is running on this connection"
            raise JobRejected(name, error_info(ErrorCode.ID_CONFLICT, text, path="id"))
        most = self.welcome.limits.max_frame_bytes
        if len(message) > most:
            text = f"the message would take {len(message)} bytes; this server takes {most} at most"
            raise JobRejected(name, error_info(ErrorCode.INPUT_TOO_LARGE, text))
        return message

    # --- more of a job's text ---------------------------------------------------------------------

    async def append(self, job_id: str, text: str | None = None, *, final: bool) -> InputReply:
        """Send more text of an open job; see `Job.append`."""
        return await self._feeder.append(job_id, text, final=final)

    async def revise(self, job_id: str, text: str) -> InputReply:
        """Send the new full text of a live job; see `Job.revise`."""
        return await self._feeder.revise(job_id, text)

    # --- questions ------------------------------------------------------------------------------

    async def cancel(self, job_id: str) -> CancelReply:
        """Ask the server to stop a job of this connection by its id."""
        self._ledger.give_up(job_id)
        wire_id = self._ledger.entries.wire_id(job_id)
        reply: CancelReply = await self._ask(("cancel", wire_id), Cancel(id=wire_id))
        return reply

    async def cancel_all(self) -> CancelReply:
        """Ask the server to stop every job of this connection; the reply's `ids` names them."""
        return await self.cancel("*")

    async def jobs(self) -> list[JobInfo]:
        """Return the server's view of this session's jobs, oldest first.

        Those that have ended (`state` is `done`) are there as long as the server keeps their
        results.
        """
        return cast("list[JobInfo]", await self._ask(("jobs", None), Jobs()))

    async def ping(self) -> float:
        """Return how long a round trip to the server's session takes, in seconds."""
        begun = time.perf_counter()
        await self._ask("ping", Ping())
        return time.perf_counter() - begun

    async def _ask(self, kind: Hashable, question: ClientFrame, *, repeatable: bool = True) -> Any:
        self._raise_if_ended()
        _ = self.welcome  # raises where the client was never opened
        message = encode(question)
        answer = self._ledger.ask(kind, message, repeatable=repeatable)
        await self._keeper.send(message)
        return await answer

    def _cancel_later(self, job_id: str) -> None:
        """Send a cancel for someone who is on the way out."""

        async def quietly() -> None:
            try:
                await self.cancel(job_id)
            except WsprocError:
                return

        task = asyncio.get_running_loop().create_task(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _raise_if_ended(self) -> None:
        """Raise the end of the connection anew: an error that is raised twice grows its trace."""
        ended = self._keeper.ended
        if isinstance(ended, Unauthorized):
            raise Unauthorized(str(ended), ended.reason) from ended
        if isinstance(ended, ConnectionLost):
            raise ConnectionLost(str(ended), ended.close_code, ended.reason) from ended
        if ended is not None:
            raise ProtocolError(str(ended)) from ended


def _repeatable(resubmit: bool | Collection[str]) -> _Tasks:
    if isinstance(resubmit, bool):
        return _Tasks(None if resubmit else frozenset())
    return _Tasks(frozenset(resubmit))


class _Tasks:
    """Names of tasks; None stands for all."""

    def __init__(self, names: frozenset[str] | None) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return self._names is None or name in self._names
