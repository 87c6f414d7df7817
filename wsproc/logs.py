"""Logs: a reader of events, and the form that all log lines of the process take.

Everything is logged through the standard library, so that an application of one's own around a
`Server` configures logs as it likes; `configure` is for a process that is a server and no more.
Rules that hold there:

- A line never holds a text, a token or a session's secret. Frames and headers are what `websockets`
  logs at its lower levels, so those stay off. An exception is written without its message, which
  may quote what it failed on, unless that comes from the system or from us; the level `debug`
  shows it (`engine/tracebacks.py`).
- The loop never waits for whoever reads stderr. A thread writes; lines that come while thousands
  wait for it are dropped and counted. A stderr that is closed loses the lines and nothing else.
- The ids of connection, session, principal and job come from context variables, so they are on the
  lines of everybody who works for them.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExceptionRenderer, ExceptionTransformer, ExcInfo, Processor

from wsproc.engine.tracebacks import describe
from wsproc.events import (
    FAULTS,
    Answered,
    Connected,
    Disconnected,
    Event,
    HandshakeRefused,
    HealthChanged,
    JobEnded,
    Peer,
    PeerStalled,
    ResumeAnswered,
    WorkerProbed,
)
from wsproc.rate import TokenBucket

Level = Literal["auto", "debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

bound = structlog.contextvars.bound_contextvars
"""Put ids on all lines that are logged inside of a `with` block and by what is started there."""

bind = structlog.contextvars.bind_contextvars
"""Put ids on all lines that this task logs from now on, and those that it starts."""

WAITING_LINES = 10_000
FLUSH_S = 2.0
"""How long the last lines may take at the end: the reader of stderr may have stopped for ever."""

REFUSALS_PER_S, REFUSALS_BURST = 5.0, 50.0
"""Lines about refused handshakes; further ones are counted, and the next line says how many."""

_PROBES = ("/healthz", "/readyz")
"""What balancers ask every few seconds; nobody wants to read that."""


class LogReader:
    """One line for whatever an operator would want to look up later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._connections = logging.getLogger("wsproc.connection")
        self._jobs = logging.getLogger("wsproc.jobs")
        self._health = logging.getLogger("wsproc.health")
        self._refusals = TokenBucket(REFUSALS_PER_S, REFUSALS_BURST)
        self._unlogged = 0

    def __call__(self, event: Event, /) -> None:
        """Log an event at the level that suits it; most rejections are only counted."""
        match event:
            case Connected(peer):
                self._connections.info("connection opened", extra=_peer(peer))
            case Disconnected(peer):
                self._connections.info("connection closed", extra=_peer(peer) | _closed(event))
            case PeerStalled(peer):
                self._connections.warning(
                    "a client read nothing for too long and was cut off", extra=_peer(peer)
                )
            case Answered(peer, path, status):
                told = {"path": path, "status": status, "seconds": round(event.seconds, 3)}
                level = logging.DEBUG if path in _PROBES else logging.INFO
                self._connections.log(level, "request answered", extra=_peer(peer) | told)
            case ResumeAnswered("ok", session):
                self._connections.info("session resumed", extra={"session": session})
            case ResumeAnswered(outcome):
                self._connections.info("session not resumed", extra={"outcome": outcome})
            case HandshakeRefused(peer, code, reason):
                self._refused(_peer(peer) | {"code": code, "reason": reason})
            case JobEnded(outcome=outcome):
                level = logging.WARNING if outcome in FAULTS else logging.INFO
                if self._jobs.isEnabledFor(level):
                    self._jobs.log(level, "job ended", extra=_ended(event))
            case WorkerProbed(worker, took_s, str(error)):
                told = {"worker": worker, "took_s": round(took_s, 3), "error": error}
                self._health.warning("a worker did not finish a probe", extra=told)
            case HealthChanged(()):
                self._health.warning("the engine is healthy again")
            case HealthChanged(reasons):
                self._health.error("the engine is not healthy: %s", "; ".join(reasons))

    def _refused(self, told: dict[str, Any]) -> None:
        """Log a refused handshake, unless somebody floods us with them."""
        if self._refusals.take(1, self._clock()):
            self._unlogged += 1
            return
        if self._unlogged:
            told["unlogged"], self._unlogged = self._unlogged, 0
        self._connections.warning("handshake refused", extra=told)


