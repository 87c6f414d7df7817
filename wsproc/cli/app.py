"""The commands, put together."""

from __future__ import annotations

import typer

from wsproc.cli.bench import bench
from wsproc.cli.demo import demo
from wsproc.cli.doctor import doctor
from wsproc.cli.generate import generate
from wsproc.cli.models import models
from wsproc.cli.run import run
from wsproc.cli.schema import schema
from wsproc.cli.serve import serve
from wsproc.cli.terminal import claim_standard_streams
from wsproc.cli.token import token

app = typer.Typer(
    name="wsproc",
    help="Text jobs over one WebSocket: sentiment, summary, entities and generation.",
    epilog=(
        "Exit codes: 0 done; 1 the job failed or was rejected; 2 a wrong flag or input; 3 no"
        " connection, or it was lost; 4 a model cannot be had; 5 the address is taken; 130 Ctrl-C."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (serve, run, generate, models, schema, token, bench, doctor, demo):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    claim_standard_streams()
    app()
