"""Cutting a step's rows into groups of like length, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence


def groups_by_length(lengths: Sequence[int], *, launch: int, most: int) -> list[list[int]]:
    """Return the rows' indices in the groups that cost least to compute one after the other.

    A group of n rows, the longest of l tokens, costs `launch` + n * l tokens: the fixed cost of
    a forward pass, given as the number of tokens computed in its time, and the padded tokens. The
    cheapest cut of the rows sorted by length is found by dynamic programming, in steps by the
    square of the places where one may be. No group of several rows holds more than `most` padded
    tokens. The order is from short to long.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    places = _places([lengths[index] for index in order], most)
    best = [0.0] + [float("inf")] * (len(places) - 1)
    start = [0] * len(places)
    for last in range(1, len(places)):
        end = places[last]
        longest = lengths[order[end - 1]]
        for first in range(last - 1, -1, -1):
            count = end - places[first]
            if count * longest > most and count > 1:
                break
            if best[first] + launch + count * longest < best[last]:
                best[last] = best[first] + launch + count * longest
                start[last] = first
    return _traced(order, places, start)


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


def _places(ascending: Sequence[int], most: int) -> list[int]:
    """Return where rows may be cut, both ends included.

    Equal rows part only where too many of them are for one group, which is nowhere if all fit.
    """
    count = len(ascending)
    if not count:
        return [0]
    if count * ascending[-1] > most:
        return list(range(count + 1))
    inner = [at for at in range(1, count) if ascending[at - 1] != ascending[at]]
    return [0, *inner, count]


def _traced(order: list[int], places: list[int], start: list[int]) -> list[list[int]]:
    groups = []
    last = len(places) - 1
    while last:
        groups.append(order[places[start[last]] : places[last]])
        last = start[last]
    return groups[::-1]
