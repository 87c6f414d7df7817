"""`wsproc run`: texts through all stages, shown as they come."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from wsproc.cli import results
from wsproc.cli.describe import ending, timing
from wsproc.cli.exits import ExitCode, fail
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
from wsproc.cli.inputs import Source, given, parse_meta, read_sources
from wsproc.cli.interrupt import Interrupts
from wsproc.cli.link import Target, client_of, drive, local_config
from wsproc.cli.many import run_many
from wsproc.cli.ndjson import Tape
from wsproc.cli.terminal import err, out
from wsproc.client import Ended, Job
from wsproc.frames.server import Cancelled, Completed, Failed, JobFrame, SentimentProgress, Status

_FIELDS = "Fields of the job"


def run(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="UTF-8 text files, or quoted patterns such as 'mails/**/*.txt'; - or nothing reads"
            " stdin."
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token: AccessToken = None,
    local: Local = False,
    models: Models = "embedded",
    device: Device = "auto",
    as_json: Json = False,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=256, help="Of many files, so many at once.")
    ] = 8,
    sentiment: Annotated[
        bool, typer.Option("--sentiment/--no-sentiment", rich_help_panel=_FIELDS)
    ] = True,
    summary: Annotated[
        bool, typer.Option("--summary/--no-summary", rich_help_panel=_FIELDS)
    ] = True,
    entities: Annotated[
        bool, typer.Option("--entities/--no-entities", rich_help_panel=_FIELDS)
    ] = True,
    chunk_size: Annotated[
        int | None,
        typer.Option(help="Characters of a chunk, 50 to 500.", rich_help_panel=_FIELDS),
    ] = None,
    split: Annotated[
        Literal["fixed", "sentence"] | None,
        typer.Option(help="Where chunks are cut.", rich_help_panel=_FIELDS),
    ] = None,
    summary_min_length: Annotated[int | None, typer.Option(rich_help_panel=_FIELDS)] = None,
    summary_max_length: Annotated[int | None, typer.Option(rich_help_panel=_FIELDS)] = None,
    job_id: Id = None,
    timeout_ms: TimeoutMs = None,
    priority: Priority = None,
    meta: Meta = None,
) -> None:
    """Run texts through sentiment, summary and entities, and show what is found.

    All three are on unless switched off. Many files share one connection; with --json each of their
    lines names its file. Ctrl-C stops what runs and shows what was finished.
    """
    names = files or ["-"]
    if "-" in names and sys.stdin.isatty():
        err().print("reading the text from the terminal; end it with Ctrl-D", style="dim")
    sources = read_sources(names)
    if job_id is not None and len(sources) > 1:
        fail("--id names one job; give it with one file", ExitCode.USAGE)
    options = {
        "include_sentiment": sentiment,
        "include_summary": summary,
        "include_entities": entities,
        **given(
            chunk_size=chunk_size,
            split=split,
            summary_min_length=summary_min_length,
            summary_max_length=summary_max_length,
            id=job_id,
            timeout_ms=timeout_ms,
            priority=priority,
        ),
        **parse_meta(meta),
    }
    wanted = {"sentiment": sentiment, "summary": summary, "entities": entities}
    stages = [stage for stage, on in wanted.items() if on]
    longest = max((source.text for source in sources), key=len)
    config = local_config(models, device, stages, longest) if local else None
    target = Target(url, token, config)
    if len(sources) == 1:
        drive(_run(sources[0].text, options, target, Tape() if as_json else None))
    else:
        drive(_run_many(sources, options, target, jobs, json=as_json))


async def _run_many(
    sources: Sequence[Source], options: dict[str, Any], target: Target, jobs: int, *, json: bool
) -> None:
    async with client_of(target) as client:
        failed, interrupted = await run_many(client, sources, options, jobs=jobs, json=json)
    if interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if failed:
        err().print(f"wsproc: {failed} of {len(sources)} did not complete", style="yellow")
        raise typer.Exit(ExitCode.JOB)


async def _run(text: str, options: dict[str, Any], target: Target, tape: Tape | None) -> None:
    async with client_of(target, tape.record if tape else None) as client:
        try:
            job = await client.process(text, **options)
            with Interrupts(job) as interrupts:
                done = await (tape.follow(job) if tape else _watch(job))
        finally:
            if tape is not None:
                tape.flush()
    if tape is None:
        _show(text, done)
    if isinstance(done, Cancelled) and interrupts.asked:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not isinstance(done, Completed):
        raise typer.Exit(ExitCode.JOB)


async def _watch(job: Job) -> Ended:
    """Follow a job, with a bar for each stage if stderr is a terminal."""
    console = err()
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bars = _Bars(progress)
        async for event in job:
            bars.see(event)
    return await job.wait()


class _Bars:
    """One bar for each stage that was heard of."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def see(self, event: JobFrame) -> None:
        """Move the bar of the event's stage."""
        if not isinstance(event, Status):
            return
        stage, _, step = event.status.rpartition("_")
        if step == "processing":
            self._bars[stage] = self._progress.add_task(stage, total=None, note="")
        elif isinstance(event, SentimentProgress):
            note = f"{event.current_item}/{event.total_items}"
            self._move(stage, total=event.total_items, completed=event.current_item, note=note)
        elif step in ("complete", "error"):
            self._move(stage, total=1, completed=1, note="" if step == "complete" else "failed")

    def _move(self, stage: str, **fields: Any) -> None:
        if stage in self._bars:
            self._progress.update(self._bars[stage], **fields)


def _show(text: str, done: Ended) -> None:
    """Print the result, or what was finished of it and why no more was."""
    console = out()
    if isinstance(done, Completed):
        results.show(console, text, done.result)
        console.print(f"\n{timing(done.timing_ms)}", style="dim", soft_wrap=True)
        return
    if done.partial_result:
        results.show(console, text, done.partial_result)
    tell_the_end(done)


def tell_the_end(done: Cancelled | Failed) -> None:
    """Say on stderr why a job has no result, and how fast it was stopped."""
    err().print(f"wsproc: {ending(done)}; {timing(done.timing_ms)}", style="yellow", soft_wrap=True)
