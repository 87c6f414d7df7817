"""`wsproc serve`: a server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from wsproc.cli.config_flags import from_flags, with_flags_of
from wsproc.cli.exits import ExitCode, fail
from wsproc.cli.load_settings import given_models, given_tables, load_settings
from wsproc.cli.open_files import allow_files
from wsproc.cli.panel import announce
from wsproc.cli.print_config import as_toml
from wsproc.cli.terminal import Steady, err, out
from wsproc.config import OWN, ServeConfig, ServerConfig
from wsproc.engine import ModelUnavailable
from wsproc.engine.config import MODELS
from wsproc.engine.heap import freeze_heap
from wsproc.events import Reader
from wsproc.extras import MissingExtra
from wsproc.files import BadFile
from wsproc.handshake import is_loopback
from wsproc.logs import Logs
from wsproc.server import VERSION, Server
from wsproc.tasks import TaskRegistry, default_registry
from wsproc.tracing import TraceReader, otlp_provider

logger = logging.getLogger("wsproc.cli")

_MODEL_HELP = "embedded, hub, a folder, a Hub name, or none."


@with_flags_of(ServeConfig)
def serve(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings as TOML; flags and WSPROC_* variables are stronger.",
            show_default="what WSPROC_CONFIG names",
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config", help="Print the settings in effect as TOML, and where from, and end."
        ),
    ] = False,
    models: Annotated[
        str | None,
        typer.Option(
            help="All models: embedded (in the package) or hub (well-known).",
            show_default="embedded",
            rich_help_panel=MODELS,
        ),
    ] = None,
    sentiment: Annotated[str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=MODELS)] = None,
    summary: Annotated[str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=MODELS)] = None,
    entities: Annotated[
        str | None,
        typer.Option(
            help="embedded, hub, a folder, an installed spaCy package, or none.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    generation: Annotated[
        str | None, typer.Option(help=_MODEL_HELP, rich_help_panel=MODELS)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STAGE.KEY=VALUE",
            rich_help_panel=MODELS,
            help="One setting of one stage, such as sentiment.device=cpu, summary.rows=2 or"
            ' generation.options={"context":1024}; may be repeated.',
        ),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            "--stage",
            metavar="NAME=MODULE:FACTORY",
            rich_help_panel=OWN,
            help="Serve a stage that you wrote; may be repeated.",
        ),
    ] = None,
    **_: Any,
) -> None:
    """Serve text jobs over WebSocket, with a console page for browsers on the same port."""
    stages = {
        "sentiment": sentiment,
        "summary": summary,
        "entities": entities,
        "generation": generation,
    }
    loaded = load_settings(
        config,
        [
            *given_models(models, stages),
            *given_tables(setting or (), stage or ()),
            *from_flags(ServeConfig, context),
        ],
    )
    if print_config:
        typer.echo(as_toml(loaded), nl=False)
        return
    chosen = loaded.config
    logs = Logs(chosen.log_level, chosen.log_format)
    try:
        with _traces(chosen.otel) as readers:
            asyncio.run(_serve(chosen, _registry(chosen.tasks), logs, readers))
    finally:
        logs.close()


@contextmanager
def _traces(wanted: bool) -> Iterator[Sequence[Reader]]:
    """Yield a reader that sends spans, if they are wanted; send the last ones at the end."""
    if not wanted:
        yield ()
        return
    try:
        provider = otlp_provider(VERSION)
    except MissingExtra as error:
        fail(f"--otel: {error}", ExitCode.USAGE)
    yield (TraceReader(provider.get_tracer("wsproc", VERSION)),)
    provider.shutdown()


async def _serve(
    config: ServerConfig, registry: TaskRegistry, logs: Logs, readers: Sequence[Reader]
) -> None:
    say = _say_in_log if logs.json else _say
    _check_address(config.host, config.port)
    allow_files(config.max_connections)
    server = _server(config, registry, readers)
    server.metrics.count_lost_lines(logs)
    await _start(server, say)
    freeze_heap()
    # Signals are handled before anyone can read the address and send one.
    ending = asyncio.create_task(server.run_until_signal())
    await asyncio.sleep(0)
    announce(out(Steady), server)
    for warning in exposure(config):
        logger.warning(warning)
    await ending
    say("wsproc has ended")


def _server(config: ServerConfig, registry: TaskRegistry, readers: Sequence[Reader]) -> Server:
    """Return the server; leave with a sentence where a part of it is not installed."""
    if config.http_port is not None:
        _check_address(config.http_host or config.host, config.http_port, "http-")
    try:
        return Server(config, registry=registry, readers=readers)
    except MissingExtra as error:
        fail(f"--http-port: {error}", ExitCode.USAGE)


async def _start(server: Server, say: Callable[[str], None]) -> None:
    """Load and listen, telling stderr what is loaded; leave with a sentence if that fails."""
    console = err(Steady)
    try:
        with console.status("starting") as status:
            await server.start(_reporter(status.update) if console.is_terminal else say)
    except BadFile as error:
        fail(str(error), ExitCode.USAGE)
    except ModelUnavailable as error:
        fail(error.message, ExitCode.MODEL)
    except OSError as error:
        _address_fails(server.config.host, server.config.port, error)


def _reporter(update: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: update(f"{text} …")


def _say(text: str) -> None:
    err(Steady).print(text, style="dim", soft_wrap=True)


def _say_in_log(text: str) -> None:
    logger.info(text)


def _check_address(host: str, port: int, flags: str = "") -> None:
    """Find a taken port before the models are loaded and not after."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        _address_fails(host, port, error, flags)


def exposure(config: ServerConfig) -> Iterator[str]:
    """Yield what others than this machine's users could do to a server that listens for them."""
    hosts = [config.host, *([config.http_host] if config.http_port is not None else [])]
    reached = next((host for host in hosts if host is not None and not is_loopback(host)), None)
    if reached is None:
        return
    if not config.auth.asked:
        yield (
            f"anyone who can reach {reached} can use this server: it asks for no token;"
            " `wsproc token` makes one"
        )
    elif config.tls.cert is None:
        yield (
            f"tokens and texts reach {reached} unencrypted: give --tls-cert, or let a proxy in"
            " front speak TLS"
        )


def _address_fails(host: str, port: int, error: OSError, flags: str = "") -> NoReturn:
    if isinstance(error, socket.gaierror):
        fail(f"--{flags}host {host}: there is no such address ({error.strerror})", ExitCode.ADDRESS)
    if error.errno == errno.EADDRINUSE:
        reason = f"another program has it; choose another --{flags}port, or 0 for a free one"
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
