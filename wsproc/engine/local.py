"""A worker as a child process of this one, and the asyncio end of the socket to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from wsproc.engine.ledger import Death
from wsproc.engine.messages import Load, Message, Unpacker, pack
from wsproc.engine.recorder import FlightRecorder

_MIB = 1 << 20
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * _MIB),
    "MALLOC_TRIM_THRESHOLD_": str(512 * _MIB),
    "MALLOC_TOP_PAD_": str(64 * _MIB),
}
"""What makes glibc keep the memory of a step's tensors for the next step's.

By itself it gives it back and gets it again page by page, each page set to zero anew. The embedded
classifier's pass over 1,200 tokens took 11.4 ms so, and takes 7.4 ms with this (one thread of an
AMD EPYC); a step of mixed lengths took 13.8 and takes 12.5. 32 MiB is the most that glibc allows.
"""

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
"""Signals that a process does not send itself by a defect."""


class LocalWorker(asyncio.Protocol):
    """One worker process.

    `on_message` gets each message of the worker, `on_lost` comes once when the process is gone: the
    kernel closes a dead process's socket, so a kill -9 is seen within milliseconds.
    """

    def __init__(
        self, name: str, on_message: Callable[[Message], None], on_lost: Callable[[], None]
    ) -> None:
        self.name = name
        self.heard_at = time.monotonic()
        self._on_message = on_message
        self._on_lost = on_lost
        self._unpacker = Unpacker()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._recorder: FlightRecorder | None = None
        self._hung = False

    @property
    def pid(self) -> int | None:
        """The process id, None before the start."""
        return self._process.pid if self._process else None

    async def start(
        self, stages: Mapping[str, Mapping[str, Any]], *, threads: int, niceness: int
    ) -> None:
        """Start the process and ask it to load its stages."""
        ours, theirs = socket.socketpair()
        watched, self._lifeline = os.pipe()
        shared = FlightRecorder.descriptor()
        try:
            self._recorder = FlightRecorder(shared)
            self._process = _spawn(theirs.fileno(), watched, shared, threads)
        finally:
            theirs.close()
            os.close(watched)
            os.close(shared)
        _be_nice(self._process.pid, niceness)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=ours)
        self.send(Load(stages))

    def send(self, message: Message) -> None:
        """Send a message; one to a worker that is gone is dropped: `on_lost` tells of its loss."""
        self.send_packed(pack(message, time.monotonic()))

    def send_packed(self, message: bytes) -> None:
        """Send a message that was packed already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    def kill(self) -> None:
        """Kill the process, which hangs; `on_lost` follows. One that was stopped does not hang."""
        if self._process is not None:
            self._hung = not _is_stopped(self._process.pid)
            self._process.kill()

    def death(self) -> tuple[Death, str]:
        """Say what ended the process, and in words; to be asked once `close` has returned."""
        status = self._process.returncode if self._process is not None else None
        if status is None or status >= 0:
            return Death.CRASHED, f"exit status {status}"
        name = signal.Signals(-status).name
        outside = -status in _FROM_OUTSIDE and not self._hung
        return (Death.KILLED if outside else Death.CRASHED), "hung" if self._hung else name

    def on_device(self) -> list[tuple[int, int]]:
        """Return (call, item) of what the worker had on its device last, dead or alive."""
        return [] if self._recorder is None else self._recorder.read()

    async def close(self, patience_s: float = 2.0) -> None:
        """End the process: its socket is closed, and after `patience_s` it is killed."""
        if self._transport is not None:
            self._transport.close()
        if self._process is None:
            return
        loop = asyncio.get_running_loop()
        gone = loop.run_in_executor(None, self._process.wait)
        try:
            await asyncio.wait_for(asyncio.shield(gone), patience_s)
        except TimeoutError:
            self.kill()
            await gone
        finally:
            self._close_lifeline()

    # --- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Another loop than asyncio's own has transports of no such class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand on the messages that are whole."""
        self.heard_at = time.monotonic()
        for message in self._unpacker.feed(data, self.heard_at):
            self._on_message(message)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the pool."""
        self._on_lost()

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None


def _spawn(link: int, lifeline: int, recorder: int, threads: int) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter with three descriptors of ours; never a fork of this process."""
    descriptors = (link, lifeline, recorder)
    return subprocess.Popen(  # noqa: S603  # the command is our own module
        [sys.executable, "-m", "wsproc.engine.child", *map(str, descriptors)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else None,
        env=_environment(threads),
    )


def _environment(threads: int) -> dict[str, str]:
    """Return the child's environment: our import path, and how it uses memory and threads.

    Threads that spin while they wait for each other stand still for as long as another process has
    the core of one of them, so they sleep instead, unless the user says otherwise. Measured on two
    busy cores with two threads: the embedded classifier did 21 chunks a second with libgomp's own
    spinning (5 to 85) and 533 without (363 to 918); a roberta-base 0.75 (0.25 to 2.3) and 4.5 (3.5
    to 7.3). A short spin (`GOMP_SPINCOUNT=1000`) was no better than none.

    The server's own settings stay behind: a token among them is nothing that a model should hold.
    """
    own = {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    given = {name: value for name, value in os.environ.items() if not name.startswith("WSPROC_")}
    return {"OMP_WAIT_POLICY": "PASSIVE", **_ALLOCATOR, **given, **own}


def _be_nice(pid: int, niceness: int) -> None:
    """Let the event loop go first where cores are shared: a step can wait, a cancel cannot."""
    if hasattr(os, "setpriority"):
        try:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
        except OSError:
            return


def _is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal, where the system tells; it is silent, not hung."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def _has_descriptor(stream: Any) -> bool:
    """Whether a stream is a real file (under a test runner or in a notebook it may be none)."""
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
