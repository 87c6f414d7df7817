"""The server: accepts sockets, gives each a session, answers HTTP, goes away in order."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import signal
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from wsproc.admission import Admission
from wsproc.auth.keyring import Keyring
from wsproc.config import ServerConfig
from wsproc.connection import Connection
from wsproc.departure import GOODBYE, Departure
from wsproc.engine import Engine
from wsproc.entrance import Entrance, Visitor
from wsproc.events import Reader, Readers
from wsproc.extras import missing
from wsproc.files import BadFile
from wsproc.gate import Gate
from wsproc.handshake import host_allowed
from wsproc.health import Verdict
from wsproc.http import Site
from wsproc.listening import bound_kernel, listen
from wsproc.lobby import Lobby
from wsproc.logs import LogReader
from wsproc.observe import Metrics
from wsproc.probe import Prober
from wsproc.session import Offer
from wsproc.tasks import TaskRegistry, default_registry
from wsproc.tenant import Tenants
from wsproc.tls import LiveTls

if TYPE_CHECKING:
    from wsproc.face import Face

logger = logging.getLogger("wsproc.server")

VERSION = version("wsproc")

ENGINE_GOODBYE_S = 0.5
"""How long workers may take to end by themselves; they have nothing to lose."""

ONCE = ("Host", "Origin", "Authorization", "User-Agent")
"""Headers that decide who may come in: given twice they might be read otherwise by a proxy."""


class Server:
    """A wsproc server. Use it with `async with`, or `start` and `close` it.

    `registry` holds the tasks, the built-in ones by default; `engine` is started and closed with
    the server; `readers` are told of what happens, beside metrics and logs (see `events.py`).
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        registry: TaskRegistry | None = None,
        engine: Engine | None = None,
        readers: Iterable[Reader] = (),
    ) -> None:
        self.config = config or ServerConfig()
        self.registry = registry or default_registry()
        self.engine = engine or Engine(self.config.engine)
        self.admission = Admission(self.config.max_jobs, self.config.max_queue_s)
        self.gate = Gate(self.config.max_connections, self.config.max_connections_per_address)
        self.metrics = Metrics(self.admission, self.engine)
        self._tell = Readers((self.metrics, LogReader(), *readers))
        self._keyring = Keyring(self.config.auth)
        self._tls = None if self.config.tls.cert is None else LiveTls(self.config.tls)
        self._count = itertools.count(1)
        self._entrance = Entrance(self.config, self._keyring, self._tell, self._count)
        self._connections: set[Connection] = set()
        self._listener: WebSocketServer | None = None
        self._port: int | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._departure: Departure | None = None
        self._offer = Offer(
            version=VERSION,
            epoch=secrets.token_urlsafe(8),
            tasks=self.registry.requests,
            limits=self.config.limits(),
            heartbeat_s=self.config.heartbeat_s,
            resume_s=self.config.resume_s,
            result_ttl_s=self.config.result_ttl_s,
            unavailable=self.engine.unavailable,
            tell=self._tell,
        )
        self._tenants = Tenants(self.config.max_jobs_per_principal, self.config.auth.may_submit)
        self.lobby = Lobby(
            self._offer,
            self.admission,
            self.engine,
            self.registry,
            self.config,
            self._tenants,
        )
        self.metrics.count_sessions(self.lobby)
        self._prober = Prober(
            self.engine, self.config.probe_s, self.config.probe_timeout_s, self._tell
        )
        self._face = self._http_face()
        self._site = Site(VERSION, self.registry, self.metrics, self.health, self.readiness)

    def __repr__(self) -> str:
        return f"<Server {len(self._connections)} connections, {self.admission!r}>"

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def port(self) -> int:
        """The port that is listened on, also after the server was closed."""
        assert self._port is not None, "the server is not started"
        return self._port

    @property
    def url(self) -> str:
        """The address to connect to."""
        return f"ws{self._s}://{_in_url(self.config.host)}:{self.port}/"

    @property
    def http_url(self) -> str | None:
        """The address of the HTTP face, None where there is none."""
        if self._face is None:
            return None
        host = _in_url(self.config.http_host or self.config.host)
        return f"http{self._s}://{host}:{self._face.port}/"

    @property
    def _s(self) -> str:
        return "" if self._tls is None else "s"

    async def start(self, report: Callable[[str], None] | None = None) -> None:
        """Read the files of tokens and TLS, load the models, then listen.

        `report` gets a line for each model. Raises `BadFile` for a file that cannot be used,
        `ModelUnavailable` where a model cannot be had, and `OSError` where the address cannot be
        bound; nothing is left running then.
        """
        for files in self._files():
            files.load()
        await self.engine.start(report)
        try:
            self._listener = await listen(
                self.config,
                version=VERSION,
                gate=self.gate,
                sockets=Visitor,
                tls=None if self._tls is None else self._tls.listening,
                handle=self._handle,
                answer=self._answer_http,
            )
            self._port = int(next(iter(self._listener.sockets)).getsockname()[1])
            if self._face is not None:
                await self._face.start()
        except BaseException:
            if self._listener is not None:
                self._listener.close()
            await self.engine.close()
            raise
        watching = (self.metrics.watch_loop(), self._prober.run())
        self._watchers = [asyncio.create_task(one) for one in watching]

    def reload(self) -> None:
        """Read the files of tokens and TLS again; one that cannot be used leaves all as it was.

        Open connections go on, but for those whose token is no longer taken.
        """
        for files in self._files():
            try:
                files.load()
                logger.info("%r was read again", files)
            except BadFile as error:
                logger.error("%s; what was read before stays in use", error)
        self._entrance.look_again()

    def _files(self) -> list[Keyring | LiveTls]:
        return [self._keyring, *([] if self._tls is None else [self._tls])]

    async def close(self) -> None:
        """Go away in order and in bounded time (see `departure.py`); a second call is no error."""
        if self._listener is None or self._departure is not None:
            return
        self._departure = departure = Departure(
            self.lobby,
            self._connections,
            drain_s=self.config.drain_s,
            grace_s=self.config.grace_s,
        )
        self._listener.close(close_connections=False)
        ways_out = [departure.run(self._all_closed), self._send_strangers_away()]
        if self._face is not None:
            ways_out.append(self._face.leave(departure.within, departure.told))
        await asyncio.gather(*ways_out, self._let_engine_go(departure))
        await self._listener.wait_closed()
        await departure.ended()
        if self._face is not None:
            await departure.told(self.config.grace_s, self._face.ended())

    def hurry(self) -> None:
        """Let a `close` that is under way wait for nothing more: jobs are stopped and their ends
        told, for half a second at most; workers are killed, what is open then is cut.
        """
        if self._departure is not None:
            self._departure.hurry()
            self._entrance.abort()

    async def _all_closed(self) -> None:
        assert self._listener is not None
        await self._listener.wait_closed()

    async def _let_engine_go(self, departure: Departure) -> None:
        """Close the engine once no job needs it, or no job may need it any more; a job whose worker
        hangs ends with its calls.
        """
        await departure.within(self.config.drain_s + self.config.grace_s, self._no_jobs(departure))
        for watcher in self._watchers:  # to them an engine that is shut down is a sick one
            watcher.cancel()
        closing = asyncio.create_task(self.engine.close())
        if not await departure.within(ENGINE_GOODBYE_S, _done(closing)):
            self.engine.kill()
        await closing

    async def _no_jobs(self, departure: Departure) -> None:
        await departure.finished()
        if self._face is not None:
            await self._face.finished()

    async def _send_strangers_away(self) -> None:
        try:
            async with asyncio.timeout(self.config.grace_s):
                await self._entrance.send_away(GOODBYE.code, GOODBYE.reason)
        except TimeoutError:
            self._entrance.abort()

    def health(self) -> Verdict:
        """Say whether the engine does work, by what each worker proved itself (see `health.py`)."""
        return self._prober.judge()

    def readiness(self) -> Verdict:
        """Say whether new clients had better come here: only while all workers serve."""
        health = self.health()
        reason = self._not_ready()
        others = [] if reason is None else [reason]
        return Verdict(tuple(dict.fromkeys([*others, *health.reasons])), health.workers)

    async def run_until_signal(self) -> None:
        """Serve until SIGINT or SIGTERM, then close; a second signal is a hurry.

        SIGHUP reads the files of tokens and TLS again.
        """
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()

        def on_signal() -> None:
            if asked.is_set():
                loop.call_soon(self.hurry)  # two at once: behind the beginning of the close
            asked.set()

        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, on_signal)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        await asked.wait()
        await self.close()

    # --- connections ----------------------------------------------------------------------------

    async def _handle(self, websocket: ServerConnection) -> None:
        guest = await self._entrance.meet(websocket)
        if guest is None:
            return
        connection = Connection(websocket, self.lobby, self.config, guest.peer, self._tell)
        self._connections.add(connection)
        self._entrance.watch(guest, connection.end)
        try:
            if self._departure is None:
                await connection.serve()
            else:  # the server began to go away while this client presented itself
                await websocket.close(GOODBYE.code, GOODBYE.reason)
        finally:
            self._entrance.leave(guest)
            self._connections.discard(connection)

    def _http_face(self) -> Face | None:
        """Return the HTTP face where it is asked for; raise `MissingExtra` where it cannot be."""
        config = self.config
        if config.http_port is None:
            return None
        try:
            from wsproc.face import Clients, Desk, Face
        except ModuleNotFoundError as error:
            raise missing("the HTTP face", "http", error) from error
        clients = Clients(
            config.max_jobs_per_connection, config.messages_per_s, config.message_burst
        )
        desk = Desk(
            config,
            self._offer,
            self.admission,
            self.engine,
            self.registry,
            clients,
            self._tenants,
        )
        return Face(
            desk,
            config,
            authenticator=self._keyring if self._keyring.asked else None,
            gate=self.gate,
            tls=None if self._tls is None else self._tls.listening,
            health=self.health,
            ready=self.readiness,
            count=self._count,
            bound=bound_kernel,
        )

    async def _answer_http(self, websocket: ServerConnection, request: Request) -> Response | None:
        is_handshake = "upgrade" in ",".join(request.headers.get_all("Connection")).lower()
        misled = self._misled(request)
        if misled is not None:
            status, words = misled
            if is_handshake:
                self._entrance.tell_refused(websocket, status, words)
            return websocket.respond(status, f"{words}\n")
        if is_handshake:
            return self._entrance.answer_handshake(websocket, request)
        if request.path.partition("?")[0] == "/metrics":
            refusal = self._entrance.answer_metrics(websocket, request)
            if refusal is not None:
                return refusal
        return self._site.answer(getattr(request, "method", "GET"), request.path)

    def _misled(self, request: Request) -> tuple[HTTPStatus, str] | None:
        """Return why a request must not be read any further, whatever it asks for."""
        headers, config = request.headers, self.config
        if any(len(headers.get_all(name)) > 1 for name in ONCE):
            return HTTPStatus.BAD_REQUEST, f"{', '.join(ONCE)} may be given once"
        host = headers.get("Host")
        if not host_allowed(host, config.host, config.origins, config.host_names):
            return HTTPStatus.MISDIRECTED_REQUEST, "this server answers to its own address only"
        return None

    def _not_ready(self) -> str | None:
        """Say why a balancer had better send new connections elsewhere; None where it need not.

        That is so from the moment on that a worker is down, not only when jobs are rejected: a
        job that comes meanwhile is taken and waits, but another server would run it at once.
        Balancers ask several times before they act, so a restart of a second moves nobody.
        """
        if self._departure is not None:
            return "shutting down"
        reasons = (self.engine.unavailable(stage) for stage in self.engine.stages)
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None and self.engine.down:
            return f"being started: {', '.join(self.engine.down)}; jobs are taken and wait"
        return reason


async def _done(task: asyncio.Task[None]) -> None:
    """Wait for a task without having it cancelled with the wait."""
    await asyncio.shield(task)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