def ids_of(peer: Peer) -> dict[str, Any]:
    """Return the ids that are bound while a connection is worked for."""
    told = {"connection": peer.connection, "principal": peer.principal}
    return {name: value for name, value in told.items() if value is not None}


def _peer(peer: Peer) -> dict[str, Any]:
    told = {"peer": peer.address, "origin": peer.origin}
    return ids_of(peer) | {name: value for name, value in told.items() if value}


def _closed(event: Disconnected) -> dict[str, Any]:
    told: dict[str, Any] = {
        "code": event.code,
        "seconds": round(event.seconds, 3),
        "frames_in": event.frames_in,
        "frames_out": event.frames_out,
    }
    return told | ({"reason": event.reason} if event.reason else {})


def _ended(event: JobEnded) -> dict[str, Any]:
    told = {
        "session": event.session,
        "job": event.job,
        "task": event.task,
        "outcome": event.outcome,
        "reason": event.reason,
        "inputs": event.inputs,
        "characters": event.characters,
        "queued_s": round(event.queued_s, 4),
        "run_s": round(event.run_s, 4),
        "stop_s": None if event.stop_s is None else round(event.stop_s, 4),
        "usage": dict(event.usage) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


# --- the form of the lines ----------------------------------------------------------------------


class Logs:
    """The log lines of this process, while it is a server; `close` writes what still waits.

    `dropped` counts the lines that were lost because nobody read them.
    """

    def __init__(self, level: Level, form: Format, stream: TextIO | None = None) -> None:
        stream = sys.stderr if stream is None else stream
        terminal = stream is not None and stream.isatty()
        chosen = level if level != "auto" else "warning" if terminal else "info"
        self.json = form == "json" or (form == "auto" and not terminal)
        lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._handler = _Queued(lines)
        self._handler.setFormatter(_formatter(self.json, terminal, quoting=chosen == "debug"))
        self._writer = logging.handlers.QueueListener(lines, _Unbreakable(stream))
        self._root = logging.getLogger()
        self._root.addHandler(self._handler)
        self._levels = {"wsproc": chosen.upper(), "wsproc.websockets": "WARNING"}
        for name, at in self._levels.items():
            logging.getLogger(name).setLevel(at)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost since the start."""
        return self._handler.dropped

    def close(self) -> None:
        """Write what waits, within bounds, and leave logging as it was found."""
        self._root.removeHandler(self._handler)
        for name in self._levels:
            logging.getLogger(name).setLevel(logging.NOTSET)
        ending = threading.Thread(target=self._writer.stop, daemon=True)
        ending.start()
        ending.join(FLUSH_S)


class _Queued(logging.handlers.QueueHandler):
    """Formats a line where it is logged, since the ids are there, and hands it to the writer.

    By a `SimpleQueue`, bounded here: a `Queue` would be half of what the writer costs, and that is
    taken from the event loop.
    """

    queue: queue.SimpleQueue[Any]
    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.queue.qsize() < WAITING_LINES:
            self.queue.put_nowait(record)
        else:
            self.dropped += 1


class _Unbreakable(logging.StreamHandler[TextIO]):
    """Writes lines to a stream that may be closed, full or gone."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Lose the line, there is nowhere to tell; write nowhere from now on if nobody reads."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def _formatter(as_json: bool, colors: bool, *, quoting: bool) -> logging.Formatter:
    told: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_leftovers,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        last += [
            structlog.processors.ExceptionRenderer(_exceptions(quoting)),
            structlog.processors.JSONRenderer(_json),
        ]
    else:
        last.append(
            structlog.dev.ConsoleRenderer(
                colors=colors,
                repr_native_str=True,  # an Origin may hold what steers a terminal
                exception_formatter=_exceptions_below(quoting),
            )
        )
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=told, processors=last)


def _without_leftovers(_: Any, __: str, line: EventDict) -> EventDict:
    """Drop what another handler's formatter has put on the record: the event has it."""
    line.pop("message", None)
    line.pop("asctime", None)
    return line


def _json(line: EventDict, **_: Any) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _exceptions(quoting: bool) -> ExceptionTransformer:
    def transform(exc_info: ExcInfo) -> str:
        return describe(exc_info[1], quoting=quoting)

    return transform


def _exceptions_below(quoting: bool) -> ExceptionRenderer:
    def render(stream: TextIO, exc_info: ExcInfo) -> None:
        stream.write(f"\n{describe(exc_info[1], quoting=quoting)}")

    return render
