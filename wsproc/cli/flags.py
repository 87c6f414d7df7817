"""Flags that several commands share."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import typer

from wsproc.client import DEFAULT_URL
from wsproc.sources import TOKEN_VARIABLE

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _device(name: str) -> str:
    """Refuse a misspelt device before models are loaded; whether it is there is seen then."""
    if not _DEVICE.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is none of auto, cpu, cuda, cuda:N, mps")
    return name


Url: TypeAlias = Annotated[str, typer.Option("--url", help="The server's address.")]
AccessToken: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        help="The token that the server asks for; better in the variable, which nobody else sees.",
    ),
]
Local: TypeAlias = Annotated[
    bool, typer.Option("--local", help="Need no server: load the models here for this one run.")
]
Models: TypeAlias = Annotated[
    str, typer.Option("--models", help="The models: embedded (in the package) or hub (well-known).")
]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", callback=_device)
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the frames as they come, one JSON object a line.")
]
Id: TypeAlias = Annotated[str | None, typer.Option("--id", help="The job's id.")]
TimeoutMs: TypeAlias = Annotated[
    int | None,
    typer.Option("--timeout-ms", min=1, help="Fail the job after so long, queue included."),
]
Priority: TypeAlias = Annotated[
    int | None, typer.Option("--priority", min=0, max=9, help="0 to 9, 9 first; 5 is usual.")
]
Meta: TypeAlias = Annotated[
    str | None, typer.Option("--meta", help="Any JSON, given back with the job's end.")
]

__all__ = [
    "DEFAULT_URL",
    "AccessToken",
    "Device",
    "Id",
    "Json",
    "Local",
    "Meta",
    "Models",
    "Priority",
    "TimeoutMs",
    "Url",
]
