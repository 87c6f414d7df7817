"""`wsproc models`: what the package brings, and what the presets stand for."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from wsproc.cli.cards import Card, read_card
from wsproc.cli.terminal import out
from wsproc.engine.models.source import PRESETS, STAGES


def models() -> None:
    """Show each stage's embedded model with its figures, and what --models hub loads instead."""
    console = out()
    grid = Table.grid(padding=(0, 2))
    for stage in STAGES:
        card = read_card(stage)
        grid.add_row(Text(stage, "bold"), "embedded", _embedded(card))
        for name, value in card.figures if card else ():
            grid.add_row("", "", Text.assemble((value, "green"), f"  {name}"))
        grid.add_row("", "hub", PRESETS["hub"][stage])
        grid.add_row()
    console.print(grid)
    console.print(
        "Serve them with --models embedded (the default) or hub; a stage also takes a folder or\n"
        "a name: wsproc serve --sentiment ./my-model --generation none",
        style="dim",
        soft_wrap=True,
    )


def _embedded(card: Card | None) -> str:
    if card is None:
        return "not in this installation"
    return f"{card.size / 1e6:.1f} MB, licence {card.licence}"
