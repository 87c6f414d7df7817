"""`wsproc serve`: a server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Literal, NoReturn

import typer

from wsproc.cli.exits import ExitCode, fail
from wsproc.cli.flags import Device, Models
from wsproc.cli.link import preset_models
from wsproc.cli.panel import announce
from wsproc.cli.settings import parse_options, parse_pairs
from wsproc.cli.terminal import err, out
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig, ModelUnavailable
from wsproc.server import Server
from wsproc.tasks import TaskRegistry, default_registry

_DEFAULT = ServerConfig()
_ENGINE = EngineConfig()
_MODELS = "Models"
_LIMITS = "Limits"
_TIMES = "Times, in seconds"
_OWN = "Tasks and stages of your own"
_MODEL_HELP = "embedded, hub, a folder, a Hub name, or none."


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = _DEFAULT.host,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = _DEFAULT.port,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Let pages of this origin connect, such as https://example.org, or null for pages"
            " opened from files; may be repeated. The server's own pages always may."
        ),
    ] = None,
    models: Models = "embedded",
    sentiment: Annotated[
        str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=_MODELS)
    ] = None,
    summary: Annotated[str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=_MODELS)] = None,
    entities: Annotated[
        str | None,
        typer.Option(
            help="embedded, hub, a folder, an installed spaCy package, or none.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    generation: Annotated[
        str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=_MODELS)
    ] = None,
    device: Device = _ENGINE.device,
    dtype: Annotated[
        str,
        typer.Option(help="auto, float32, bfloat16, float16, or int8.", rich_help_panel=_MODELS),
    ] = _ENGINE.dtype,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads of each worker. [default: the cores, shared by the workers]",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    kv_cache_mb: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Megabytes for what models that write remember of running texts."
            " [default: a quarter of the memory that is free, half on CUDA]",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    niceness: Annotated[
        int,
        typer.Option(
            min=0,
            max=19,
            help="Let the sockets go before the models by so much.",
            rich_help_panel=_MODELS,
        ),
    ] = _ENGINE.niceness,
    stall_s: Annotated[
        float,
        typer.Option(
            min=1,
            help="A worker that is silent for so long is started again.",
            rich_help_panel=_TIMES,
        ),
    ] = _ENGINE.stall_s,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STAGE.KEY=VALUE",
            rich_help_panel=_MODELS,
            help="One setting of one stage, such as sentiment.device=cpu, summary.rows=2 or"
            ' generation.options={"context":1024}; may be repeated.',
        ),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            "--stage",
            metavar="NAME=MODULE:FACTORY",
            rich_help_panel=_OWN,
            help="Serve a stage that you wrote; may be repeated.",
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--tasks",
            metavar="MODULE:FUNCTION",
            rich_help_panel=_OWN,
            help="Call this with the task registry, to add tasks that you wrote; may be repeated.",
        ),
    ] = None,
    max_text_chars: Annotated[
        int, typer.Option(min=10, help="Characters of one text.", rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_text_chars,
    max_texts: Annotated[
        int, typer.Option(min=1, help="Texts of one batch.", rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_texts,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Generated tokens of one job.", rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_tokens,
    max_frame_bytes: Annotated[
        int, typer.Option(min=1024, help="Bytes of one message in.", rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_frame_bytes,
    max_jobs_per_connection: Annotated[
        int, typer.Option(min=1, rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_jobs_per_connection,
    max_jobs: Annotated[
        int, typer.Option(min=1, help="Jobs in all.", rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_jobs,
    max_connections: Annotated[
        int, typer.Option(min=1, rich_help_panel=_LIMITS)
    ] = _DEFAULT.max_connections,
    outbox_bytes: Annotated[
        int,
        typer.Option(
            min=4096,
            help="Bytes that wait for one slow reader before its jobs pause.",
            rich_help_panel=_LIMITS,
        ),
    ] = _DEFAULT.outbox_bytes,
    heartbeat_s: Annotated[
        float, typer.Option(min=0.1, help="Between heartbeats when idle.", rich_help_panel=_TIMES)
    ] = _DEFAULT.heartbeat_s,
    send_timeout_s: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="A client that reads nothing for so long is cut off.",
            rich_help_panel=_TIMES,
        ),
    ] = _DEFAULT.send_timeout_s,
    open_timeout_s: Annotated[
        float, typer.Option(min=0.1, help="For the handshake.", rich_help_panel=_TIMES)
    ] = _DEFAULT.open_timeout_s,
    drain_s: Annotated[
        float, typer.Option(min=0, help="For an orderly end.", rich_help_panel=_TIMES)
    ] = _DEFAULT.drain_s,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="What is logged.")
    ] = "warning",
) -> None:
    """Serve text jobs over WebSocket, with a console page for browsers on the same port."""
    chosen = preset_models(models)
    own = {
        "sentiment": sentiment,
        "summary": summary,
        "entities": entities,
        "generation": generation,
    }
    engine = EngineConfig(
        models={**chosen, **{name: model for name, model in own.items() if model is not None}},
        own_stages=parse_pairs("--stage", stage or ()),
        device=device,
        dtype=dtype,
        threads=threads,
        kv_cache_mb=kv_cache_mb,
        settings=parse_options("--set", setting or ()),
        niceness=niceness,
        stall_s=stall_s,
    )
    config = ServerConfig(
        host=host,
        port=port,
        origins=tuple(origin or ()),
        max_frame_bytes=max_frame_bytes,
        max_text_chars=max_text_chars,
        max_texts=max_texts,
        max_tokens=max_tokens,
        max_jobs_per_connection=max_jobs_per_connection,
        max_jobs=max_jobs,
        max_connections=max_connections,
        outbox_bytes=outbox_bytes,
        heartbeat_s=heartbeat_s,
        send_timeout_s=send_timeout_s,
        open_timeout_s=open_timeout_s,
        drain_s=drain_s,
        engine=engine,
    )
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_serve(config, _registry(tasks or ())))


async def _serve(config: ServerConfig, registry: TaskRegistry) -> None:
    _check_address(config.host, config.port)
    server = Server(config, registry=registry)
    await _start(server)
    # Signals are handled before anyone can read the address and send one.
    ending = asyncio.create_task(server.run_until_signal())
    await asyncio.sleep(0)
    announce(out(), server)
    if not _is_loopback(config.host):
        err().print(
            f"anyone who can reach {config.host} can use this server: it asks for no token",
            style="yellow",
            soft_wrap=True,
        )
    await ending
    err().print("wsproc has ended", style="dim")


async def _start(server: Server) -> None:
    """Load and listen, telling stderr what is loaded; leave with a sentence if that fails."""
    console = err()
    try:
        with console.status("starting") as status:
            await server.start(_reporter(status.update) if console.is_terminal else _line)
    except ModelUnavailable as error:
        fail(error.message, ExitCode.MODEL)
    except OSError as error:
        _address_fails(server.config.host, server.config.port, error)


def _reporter(update: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: update(f"{text} …")


def _line(text: str) -> None:
    err().print(text, soft_wrap=True)


def _check_address(host: str, port: int) -> None:
    """Find a taken port before the models are loaded and not after."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        _address_fails(host, port, error)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address_fails(host: str, port: int, error: OSError) -> NoReturn:
    if isinstance(error, socket.gaierror):
        fail(f"--host {host}: there is no such address ({error.strerror})", ExitCode.ADDRESS)
    if error.errno == errno.EADDRINUSE:
        reason = "another program has it; choose another --port, or 0 for a free one"
    elif error.errno == errno.EADDRNOTAVAIL:
        reason = "this machine has no such address; 127.0.0.1 is itself, 0.0.0.0 is all of its own"
    else:
        reason = str(error.strerror)
    fail(f"cannot listen on {host}:{port}: {reason}", ExitCode.ADDRESS)


def _registry(tasks: Sequence[str]) -> TaskRegistry:
    """Return the built-in tasks and those of one's own."""
    registry = default_registry()
    for place in tasks:
        module, _, function = place.partition(":")
        try:
            getattr(import_module(module), function)(registry)
        except Exception as error:  # code of one's own may raise anything
            reason = f"{error} ({type(error).__name__})"
            fail(f"--tasks {place}: {reason}; give MODULE:FUNCTION", ExitCode.USAGE)
    return registry
