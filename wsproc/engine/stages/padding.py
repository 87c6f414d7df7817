"""Cutting a step's rows into groups of like length, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence


def groups_by_length(lengths: Sequence[int], *, launch: int, most: int) -> list[list[int]]:
    """Return the rows' indices in the groups that cost least to compute one after the other.

    A group of n rows, the longest of l tokens, costs `launch` + n * l tokens: the fixed cost of
    a forward pass, given as the number of tokens computed in its time, and the padded tokens. The
    cheapest cut of the rows sorted by length is found by dynamic programming, in n² steps. No
    group of several rows holds more than `most` padded tokens. The order is from short to long.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best = [0.0] + [float("inf")] * len(order)
    start = [0] * (len(order) + 1)
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        for begin in range(end - 1, -1, -1):
            padded = (end - begin) * longest
            if padded > most and begin < end - 1:
                break
            if best[begin] + launch + padded < best[end]:
                best[end] = best[begin] + launch + padded
                start[end] = begin
    return _traced(order, start)


def groups_of_equal_length(lengths: Sequence[int], *, most: int) -> list[list[int]]:
    """Return the rows' indices in groups without any padding, from short to long.

    No group of several rows holds more than `most` tokens.
    """
    alike: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        alike.setdefault(length, []).append(index)
    groups = []
    for length, rows in sorted(alike.items()):
        size = max(1, most // max(1, length))
        groups += [rows[at : at + size] for at in range(0, len(rows), size)]
    return groups


def groups_behind_each_other(lengths: Sequence[int], *, most: int) -> list[list[int]]:
    """Return the rows' indices from short to long, cut where a group would hold over `most` tokens.

    For models that compute no padding: texts of any length may share a group.
    """
    groups: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or lengths[index] > room:
            groups.append([])
            room = most
        groups[-1].append(index)
        room -= lengths[index]
    return groups


def _traced(order: list[int], start: list[int]) -> list[list[int]]:
    groups = []
    end = len(order)
    while end:
        groups.append(order[start[end] : end])
        end = start[end]
    return groups[::-1]
