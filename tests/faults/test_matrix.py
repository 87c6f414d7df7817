"""docs/faults.md names what may go wrong; each row and invariant of it is some test's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.soak.__main__ import ROWS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "faults.md").read_text()

NAMED = re.findall(r"^\| ([A-G]\d)( \*)? \|", PAGE, re.M)
INVARIANTS = re.findall(r"^\| (\d+) \|", PAGE, re.M)


def docstrings() -> Iterator[str]:
    """Yield the docstrings of all tests."""
    for file in (ROOT / "tests").rglob("test_*.py"):
        if "node_modules" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


@cache
def told() -> set[str]:
    """Return the rows (`A1`) and the invariants (`1`) that the tests name."""
    names: set[str] = set()
    for text in docstrings():
        for rows in re.findall(r"\bRows? ([A-G]\d(?:(?:, | and )[A-G]\d)*)|^([A-G]\d):", text):
            names |= set(re.findall(r"[A-G]\d", " ".join(rows)))
        for numbers in re.findall(r"[Ii]nvariants? (\d+(?:(?:, | and )\d+)*)", text):
            names |= set(re.findall(r"\d+", numbers))
    return names


def test_the_page_has_every_row():
    """Seven letters and eleven invariants; a table that cannot be read would hold nothing."""
    assert {name[0] for name, _ in NAMED} == set("ABCDEFG")
    assert len(NAMED) == 43
    assert [str(number) for number in range(1, 12)] == INVARIANTS


@pytest.mark.parametrize("name", [name for name, _ in NAMED])
def test_each_row_is_a_tests(name: str):
    """Its docstring says so: "Row A1: ..."."""
    assert name in told()


@pytest.mark.parametrize("number", INVARIANTS)
def test_each_invariant_is_a_tests(number: str):
    """Its docstring says so: "Invariant 1: ..."."""
    assert number in told()


def test_the_soaks_rows_are_those_with_a_star():
    """No row of the soak is undocumented, and none of the page is not run. I5 is invariant 5."""
    run = {name for names, _, _ in ROWS for name in names.split()} - {"I5"}
    assert run == {name for name, star in NAMED if star}
