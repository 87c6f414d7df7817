"""`wsproc demo`: a server, an article, every frame as it comes, a cancel, and how to go on."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wsproc.cli import results
from wsproc.cli.describe import colour, title, words
from wsproc.cli.exits import ExitCode
from wsproc.cli.flags import Device, Models
from wsproc.cli.inputs import example_article, read_text
from wsproc.cli.link import drive
from wsproc.cli.panel import SAMPLE_JOB, browser_address, wscat_command
from wsproc.cli.terminal import out, printable
from wsproc.client import DEFAULT_URL, Client, connect
from wsproc.frames.server import Cancelled, CancelReply, Completed, ServerFrame, Token
from wsproc.protocol import decode_server

PROMPT = "The little dog ran into the garden and"
TOKENS_BEFORE_CANCEL = 5
PATIENCE_S = 10.0
"""How long the child may take to end before it is killed."""


def demo(
    file: Annotated[
        str | None, typer.Argument(help="A text of your own instead of the article.")
    ] = None,
    models: Models = "embedded",
    device: Device = "auto",
) -> None:
    """Start a server, run an article through it, watch every frame, cancel a generation."""
    article = example_article() if file is None else read_text(file)
    drive(_demo(article, models, device))


async def _demo(article: str, models: str, device: str) -> None:
    _end_on_sigterm()
    console = out()
    console.print("Starting a server on a free port and loading the models …", style="bold")
    async with _server(models, device) as url:
        watcher = _Watcher(console)
        async with connect(url, tap=watcher.see) as client:
            await _process(console, client, article)
            await _cancel(console, client)
    _go_on(console)


def _end_on_sigterm() -> None:
    """Let SIGTERM unwind the demo as Ctrl-C does, so that the server is ended with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _process(console: Console, client: Client, article: str) -> None:
    console.print(f"\nAn article of {len(article)} characters, every frame as it comes:\n")
    job = await client.process(article, include_entities=True, split="sentence")
    result = await job.result()
    console.print(
        "\nThe same as a result (the article is invented; so are its people):", style="bold"
    )
    results.show(console, article, result)


async def _cancel(console: Console, client: Client) -> None:
    console.print(f"\n\nNow a text is continued and then stopped. The prompt: {PROMPT!r}\n")
    job = await client.generate(PROMPT, max_tokens=1000, seed=7)
    tokens = 0
    async for event in job:
        tokens += isinstance(event, Token)
        if tokens == TOKENS_BEFORE_CANCEL:
            await job.cancel()
            break
    done = await job.wait()
    written = (done.result if isinstance(done, Completed) else done.partial_result or {})["text"]
    console.print(f"\nWritten so far: {printable(PROMPT + written)}", style="bold", soft_wrap=True)
    if isinstance(done, Cancelled) and done.timing_ms.stop is not None:
        console.print(f"The device was free {done.timing_ms.stop:.0f} ms after the cancel.")


def _go_on(console: Console) -> None:
    """Print the commands to continue with; the demo's own server has ended by now."""
    console.print("\nThat server has ended. To go on, start one that stays:\n", style="bold")
    steps = (
        f"  {_command()} serve",
        f"  {wscat_command(DEFAULT_URL)}",
        f"    {SAMPLE_JOB}",
        f"  {browser_address(DEFAULT_URL)}   (the console page)",
    )
    for step in steps:
        console.print(step, soft_wrap=True)


def _command() -> str:
    """Return how this command line was called, so that what is printed can be pasted."""
    called = sys.argv[0]
    return f"{sys.executable} -m wsproc" if called.endswith(".py") else called


class _Watcher:
    """Prints each message of the server in one line, with the milliseconds since the first."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: float | None = None

    def see(self, message: str) -> None:
        """Print a message."""
        now = time.perf_counter()
        self._begun = self._begun or now
        frame = decode_server(message)
        if frame is not None:
            self._console.print(_row(frame, (now - self._begun) * 1000), soft_wrap=True)


def _row(frame: ServerFrame, elapsed_ms: float) -> Text:
    style = colour(frame)
    job = getattr(frame, "id", None) or ""
    number = getattr(frame, "seq", None)
    return Text.assemble(
        (f"{elapsed_ms:8.1f} ms  ", "dim"),
        (
            f"{job:<5}{'' if number is None or isinstance(frame, CancelReply) else number:>4}  ",
            "dim",
        ),
        (f"{title(frame):<26}", style),
        printable(words(frame)).replace("\n", "\\n"),
    )


@asynccontextmanager
async def _server(models: str, device: str) -> AsyncIterator[str]:
    """Run `wsproc serve` as a child on a free port and yield its address; end it in any case.

    It gets a process group of its own: Ctrl-C here is then for the demo to handle, which ends it.
    """
    chosen = ("--models", models, "--device", device, "--log-level", "warning")
    command = (sys.executable, "-m", "wsproc", "serve", "--port", "0", *chosen)
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        yield await _address(child)
    finally:
        await _end(child)


async def _address(child: asyncio.subprocess.Process) -> str:
    """Read the child's lines up to its address; its errors are on our stderr already."""
    assert child.stdout is not None
    async for line in child.stdout:
        found = re.search(r"ws://\S+", line.decode())
        if found is not None:
            return found[0]
    code = await child.wait()
    raise typer.Exit(code or ExitCode.CONNECTION)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
