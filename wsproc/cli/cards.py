"""The embedded models' cards: what they say of themselves.

Licence and figures are read from the YAML at a card's top (the Hub's `model-index`); figures also
from a card's table with the columns `test set`, `metric` and `value`, of which those with a `floor`
are the ones that the model has to answer for.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Card:
    """One embedded model: `size` in bytes of its folder, `figures` as (name, value) in words."""

    stage: str
    size: int
    licence: str
    figures: tuple[tuple[str, str], ...]


def read_card(stage: str, weights: Path | None = None) -> Card | None:
    """Return the card of a stage's model in a folder of such, the package's own by default.

    None where there is no such model.
    """
    folder = (weights or Path(str(files("wsproc"))) / "weights") / stage
    held = [file for file in folder.rglob("*") if file.is_file()]
    if not held:
        return None
    size = sum(file.stat().st_size for file in held)
    card = folder / "README.md"
    header = front_matter(card)
    figures = _figures(header) or _table(card)
    return Card(stage, size, str(header.get("license", "not told")), tuple(figures))


def front_matter(file: Path) -> dict[str, Any]:
    """Return the YAML between the two `---` lines at the top of a file; empty where none is."""
    if not file.is_file():
        return {}
    parts = file.read_text(encoding="utf-8").split("---\n", 2)
    header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    return header if isinstance(header, dict) else {}


def _figures(header: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the metrics of a `model-index`, the form that the Hugging Face Hub reads."""
    results = [one for model in header.get("model-index", ()) for one in model.get("results", ())]
    return [
        (f"{metric.get('name', metric.get('type'))} on {_data(result)}", _number(metric["value"]))
        for result in results
        for metric in result.get("metrics", ())
    ]


def _table(card: Path) -> list[tuple[str, str]]:
    """Return the figures of a card's table, those with a floor if there are any."""
    rows = _rows(card.read_text(encoding="utf-8") if card.is_file() else "")
    rows = [row for row in rows if row.get("floor")] or rows[:3]
    return [(f"{row['metric']} on {row['test set']}", row["value"]) for row in rows]


def _rows(text: str) -> list[dict[str, str]]:
    """Return the rows of the first Markdown table that has the columns of a figure."""
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] if line[:1] == "|" else []
        for line in text.splitlines()
    ]
    for index, names in enumerate(lines):
        if {"test set", "metric", "value"} <= set(names):
            body = itertools.takewhile(bool, lines[index + 2 :])
            return [dict(zip(names, cells, strict=False)) for cells in body]
    return []


def _data(result: dict[str, Any]) -> str:
    dataset = result.get("dataset", {})
    return str(dataset.get("name", dataset.get("type", "its test set")))


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
