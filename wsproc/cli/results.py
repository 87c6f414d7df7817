"""A job's result for people: the sentiment as a strip and a table, the summary, the entities.

A partial result of a stopped job has the same shape with parts missing, and is shown the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wsproc.cli.describe import SENTIMENT_STYLES
from wsproc.cli.terminal import printable

_MARKS = {"POSITIVE": "+", "NEUTRAL": "·", "NEGATIVE": "-"}
_OTHER_CELLS = 34
"""Cells of a line that the columns beside the excerpt take."""


def show(console: Console, text: str, result: Mapping[str, Any]) -> None:
    """Print the result of a `process` job on `text`; each part only if it is there."""
    if result.get("sentiment"):
        _sentiment(console, text, result["sentiment"])
    if result.get("summary"):
        _summary(console, result["summary"])
    if result.get("entities"):
        _entities(console, result["entities"])
    for stage, error in result.get("errors", {}).items():
        console.print(f"\n{stage.upper()} failed: {error['message']}", style="red")


def _heading(console: Console, title: str, remark: str) -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), "  ", (remark, "dim")), soft_wrap=True)


def _sentiment(console: Console, text: str, sentiment: Mapping[str, Any]) -> None:
    chunks = sentiment["chunk_sentiments"]
    over_all = sentiment.get("overall_sentiment")
    _heading(console, "SENTIMENT", f"{over_all} over all" if over_all else "as far as it came")
    console.print(Padding(strip(chunks), (0, 2), expand=False))
    table = Table(box=SIMPLE if console.is_terminal else None, show_edge=False, padding=(0, 1))
    table.add_column("chunk", justify="right", no_wrap=True, min_width=5)
    table.add_column("sentiment", no_wrap=True, min_width=9)
    table.add_column("sure", no_wrap=True, min_width=4)
    table.add_column("text", no_wrap=True)
    room = max(20, console.width - _OTHER_CELLS)
    for chunk in chunks:
        kind = Text(chunk["sentiment"], SENTIMENT_STYLES[chunk["sentiment"]])
        excerpt = Text(_excerpt(text[chunk["start"] : chunk["end"]], room))
        table.add_row(str(chunk["chunk"]), kind, f"{chunk['confidence']:.2f}", excerpt)
    console.print(Padding(table, (0, 2), expand=False))


def strip(chunks: list[Mapping[str, Any]]) -> Text:
    """Return one mark a chunk, in the order of the text: + good, - bad, · neither."""
    marks = [
        (_MARKS[chunk["sentiment"]], f"bold {SENTIMENT_STYLES[chunk['sentiment']]}")
        for chunk in chunks
    ]
    return Text(" ").join(Text(mark, style) for mark, style in marks)


def _summary(console: Console, summary: Mapping[str, Any]) -> None:
    remark = f"{summary['compression_ratio']:.0%} of the text"
    if summary.get("truncated"):
        remark += ", shortened to fit the model"
    _heading(console, "SUMMARY", remark)
    console.print(Padding(Text(printable(summary["summary"])), (0, 2), expand=False))


def _entities(console: Console, entities: Mapping[str, Any]) -> None:
    _heading(console, "ENTITIES", f"{entities['total_entities']} found")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_column(no_wrap=True, max_width=36)
    for label, description, names in _by_label(entities):
        shown = Text(", ".join(printable(name) for name in names))
        grid.add_row(Text(label, "bold magenta"), shown, Text(description, "dim"))
    console.print(Padding(grid, (0, 2), expand=False))


def _by_label(entities: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each label with its description and its different names, as first seen."""
    descriptions = {one["label"]: one["description"] for one in entities["entities"]}
    for label, names in entities["entity_types"].items():
        yield label, descriptions.get(label, ""), list(dict.fromkeys(names))


def _excerpt(text: str, room: int) -> str:
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= room else f"{flat[: room - 1]}…"
