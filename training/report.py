"""A measured figure, and how a table of them is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure of one model on one test set; `floor` is the least that the project accepts."""

    model: str
    test_set: str
    metric: str
    value: float
    items: int
    floor: float | None = None
    note: str = ""


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table, one row each."""
    head = "| model | test set | items | metric | value | floor | note |\n|-|-|-|-|-|-|-|\n"
    return head + "\n".join(_row(figure) for figure in figures)


def _row(figure: Figure) -> str:
    floor = "" if figure.floor is None else f"{figure.floor:.3f}"
    return (
        f"| {figure.model} | {figure.test_set} | {figure.items} | {figure.metric} "
        f"| {figure.value:.3f} | {floor} | {figure.note} |"
    )
