"""Groups of rows of like length."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.stages.padding import (
    groups_behind_each_other,
    groups_by_length,
    groups_of_equal_length,
)

LENGTHS = st.lists(st.integers(1, 40), max_size=9)


def _cost(lengths: list[int], groups: list[list[int]], launch: int) -> int:
    return sum(launch + len(group) * max(lengths[i] for i in group) for group in groups)


def _cheapest(lengths: list[int], launch: int, most: int) -> int:
    """Return the least cost over all cuts of the sorted rows, found by trying each."""
    ordered = sorted(lengths)
    count = len(ordered)
    costs = []
    for cuts in range(2 ** max(0, count - 1)):
        ends = [end for end in range(1, count) if cuts >> (end - 1) & 1]
        parts = [ordered[a:b] for a, b in pairwise([0, *ends, count])]
        if all(len(part) <= 1 or len(part) * part[-1] <= most for part in parts):
            costs.append(sum(launch + len(part) * part[-1] for part in parts))
    return min(costs)


@given(LENGTHS, st.integers(0, 60), st.integers(1, 200))
def test_the_cut_is_the_cheapest_there_is(lengths: list[int], launch: int, most: int) -> None:
    """Each row is in one group, no group is over the bound, and no other cut costs less."""
    groups = groups_by_length(lengths, launch=launch, most=most)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= most
    if lengths:
        assert _cost(lengths, groups, launch) == _cheapest(lengths, launch, most)


def test_equal_rows_stay_together_and_unequal_ones_part() -> None:
    """A long row beside short ones is computed alone, unless starting is dear."""
    assert groups_by_length([7, 7, 7], launch=1, most=100) == [[0, 1, 2]]
    assert groups_by_length([90, 5, 6], launch=10, most=1000) == [[1, 2], [0]]
    assert groups_by_length([90, 5, 6], launch=1000, most=1000) == [[1, 2, 0]]


def test_a_row_over_the_bound_is_alone() -> None:
    """A row that no group may hold is still computed."""
    assert groups_by_length([500, 3], launch=1000, most=10) == [[1], [0]]


@given(LENGTHS, st.integers(1, 200))
def test_equal_groups_have_no_padding(lengths: list[int], most: int) -> None:
    """Each row is in one group, all rows of a group are equal, and none is over the bound."""
    groups = groups_of_equal_length(lengths, most=most)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        assert len({lengths[row] for row in group}) == 1
        assert len(group) == 1 or len(group) * lengths[group[0]] <= most


@given(LENGTHS, st.integers(1, 200))
def test_rows_behind_each_other_fill_a_group_before_the_next(lengths: list[int], most: int) -> None:
    """Each row is in one group, from short to long; a new group begins where a row did not fit."""
    groups = groups_behind_each_other(lengths, most=most)
    flat = [row for group in groups for row in group]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[row] for row in flat] == sorted(lengths)
    for group in groups:
        assert len(group) == 1 or sum(lengths[row] for row in group) <= most
    for group, following in pairwise(groups):
        assert sum(lengths[row] for row in (*group, following[0])) > most
