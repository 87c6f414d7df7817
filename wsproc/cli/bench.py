"""`wsproc bench`: how fast a server is, seen from its clients."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from wsproc.cli.flags import DEFAULT_URL, AccessToken, Device, Local, Models, Url
from wsproc.cli.inputs import example_article
from wsproc.cli.link import Target, drive, local_config, server_at
from wsproc.cli.load import Work, run_load
from wsproc.cli.terminal import err, out

_PROMPT = "The little dog ran into the garden and"
_WARM_UP_S = 1.0


def bench(
    url: Url = DEFAULT_URL,
    token: AccessToken = None,
    local: Local = False,
    models: Models = "embedded",
    device: Device = "auto",
    task: Annotated[
        Literal["process", "generate"], typer.Option(help="What the clients send.")
    ] = "process",
    clients: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many at once, each on its connection.")
    ] = 8,
    seconds: Annotated[float, typer.Option(min=0.5, max=3600, help="How long.")] = 10.0,
    characters: Annotated[int, typer.Option(min=10, help="Of each text, for process.")] = 2000,
    summary: Annotated[bool, typer.Option("--summary/--no-summary")] = False,
    entities: Annotated[bool, typer.Option("--entities/--no-entities")] = False,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of each answer, for generate.")] = 64,
    cancel_every: Annotated[
        int, typer.Option(min=0, help="Cancel one job of so many behind its first result.")
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put load on a server and tell its speed, as its clients see it.

    Each client sends one job after the other. It shares the machine with a server that runs on it,
    so figures of a local server are a lower bound.
    """
    if task == "generate":
        fields: dict[str, Any] = {"prompt": _PROMPT, "max_tokens": max_tokens}
        stages = ["generation"]
    else:
        fields = {"text": _text(characters), "include_summary": summary}
        fields["include_entities"] = entities
        wanted = {"sentiment": True, "summary": summary, "entities": entities}
        stages = [stage for stage, on in wanted.items() if on]
    work = Work(task, fields, cancel_every)
    config = local_config(models, device, stages, fields.get("text", "")) if local else None
    figures = drive(_bench(Target(url, token, config), work, clients, seconds))
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        _show(figures)


async def _bench(target: Target, work: Work, clients: int, seconds: float) -> dict[str, Any]:
    token = target.token
    async with server_at(target) as address:
        await run_load(address, work, clients=clients, seconds=_WARM_UP_S, token=token)
        with err().status(f"{clients} clients, {seconds:g} s"):
            seen = await run_load(address, work, clients=clients, seconds=seconds, token=token)
    return {"task": work.task, "clients": clients, **seen.summary()}


def _text(characters: int) -> str:
    """Return so much of the example article, again and again."""
    article = example_article().strip() + "\n"
    return (article * (characters // len(article) + 1))[:characters]


def _show(figures: dict[str, Any]) -> None:
    unit = "tokens/s" if figures["task"] == "generate" else "chunks/s"
    ends = ", ".join(f"{count} {end}" for end, count in figures["jobs"].items()) or "none ended"
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(unit, "bold"), f"{figures['results_per_s']:,}")
    for name, title in (
        ("first_result_ms", "first result ms"),
        ("job_ms", "whole job ms"),
        ("stop_ms", "device stopped ms"),
    ):
        grid.add_row(Text(title, "bold"), _times(figures[name]))
    grid.add_row(Text("jobs", "bold"), ends)
    grid.add_row(Text("load", "bold"), f"{figures['clients']} clients, {figures['seconds']} s")
    out().print(grid)


def _times(found: dict[str, float] | None) -> str:
    if found is None:
        return "none"
    return f"{found['p50']:,} median, {found['p99']:,} p99, {found['max']:,} most"
