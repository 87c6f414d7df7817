"""Measure the embedded models as they ship, on held-out data: `make eval DATA=folder`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from training.entities.evaluate import figures as entities
from training.generation.evaluate import figures as generation
from training.report import Figure, table
from training.sentiment.evaluate import figures as sentiment
from training.summary.evaluate import figures as summary

TASKS: dict[str, Callable[[Path, Path], list[Figure]]] = {
    "sentiment": sentiment,
    "entities": entities,
    "summary": summary,
    "generation": generation,
}


def main() -> int:
    """Print the figures; return 1 where one is under the floor that the project sets itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of training/README.md")
    parser.add_argument("--task", choices=TASKS, action="append", help="only this model")
    options = parser.parse_args()
    weights = Path(str(files("wsproc") / "weights"))
    measured: list[Figure] = []
    for task in options.task or TASKS:
        found = TASKS[task](options.data, weights / task)
        print(table(found), flush=True)
        measured += found
    short = [one for one in measured if one.floor is not None and one.value < one.floor]
    for one in short:
        print(f"under the floor: {one.model}, {one.test_set}, {one.metric}: {one.value:.3f}")
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())
