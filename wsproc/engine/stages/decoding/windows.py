"""Dividing a text that is too long for a model at the ends of its sentences, into equal parts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from wsproc.engine.sentences import Span, sentence_spans

Measure = Callable[[Sequence[str]], list[int]]
"""Returns how many tokens each of several texts has."""


def window_spans(text: str, measure: Measure, most: int) -> list[Span]:
    """Return the spans of as few windows as hold `text`, each of at most `most` tokens.

    Windows start and end with sentences and are about equally long; a sentence that is too long by
    itself is divided between words, or inside one where it must be. A blank text has no windows.
    """
    units = sentence_spans(text)
    if not units:
        return []
    whole = (units[0][0], units[-1][1])
    if measure([text[slice(*whole)]])[0] <= most:
        return [whole]
    units = _fitting(text, units, measure, most)
    sizes = measure([text[start:end] for start, end in units])
    count = -(-sum(sizes) // most)
    while count < len(units):
        windows = _divide(units, sizes, count)
        if max(measure([text[start:end] for start, end in windows])) <= most:
            return windows
        count += 1
    return units


def _fitting(text: str, units: Sequence[Span], measure: Measure, most: int) -> list[Span]:
    """Halve the units that are too long until none is."""
    fitting: list[Span] = []
    open_ = list(units)
    while open_:
        sizes = measure([text[start:end] for start, end in open_])
        fitting += [unit for unit, size in zip(open_, sizes, strict=True) if size <= most]
        long = [unit for unit, size in zip(open_, sizes, strict=True) if size > most]
        fitting += [unit for unit in long if unit[1] - unit[0] == 1]
        open_ = [half for unit in long if unit[1] - unit[0] > 1 for half in _halves(text, unit)]
    return sorted(fitting)


def _halves(text: str, span: Span) -> list[Span]:
    """Divide a span of two characters or more at the white space nearest to its middle."""
    start, end = span
    middle = (start + end) // 2
    quarter = (end - start) // 4
    for distance in range(quarter):
        for at in (middle - distance, middle + distance):
            if text[at].isspace():
                return [(start, at), (at + 1, end)]
    return [(start, middle), (middle, end)]


def _divide(units: Sequence[Span], sizes: Sequence[int], count: int) -> list[Span]:
    """Join neighbouring units to `count` windows of about the same number of tokens."""
    ends = list(accumulate(sizes))
    cuts = [0]
    for window in range(1, count):
        target = ends[-1] * window / count
        at = bisect_left(ends, target)
        before = ends[at - 1] if at else 0
        nearest = at if target - before < ends[at] - target else at + 1
        cuts.append(min(max(nearest, cuts[-1] + 1), len(units) - (count - window)))
    cuts.append(len(units))
    return [(units[first][0], units[last - 1][1]) for first, last in pairwise(cuts)]
