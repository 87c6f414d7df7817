"""`wsproc generate`: a prompt continued, token by token."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from wsproc.cli.describe import timing
from wsproc.cli.exits import ExitCode
from wsproc.cli.flags import (
    DEFAULT_URL,
    AccessToken,
    Device,
    Id,
    Json,
    Local,
    Meta,
    Models,
    Priority,
    TimeoutMs,
    Url,
)
from wsproc.cli.inputs import given, parse_meta, read_prompt
from wsproc.cli.interrupt import Interrupts
from wsproc.cli.link import Target, client_of, drive, local_config
from wsproc.cli.ndjson import Tape
from wsproc.cli.run import tell_the_end
from wsproc.cli.terminal import err, out, printable
from wsproc.client import Ended, Job
from wsproc.frames.server import Cancelled, Completed, Token

_FIELDS = "Fields of the job"


def generate(
    prompt: Annotated[str, typer.Argument(help="The text to be continued; - reads stdin.")],
    url: Url = DEFAULT_URL,
    token: AccessToken = None,
    local: Local = False,
    models: Models = "embedded",
    device: Device = "auto",
    as_json: Json = False,
    max_tokens: Annotated[int | None, typer.Option(min=1, rich_help_panel=_FIELDS)] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=5, help="0 is greedy.", rich_help_panel=_FIELDS),
    ] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, rich_help_panel=_FIELDS)] = None,
    top_k: Annotated[int | None, typer.Option(min=0, rich_help_panel=_FIELDS)] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed, the same text.", rich_help_panel=_FIELDS),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End before this text; may be repeated.", rich_help_panel=_FIELDS),
    ] = None,
    job_id: Id = None,
    timeout_ms: TimeoutMs = None,
    priority: Priority = None,
    meta: Meta = None,
) -> None:
    """Continue a prompt and print the text while it comes. Ctrl-C stops it."""
    text = read_prompt(prompt)
    options = {
        **given(
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stop=stop or None,
            id=job_id,
            timeout_ms=timeout_ms,
            priority=priority,
        ),
        **parse_meta(meta),
    }
    config = local_config(models, device, ["generation"], text) if local else None
    target = Target(url, token, config)
    drive(_generate(text, options, target, Tape() if as_json else None))


async def _generate(
    prompt: str, options: dict[str, Any], target: Target, tape: Tape | None
) -> None:
    async with client_of(target, tape.record if tape else None) as client:
        try:
            job = await client.generate(prompt, **options)
            with Interrupts(job) as interrupts:
                done = await (tape.follow(job) if tape else _stream(job, prompt))
        finally:
            if tape is not None:
                tape.flush()
    if isinstance(done, Completed):
        if tape is None:
            tokens = done.usage.get("completion_tokens", 0)
            err().print(f"{tokens} tokens; {timing(done.timing_ms)}", style="dim", soft_wrap=True)
        return
    if tape is None:
        tell_the_end(done)
    stopped_by_hand = isinstance(done, Cancelled) and interrupts.asked
    raise typer.Exit(ExitCode.INTERRUPTED if stopped_by_hand else ExitCode.JOB)


async def _stream(job: Job, prompt: str) -> Ended:
    """Print the tokens; on a terminal behind the prompt, elsewhere nothing but the text itself."""
    console = out()
    if console.is_terminal:
        console.print(printable(prompt), style="dim", end="", soft_wrap=True)
    async for event in job:
        if isinstance(event, Token):
            sys.stdout.write(printable(event.text) if console.is_terminal else event.text)
            sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()
    return await job.wait()
