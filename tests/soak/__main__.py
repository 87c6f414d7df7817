"""The slow rows of the fault matrix: `make soak`, which is `python -m tests.soak`.

Each row is bounded by itself and all of them by a quarter of an hour; the table goes to standard
output and, with --report, to a file. Rows may be chosen: `python -m tests.soak A1 G4`. Ends with 1
where a row failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.soak import cancels, connections, load, messages, peers, shutdown, workers
from tests.soak.process import ROOT
from tests.soak.row import Row

Run = Callable[[], Coroutine[Any, Any, Row]]

ROWS: list[tuple[str, float, list[Run]]] = [
    ("A1", 120, [lambda: connections.idle(10_000)]),
    ("A3", 120, [lambda: connections.churn(36, 500)]),
    ("B1", 90, [lambda: peers.slow_readers(100, 10, 15.0)]),
    (
        "B2 B3",
        120,
        [
            lambda: peers.stopped("idle"),
            lambda: peers.stopped("streaming"),
            lambda: peers.half_open("idle"),
            lambda: peers.half_open("streaming"),
        ],
    ),
    ("C1", 180, [lambda: cancels.storm(1000, 50)]),
    ("C5", 120, [lambda: cancels.races(10_000)]),
    ("I5", 30, [lambda: cancels.replies(100)]),
    ("D1", 30, [lambda: messages.big(20)]),
    ("D5", 30, [lambda: messages.tiny_objects(10, 100)]),
    ("D7", 120, [lambda: messages.fuzzed(100_000)]),
    ("E2", 90, [lambda: workers.killed(6)]),
    ("F2", 30, [lambda: shutdown.under_load(500, 5)]),
    ("F3", 60, [lambda: shutdown.rolling(5, 20)]),
    ("G1", 30, [lambda: load.lag(50, 16, 10)]),
    ("G4", 90, [lambda: load.overload(10, 30, load.SENTENCES)]),
    ("G4", 90, [lambda: load.overload(10, 30, 1)]),
    ("G5", 30, [lambda: load.fairness(1000, 20, 50)]),
    ("G6", 240, [lambda: load.mixed(180, 20)]),
]
"""Names, seconds that they may take, and what runs beside each other under them."""

TOTAL_S = 900.0


async def bounded(run: Run, name: str, limit_s: float) -> Row:
    """Run a row; one that breaks or takes too long has failed."""
    try:
        async with asyncio.timeout(limit_s):
            return await run()
    except TimeoutError:
        return Row(name, "was not finished", f"{limit_s:.0f} s", faults=["it took too long"])
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Row(name, "broke off", "", faults=[" ".join(words.split())[:300]])


async def soak(names: list[str], total_s: float) -> list[Row]:
    """Run the rows, and tell of each on standard error when it is over."""
    ends = time.monotonic() + total_s
    rows: list[Row] = []
    for name, limit_s, runs in ROWS:
        if names and not set(names) & set(name.split()):
            continue
        left = ends - time.monotonic()
        if left < 5:
            done = "was not begun"
            rows.append(Row(name, done, f"{total_s:.0f} s in all", faults=["no time was left"]))
            continue
        at = time.monotonic()
        some = await asyncio.gather(*(bounded(run, name, min(limit_s, left)) for run in runs))
        for row in some:
            row.group, row.seconds = name, time.monotonic() - at
            print(f"{row.name}: {verdict(row)}; {figures(row)}", file=sys.stderr, flush=True)
        rows += some
    return rows


def verdict(row: Row) -> str:
    """Return the last cell of a row."""
    if "skipped" in row.told:
        return "skipped"
    return "pass" if row.passed else "FAIL: " + "; ".join(row.faults + row.late)


def figures(row: Row) -> str:
    """Return the figures in words."""
    return ", ".join(f"{name} {_short(value)}" for name, value in row.told.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    return str(value)


def report(rows: list[Row], command: str, about: str) -> str:
    """Return the rows as a page; `about` says where and when they were run."""
    passed, skipped = sum(row.passed for row in rows), sum("skipped" in row.told for row in rows)
    lines = [
        "# Soak report",
        "",
        "[The fault matrix](faults.md) says what each row is; `tests/soak/` has their code.",
        "",
        f"{about} The command was `{command}`; it took {_minutes(rows)}. Of {len(rows)} runs"
        f" {passed - skipped} passed, {skipped} were skipped, {len(rows) - passed} failed.",
        "",
        "| row | what was done | figures | limit | | s |",
        "|-|-|-|-|-|-|",
    ]
    for row in rows:
        cells = (row.name, row.done, figures(row), row.limit, verdict(row), f"{row.seconds:.0f}")
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _minutes(rows: list[Row]) -> str:
    """Return how long all of them took; those that ran beside each other have the same name."""
    groups = {row.group: row.seconds for row in rows}
    return f"{sum(groups.values()) / 60:.1f} minutes"


def surroundings() -> str:
    """Say on what, of what and when this is run, and how busy the machine was before."""
    gib = psutil.virtual_memory().total / (1 << 30)
    load_1m = os.getloadavg()[0]
    return (
        f"Run on {datetime.now(UTC):%Y-%m-%d} at {commit()} on {os.cpu_count()} cores"
        f"{_model()} with {gib:.0f} GiB, {platform.system()} {platform.release().split('-')[0]},"
        f" Python {platform.python_version()}. Clients and server share the machine, whose load in"
        f" the minute before was {load_1m:.1f}."
    )


def _model() -> str:
    """Return the processor by its name, where the system tells it."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        return ""
    return f" ({found[1]})" if found else ""


def commit() -> str:
    """Name the commit that is run, and say so where files differ from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/soak.md")
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return f"commit {name}" + (" with changes" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("rows", nargs="*", help="such as A1 or G4; all of them by default")
    parser.add_argument("--report", type=Path, help="write the table to this file")
    parser.add_argument("--seconds", type=float, default=TOTAL_S, help="for all rows together")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    about = surroundings()
    rows = asyncio.run(soak([name.upper() for name in options.rows], options.seconds))
    page = report(rows, " ".join(["python -m tests.soak", *sys.argv[1:]]), about)
    print(page)
    if options.report is not None:
        options.report.write_text(page)
    sys.exit(0 if all(row.passed for row in rows) else 1)


if __name__ == "__main__":
    main()
