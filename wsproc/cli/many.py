"""Many texts through one connection: a bar for each that runs, results in the texts' order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from wsproc.cli import results
from wsproc.cli.describe import ending, timing
from wsproc.cli.inputs import Source
from wsproc.cli.interrupt import Interrupts
from wsproc.cli.terminal import err, out, printable
from wsproc.client import Client, Ended, Job, JobRejected
from wsproc.client.mapping import Mapper
from wsproc.frames.server import Completed, JobFrame, SentimentProgress

_WIDTH = 40
"""Characters of a file's name beside its bar."""


@dataclass
class Report:
    """What became of each text, by its place; told to `tell` in the order of the texts."""

    tell: Callable[[int, Ended | JobRejected], None]
    failed: int = 0
    _ended: dict[int, Ended | JobRejected] = field(default_factory=dict)
    _told: int = 0

    def take(self, place: int, end: Ended | JobRejected) -> None:
        """Take the end of one, and tell all whose turn it is now."""
        self.failed += not isinstance(end, Completed)
        self._ended[place] = end
        while self._told in self._ended:
            self.tell(self._told, self._ended.pop(self._told))
            self._told += 1


class Stop:
    """Ends a run of many: what runs is cancelled, what has not begun never does."""

    def __init__(self, client: Client) -> None:
        self.asked = False
        self._client = client

    async def cancel(self) -> None:
        """Stop all."""
        self.asked = True
        await self._client.cancel_all()


async def run_many(
    client: Client, sources: Sequence[Source], options: Mapping[str, Any], *, jobs: int, json: bool
) -> tuple[int, bool]:
    """Run all texts, so many at once, and show what came of them.

    Returns how many did not complete, and whether Ctrl-C was why. A text that fails or is rejected
    does not keep the others from running.
    """
    stop, mapper = Stop(client), Mapper(client, "process", options)
    with _progress(json) as progress, Interrupts(stop):
        console = progress.console if progress.console.file is sys.stdout else out()
        report = Report(_teller(sources, console, json=json))
        total = progress.add_task("all", total=len(sources), note="")
        waiting = iter(enumerate(sources))

        async def lane() -> None:
            for place, source in waiting:
                if stop.asked:
                    return
                end = await _one(mapper, source, progress, json=json)
                report.take(place, end)
                progress.advance(total)

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(jobs, len(sources))):
                    lanes.create_task(lane())
        except ExceptionGroup as several:  # the connection is gone, or stdout: all met the same
            raise several.exceptions[0] from None
    return report.failed, stop.asked


async def _one(
    mapper: Mapper, source: Source, progress: Progress, *, json: bool
) -> Ended | JobRejected:
    """Run one text to its end."""
    with _Bar(progress, source.name) as bar:
        try:
            job: Job = await mapper.submit(source.text)
        except JobRejected as rejected:
            return rejected
        async for event in job:
            bar(event)
            if json:
                _print_frame(source.name, event)
        return await job.wait()


def _print_frame(name: str, frame: JobFrame) -> None:
    line = {"file": name, **frame.model_dump(mode="json", exclude_unset=True)}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def _teller(
    sources: Sequence[Source], console: Console, *, json: bool
) -> Callable[[int, Ended | JobRejected], None]:
    """Return what shows an end; with `json` the frames have told all but a rejection."""

    def tell(place: int, end: Ended | JobRejected) -> None:
        name = printable(sources[place].name)
        if isinstance(end, JobRejected):
            err().print(f"wsproc: {name} was rejected: {end}", style="red", soft_wrap=True)
            return
        if not json:
            console.print(f"\n=== {name}", style="bold", soft_wrap=True)
            result = end.result if isinstance(end, Completed) else end.partial_result
            results.show(console, sources[place].text, result or {})
            console.print(f"\n{timing(end.timing_ms)}", style="dim", soft_wrap=True)
        if not isinstance(end, Completed):
            err().print(f"wsproc: {name}: {ending(end)}", style="yellow", soft_wrap=True)

    return tell


def _progress(json: bool) -> Progress:
    """Return bars on the terminal that there is: stdout's, so that results can go above them."""
    console = out() if out().is_terminal and not json else err()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=console.is_terminal,
        disable=not console.is_terminal,
    )


class _Bar:
    """The bar of one text, there within a `with` block."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name if len(name) <= _WIDTH else f"…{name[1 - _WIDTH :]}"
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        name = printable(self._name)
        self._task = self._progress.add_task(name, total=None, note="waiting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)

    def __call__(self, event: JobFrame) -> None:
        """Move on by an event of the job."""
        if self._task is None or not isinstance(event, SentimentProgress):
            return
        note = f"{event.current_item}/{event.total_items}"
        self._progress.update(
            self._task, total=event.total_items, completed=event.current_item, note=note
        )
