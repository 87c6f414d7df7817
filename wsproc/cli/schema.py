"""`wsproc schema`: the contract of the wire, as a machine reads it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import orjson
import typer
import yaml

from wsproc.asyncapi import asyncapi
from wsproc.schema import json_schema


def schema(
    asyncapi_: Annotated[
        bool, typer.Option("--asyncapi", help="The AsyncAPI document, as YAML.")
    ] = False,
) -> None:
    """Print the JSON Schema of every frame, as a server answers at /schema.json."""
    if asyncapi_:
        document = asyncapi(version("wsproc"))
        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    else:
        typer.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2))
