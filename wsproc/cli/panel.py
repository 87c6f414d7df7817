"""What a server says when it is up: its models, its addresses, and what to try first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from wsproc.engine.machine import resident_memory
from wsproc.server import VERSION, Server

SAMPLE_JOB = '{"type":"process","text":"I love the view, I hate the queue."}'
"""A job without an id, short enough to be typed and for a line of the panel."""


def announce(console: Console, server: Server) -> None:
    """Print the panel; plain lines where stdout is no terminal."""
    lines = [_line(name, value) for name, value in _facts(server)]
    title = f"wsproc {VERSION}"
    if console.is_terminal:
        console.print(Panel.fit(Group(*lines), title=title, border_style="green"))
        console.print("Ctrl-C ends it.", style="dim")
    else:
        console.print(title)
        for line in lines:
            console.print(line, soft_wrap=True)


def wscat_command(url: str) -> str:
    """Return the command that opens a connection by hand."""
    return f"npx wscat@6 -c {url.rstrip('/')}"


def browser_address(url: str) -> str:
    """Return the address of the console page."""
    return "http" + url.removeprefix("ws")


def _facts(server: Server) -> list[tuple[str, str]]:
    engine = server.engine
    url = _from_here(server.url)
    models = [(stage, _model(engine.facts.get(stage, {}))) for stage in engine.stages]
    return [
        *(models or [("models", "none")]),
        *_memory(engine.pids.values()),
        ("address", url),
        ("browser", browser_address(url)),
        *([("http", _from_here(server.http_url))] if server.http_url else []),
        ("by hand", wscat_command(url)),
        ("", SAMPLE_JOB),
    ]


def _memory(pids: Collection[int]) -> list[tuple[str, str]]:
    """Say what the workers hold by now, weights and libraries; nothing where nobody can tell."""
    sizes = [size for pid in pids if (size := resident_memory(pid)) is not None]
    if not sizes:
        return []
    workers = "1 worker" if len(sizes) == 1 else f"{len(sizes)} workers"
    return [("memory", f"{sum(sizes) / 2**30:.1f} GiB in {workers}")]


def _from_here(url: str) -> str:
    """Return an address that this machine can connect to; all addresses are none."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _model(facts: Mapping[str, Any]) -> str:
    """Say which model, and where it runs if it says so itself."""
    place = " ".join(str(facts[key]) for key in ("device", "dtype") if key in facts)
    model = str(facts.get("model", "of your own"))
    return f"{model} on {place}" if place else model


def _line(name: str, value: str) -> Text:
    return Text.assemble((f"{name:<12}", "bold"), value)
