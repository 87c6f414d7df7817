"""The worker process: `python -m wsproc.engine.child SOCKET_FD LIFELINE_FD RECORDER_FD`.

It reads one `Load`, builds its stages, says `Ready` and serves until the socket ends. The lifeline
is a pipe that nobody writes to: it ends when the parent dies, however it dies, and then so does the
child, even in the middle of a step.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from wsproc.engine.call import EngineError, Item
from wsproc.engine.heap import freeze_heap
from wsproc.engine.messages import Broken, Load, Loading, Message, Ready, Unpacker, pack
from wsproc.engine.recorder import FlightRecorder
from wsproc.engine.stages.stage import Stage
from wsproc.engine.warm_up import warm_up
from wsproc.engine.worker import Worker
from wsproc.engine.worker_logs import send_logs

_PIECE = 1 << 18


class SocketLink:
    """The worker's end of the socket to its pool."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._unpacker = Unpacker()
        self._sending = threading.Lock()  # any thread may log

    def receive(self, wait: bool) -> Sequence[Message] | None:
        """Return the whole messages that have come; None once the pool is gone."""
        messages: list[Message] = []
        while True:
            block = wait and not messages
            try:
                data = self._socket.recv(_PIECE, 0 if block else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return messages
            except ConnectionError:
                return None
            if not data:
                return None
            messages += self._unpacker.feed(data, time.monotonic())

    def send(self, message: Message) -> None:
        """Send a message; a pool that is gone is noticed by the next `receive`."""
        packed = pack(message, time.monotonic())
        try:
            with self._sending:
                self._socket.sendall(packed)
        except (BrokenPipeError, ConnectionError):
            return


def main() -> None:
    """Run a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    faulthandler.enable()  # where a native library crashes, stderr tells what called it
    threading.Thread(target=_die_with_parent, args=(int(sys.argv[2]),), daemon=True).start()
    link = SocketLink(socket.socket(fileno=int(sys.argv[1])))
    send_logs(link.send)
    stages = _load(link)
    if stages is not None:
        recorder = FlightRecorder(int(sys.argv[3]))
        freeze_heap()
        Worker(stages, link, record=recorder.note, check=_check_device).run()
    # Nothing is left to be done, and taking an interpreter with torch apart takes two seconds.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _die_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(0)


def _check_device() -> None:
    """Raise where CUDA has lost its context, after which nothing works in this process any more.

    An illegal access of memory or a failed assertion in a kernel does that.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _load(link: SocketLink) -> Mapping[str, Stage] | None:
    """Build the stages that the pool asks for; tell it what is wrong when that fails."""
    messages = link.receive(wait=True)
    if not messages or not isinstance(messages[0], Load):
        return None
    try:
        stages = {
            name: _build(name, settings, link) for name, settings in messages[0].stages.items()
        }
    except EngineError as error:
        link.send(Broken(error))
        return None
    except Exception as error:  # a stage of one's own may raise anything
        logging.getLogger("wsproc.engine").error("a stage cannot be built", exc_info=error)
        link.send(Broken(EngineError(f"a stage cannot be built: {error}")))
        return None
    for name, stage in stages.items():
        warm_up(name, stage)
    link.send(Ready({name: _facts(stage) for name, stage in stages.items()}, _samples(stages)))
    return stages


def _build(name: str, settings: Mapping[str, Any], link: SocketLink) -> Stage:
    from wsproc.engine.stages.registry import StageSettings, build_stage

    return build_stage(name, StageSettings(**settings), lambda text: link.send(Loading(text)))


def _facts(stage: Stage) -> Mapping[str, Any]:
    """Return what a stage tells of its model, for people; a stage need not tell anything."""
    return dict(getattr(stage, "facts", {}))


def _samples(stages: Mapping[str, Stage]) -> Mapping[str, Item]:
    """Return the items by which stages that have one can be tried while they serve."""
    tried = {name: getattr(stage, "warm_up_item", None) for name, stage in stages.items()}
    return {name: item for name, item in tried.items() if item is not None}


if __name__ == "__main__":
    main()
