"""How a command comes to a server: one that runs somewhere, or one of its own for one run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import typer

from wsproc.cli.exits import ExitCode, fail
from wsproc.cli.terminal import err
from wsproc.client import (
    Client,
    ConnectFailed,
    ConnectionLost,
    JobRejected,
    ProtocolError,
    connect,
)
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig, ModelUnavailable
from wsproc.engine.models.source import OFF, PRESETS, STAGES
from wsproc.server import Server

T = TypeVar("T")


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; each thing that can go wrong is one sentence and an exit code."""
    try:
        return asyncio.run(work)
    except JobRejected as error:
        fail(f"the job was rejected: {error}", ExitCode.JOB)
    except (ConnectFailed, ConnectionLost, ProtocolError) as error:
        fail(str(error), ExitCode.CONNECTION)
    except ModelUnavailable as error:
        fail(error.message, ExitCode.MODEL)
    except asyncio.CancelledError:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


@dataclass(frozen=True, slots=True)
class Target:
    """Which server a command works with: that at `url`, or where `local` is given its own."""

    url: str
    token: str | None = field(default=None, repr=False)
    local: ServerConfig | None = None


@asynccontextmanager
async def client_of(
    target: Target, tap: Callable[[str], None] | None = None
) -> AsyncIterator[Client]:
    """Connect to a command's server; one of its own is started first, on a free port."""
    async with (
        server_at(target) as address,
        connect(address, tap=tap, token=target.token) as client,
    ):
        yield client


@asynccontextmanager
async def server_at(target: Target) -> AsyncIterator[str]:
    """Give the address of a command's server; its own lives as long as the block does."""
    local = target.local
    if local is None:
        yield target.url
        return
    server = Server(local)
    with err().status("loading the models") as status:
        await server.start(status.update)
    try:
        yield server.url
    finally:
        await server.close()


def local_config(models: str, device: str, stages: Sequence[str], text: str) -> ServerConfig:
    """Return the settings of a server for one job on `text`: only the stages that it calls."""
    preset = preset_models(models)
    chosen = {stage: preset[stage] if stage in stages else OFF for stage in STAGES}
    defaults = ServerConfig()
    return ServerConfig(
        port=0,
        max_text_chars=max(defaults.max_text_chars, len(text)),
        max_frame_bytes=max(defaults.max_frame_bytes, 8 * len(text.encode())),
        engine=EngineConfig(models=chosen, device=device),
    )


def preset_models(name: str) -> dict[str, str]:
    """Return the models that a preset stands for; leave with a sentence for an unknown one."""
    preset = PRESETS.get(name)
    if preset is None:
        known = " or ".join(PRESETS)
        fail(f"--models {name}: there is no such preset; give {known}", ExitCode.USAGE)
    return dict(preset)
