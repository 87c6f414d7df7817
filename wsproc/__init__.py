"""wsproc: text jobs over one WebSocket, batched over all clients, streamed and cancellable.

Public names are loaded when they are first used; importing this loads no model library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsproc.client import (
        Client,
        ConnectFailed,
        ConnectionLost,
        ConnectionState,
        InputRefused,
        Job,
        JobCancelled,
        JobFailed,
        JobLost,
        JobRejected,
        ProtocolError,
        Reconnect,
        SessionLost,
        Unauthorized,
        WsprocError,
        connect,
        connect_sync,
    )
    from wsproc.config import ServerConfig
    from wsproc.engine import Engine, EngineConfig
    from wsproc.frames.client import Submit
    from wsproc.server import Server
    from wsproc.tasks import JobContext, TaskRegistry, TaskResult, default_registry

_HOMES = {
    "wsproc.client": (
        "Client",
        "ConnectFailed",
        "ConnectionLost",
        "ConnectionState",
        "InputRefused",
        "Job",
        "JobCancelled",
        "JobFailed",
        "JobLost",
        "JobRejected",
        "ProtocolError",
        "SessionLost",
        "Reconnect",
        "Unauthorized",
        "WsprocError",
        "connect",
        "connect_sync",
    ),
    "wsproc.config": ("ServerConfig",),
    "wsproc.engine": ("Engine", "EngineConfig"),
    "wsproc.frames.client": ("Submit",),
    "wsproc.server": ("Server",),
    "wsproc.tasks": ("JobContext", "TaskRegistry", "TaskResult", "default_registry"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Client",
    "ConnectFailed",
    "ConnectionLost",
    "ConnectionState",
    "Engine",
    "EngineConfig",
    "InputRefused",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobLost",
    "JobRejected",
    "ProtocolError",
    "Reconnect",
    "Server",
    "ServerConfig",
    "SessionLost",
    "Submit",
    "TaskRegistry",
    "TaskResult",
    "Unauthorized",
    "WsprocError",
    "connect",
    "connect_sync",
    "default_registry",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'wsproc' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
