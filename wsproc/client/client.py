"""The connection: one reader task hands every frame to the job or the question that it is for."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Unpack
from urllib.parse import urlsplit

import orjson
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from wsproc.client.errors import (
    ConnectFailed,
    ConnectionLost,
    JobRejected,
    ProtocolError,
    WsprocError,
)
from wsproc.client.job import Job
from wsproc.client.options import GenerateOptions, TextOptions
from wsproc.client.replies import Replies
from wsproc.frames.errors import ErrorCode, error_info
from wsproc.frames.server import (
    Accepted,
    AuthRequired,
    CancelReply,
    Error,
    Goaway,
    JobFrame,
    JobInfo,
    JobsReply,
    Pong,
    Rejected,
    ServerFrame,
    Welcome,
)
from wsproc.protocol import SUBPROTOCOL, decode_server

logger = logging.getLogger("wsproc.client")

DEFAULT_URL = "ws://127.0.0.1:8765"

MAX_FRAME_BYTES = 64 << 20
"""The largest frame taken from a server: a `done` holds a job's whole result."""

CLOSE_PATIENCE_S = 2.0
"""How long a server may take to answer a close before the connection is cut."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def connect(
    url: str = DEFAULT_URL,
    *,
    tap: Callable[[str], None] | None = None,
    open_timeout_s: float = 10.0,
    **socket_options: Any,
) -> Client:
    """Return a client for a server's address; `async with` opens and closes it.

    `url` is `ws://HOST:PORT` or `wss://...`; a browser's `http://...` is understood too. `tap` is
    given every message as it came, before it is acted upon, and must not raise. `socket_options`
    go to `websockets.asyncio.client.connect` as they are (`ssl`, `additional_headers`, ...).
    """
    return Client(url, tap=tap, open_timeout_s=open_timeout_s, **socket_options)


class Client:
    """A connection to a wsproc server; made by `connect`.

    Any number of tasks may use it at once. `welcome` is what the server told of itself: `tasks`,
    `limits`, its version. `goaway` is set once the server announced that it will close; jobs
    submitted after that are rejected. A connection that was lost stays lost: its jobs raise
    `JobLost`, everything else raises `ConnectionLost`, and a new client is needed.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        tap: Callable[[str], None] | None = None,
        open_timeout_s: float = 10.0,
        **socket_options: Any,
    ) -> None:
        self.url = _websocket_url(url)
        self.goaway: Goaway | None = None
        self._tap = tap
        self._open_timeout_s = open_timeout_s
        own_options = {"compression": None, **_no_proxy_to_self(self.url)}
        self._socket_options = {**own_options, **socket_options}
        self._socket: ClientConnection | None = None
        self._welcome: Welcome | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lost: WsprocError | None = None
        self._jobs: dict[str, Job] = {}
        self._submitted: dict[str, str] = {}
        self._replies = Replies()
        self._ids = itertools.count(1)
        self._pings = itertools.count(1)
        self._background: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        state = "lost" if self._lost else "open" if self._reader else "not open"
        return f"<Client {self.url} {state}, {len(self._jobs)} jobs>"

    @property
    def welcome(self) -> Welcome:
        """What the server told of itself when the connection was opened."""
        if self._welcome is None:
            raise ConnectFailed("the client is not open; use it with `async with` or await `open`")
        return self._welcome

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
        """Connect and wait for the welcome; raise `ConnectFailed`. `close` is due afterwards."""
        try:
            async with asyncio.timeout(self._open_timeout_s):
                self._socket = await self._dial()
                self._welcome = await self._greeted(self._socket)
        except TimeoutError:
            await self._cut()
            message = f"{self.url} said nothing within {self._open_timeout_s:g} s"
            raise ConnectFailed(message) from None
        except BaseException:
            await self._cut()
            raise
        self._reader = asyncio.get_running_loop().create_task(self._read(self._socket))

    async def close(self) -> None:
        """Close the connection; the server cancels the jobs that are left. Safe to repeat."""
        for task in self._background:
            task.cancel()
        if self._socket is None:
            return
        try:
            async with asyncio.timeout(CLOSE_PATIENCE_S):
                await self._socket.close()
        except TimeoutError:
            await self._cut()
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def _dial(self) -> ClientConnection:
        try:
            return await open_socket(
                self.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                max_size=MAX_FRAME_BYTES,
                open_timeout=None,  # the clock above holds for the welcome too
                **self._socket_options,
            )
        except InvalidURI:
            message = f"{self.url!r} is no WebSocket address; write it as ws://HOST:PORT"
            raise ConnectFailed(message) from None
        except InvalidStatus as error:
            status, said = error.response.status_code, _first_line(error.response.body)
            message = f"{self.url} answered HTTP {status}{said}; is it a wsproc server?"
            raise ConnectFailed(message) from error
        except (OSError, WebSocketException) as error:
            raise ConnectFailed(f"cannot connect to {self.url}: {_words(error)}") from error

    async def _greeted(self, socket: ClientConnection) -> Welcome:
        try:
            frame = self._decode(await socket.recv(decode=True))
        except ConnectionClosed as closed:
            lost = _lost(closed)
            message = f"{self.url} turned us away: {lost.reason or 'no reason given'}"
            raise ConnectFailed(f"{message} ({lost.close_code})", lost.close_code) from None
        except ProtocolError as error:
            raise ConnectFailed(f"{self.url} is no wsproc server: {error}") from error
        if isinstance(frame, AuthRequired):
            raise ConnectFailed(f"{self.url} asks for a token, which this client cannot give")
        if not isinstance(frame, Welcome):
            raise ConnectFailed(f"{self.url} did not begin with a welcome; is it a wsproc server?")
        return frame

    async def _cut(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
            await self._socket.wait_closed()

    # --- jobs -----------------------------------------------------------------------------------

    async def process(self, text: str, **options: Unpack[TextOptions]) -> Job:
        """Submit a text whose results are streamed; return its job once it is accepted.

        Raises `JobRejected` when it is not, and `ConnectionLost`.
        """
        return await self.submit("process", text=text, **options)

    async def batch(
        self,
        text: str | None = None,
        *,
        texts: Sequence[str] | None = None,
        **options: Unpack[TextOptions],
    ) -> Job:
        """Submit one text or several, answered at once at the end; return the accepted job."""
        given = {"text": text, "texts": None if texts is None else list(texts)}
        inputs = {name: value for name, value in given.items() if value is not None}
        return await self.submit("batch", **inputs, **options)

    async def generate(self, prompt: str, **options: Unpack[GenerateOptions]) -> Job:
        """Submit a prompt to be continued; see `Job.tokens`. Return the accepted job."""
        return await self.submit("generate", prompt=prompt, **options)

    async def submit(self, task: str, /, **fields: Any) -> Job:
        """Submit a job of any task that the server has; return it once it is accepted.

        `fields` go into the frame as they are; `id` is chosen here if not given. Raises
        `JobRejected`, `ConnectionLost`, and `ValueError` for fields that are no JSON. When the
        caller is cancelled while it waits, so is the job.
        """
        job_id = str(fields.pop("id", None) or self._new_id())
        message = self._checked(job_id, task, fields)
        self._submitted[job_id] = task
        answer = self._replies.expect(("submit", job_id))
        try:
            await self._send(message)
            job: Job = await answer
        except asyncio.CancelledError:
            self._jobs.pop(job_id, None)
            self._spawn(self._send(_json({"type": "cancel", "id": job_id})))
            raise
        return job

    async def cancel(self, job_id: str) -> CancelReply:
        """Ask the server to stop a job of this connection by its id."""
        reply: CancelReply = await self._ask(("cancel", job_id), {"type": "cancel", "id": job_id})
        return reply

    async def cancel_all(self) -> CancelReply:
        """Ask the server to stop every job of this connection; the reply's `ids` names them."""
        return await self.cancel("*")

    async def jobs(self) -> list[JobInfo]:
        """Return the server's view of this connection's jobs that have not ended, oldest first."""
        reply: JobsReply = await self._ask("jobs", {"type": "jobs"})
        return reply.jobs

    async def ping(self) -> float:
        """Return how long a round trip to the server's session takes, in seconds."""
        n, begun = next(self._pings), time.perf_counter()
        await self._ask(("ping", n), {"type": "ping", "n": n})
        return time.perf_counter() - begun

    def _new_id(self) -> str:
        while True:
            name = f"py-{next(self._ids)}"
            if name not in self._jobs and name not in self._submitted:
                return name

    def _checked(self, job_id: str, task: str, fields: dict[str, Any]) -> bytes:
        """Return the submit as a message; refuse here what would confuse or end the connection."""
        message = _json({"type": task, "id": job_id, **fields})
        if not _ID.fullmatch(job_id):
            text = f"id: 1 to 64 of A-Z a-z 0-9 _ . : -, this is {job_id[:80]!r}"
            raise JobRejected(None, error_info(ErrorCode.INVALID_FIELD, text, path="id"))
        if job_id in self._jobs or job_id in self._submitted:
            text = f"a job with the id {job_id!r} is running on this connection"
            raise JobRejected(job_id, error_info(ErrorCode.ID_CONFLICT, text, path="id"))
        most = self.welcome.limits.max_frame_bytes
        if len(message) > most:
            text = f"the message would take {len(message)} bytes; this server takes {most} at most"
            raise JobRejected(job_id, error_info(ErrorCode.INPUT_TOO_LARGE, text))
        return message

    # --- out ------------------------------------------------------------------------------------

    async def _ask(self, kind: Any, question: dict[str, Any]) -> Any:
        self._raise_if_lost()
        answer = self._replies.expect(kind)
        await self._send(_json(question))
        return await answer

    async def _send(self, message: bytes) -> None:
        self._raise_if_lost()
        if self._socket is None:
            _ = self.welcome
            return
        try:
            await self._socket.send(message, text=True)
        except ConnectionClosed as closed:
            self._raise_if_lost()
            raise _lost(closed) from None

    def _spawn(self, work: Any) -> None:
        async def quietly() -> None:
            try:
                await work
            except WsprocError:
                return

        task = asyncio.get_running_loop().create_task(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _raise_if_lost(self) -> None:
        if isinstance(self._lost, ConnectionLost):
            raise ConnectionLost(str(self._lost), self._lost.close_code, self._lost.reason)
        if self._lost is not None:
            raise ProtocolError(str(self._lost))

    # --- in -------------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        """Take in frames until the connection ends, then tell everyone who waits."""
        try:
            while True:
                frame = self._decode(await socket.recv(decode=True))
                if frame is not None:
                    self._receive(frame)
        except ConnectionClosed as closed:
            self._lose(_lost(closed))
        except ProtocolError as error:
            self._lose(error)
            await socket.close(1002, "protocol error")
        except Exception as error:  # the tap is not ours; nobody may be left waiting over it
            logger.exception("the tap raised an error, the connection is closed")
            self._lose(ConnectionLost(f"the tap raised {error!r}", 1006))
            await socket.close(1000)

    def _decode(self, message: str) -> ServerFrame | None:
        if self._tap is not None:
            self._tap(message)
        try:
            return decode_server(message)
        except (ValidationError, orjson.JSONDecodeError) as error:
            raise ProtocolError(f"a frame cannot be read: {error}") from error

    def _receive(self, frame: ServerFrame) -> None:
        match frame:
            case Accepted():
                self._accept(frame)
            case JobFrame():
                self._hand_on(frame)
            case Rejected():
                self._reject(frame.id, JobRejected(frame.id, frame.error))
            case CancelReply():
                self._replies.answer(("cancel", frame.id), frame)
            case JobsReply():
                self._replies.answer("jobs", frame)
            case Pong():
                self._replies.answer(("ping", frame.n), frame)
            case Error():
                self._note(frame)
            case Goaway():
                self.goaway = frame
            case _:  # heartbeats; and what later servers may add
                return

    def _accept(self, frame: Accepted) -> None:
        task = self._submitted.pop(frame.id, None)
        if task is None:
            return
        if frame.seq != 1:
            raise ProtocolError(f"job {frame.id!r}: accepted must be frame 1, it is {frame.seq}")
        job = Job(task, frame, lambda: self.cancel(frame.id))
        if self._replies.answer(("submit", frame.id), job):
            self._jobs[frame.id] = job

    def _reject(self, job_id: str | None, rejected: JobRejected) -> None:
        self._submitted.pop(job_id or "", None)
        self._replies.answer(("submit", job_id), rejected)

    def _hand_on(self, frame: JobFrame) -> None:
        job = self._jobs.get(frame.id)
        if job is None:
            return
        job.receive(frame)
        if job.done is not None:
            del self._jobs[frame.id]

    def _note(self, frame: Error) -> None:
        """Take an error about a submit for its rejection; any other is for the log."""
        job_id = frame.re.id if frame.re else None
        if ("submit", job_id) in self._replies:
            self._reject(job_id, JobRejected(job_id, frame.error))
        else:
            logger.warning("the server reports %s: %s", frame.error.code.value, frame.error.message)

    def _lose(self, error: WsprocError) -> None:
        self._lost = error
        self._replies.fail(error)
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.lose(error)


def _websocket_url(url: str) -> str:
    for browser, socket in (("http://", "ws://"), ("https://", "wss://")):
        if url.startswith(browser):
            return socket + url.removeprefix(browser)
    return url


def _no_proxy_to_self(url: str) -> dict[str, Any]:
    """Bypass the environment's proxy for servers on this machine: it is for the way out."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return {}
    return {"proxy": None} if host in ("localhost", "127.0.0.1", "::1") else {}


def _json(frame: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(frame)
    except TypeError as error:
        raise ValueError(f"the job cannot be written as JSON: {error}") from None


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    """Say how a connection ended; 1006 stands for an end without a close frame."""
    frame = closed.rcvd or closed.sent
    code, reason = (frame.code, frame.reason) if frame else (1006, "")
    words = reason or ("it broke off" if code == 1006 else "it was closed")
    return ConnectionLost(f"the connection ended ({code}): {words}", code, reason)


def _first_line(body: bytes | bytearray | None) -> str:
    line = (body or b"").decode(errors="replace").strip().splitlines()
    return f" ({line[0][:200]})" if line else ""


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "nothing listens there; start a server with `wsproc serve`"
    return str(error) or type(error).__name__
