from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.stages.decoding.stops import StopFilter

TEXTS = st.text("ab", max_size=20)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


def cut(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    """Return all that the filter passes on, and whether it met a stop string."""
    stop_filter = StopFilter(stops)
    text = "".join([stop_filter.push(piece) for piece in pieces] + [stop_filter.flush()])
    return text, stop_filter.stopped


@given(st.lists(TEXTS, max_size=6), STOPS)
def test_the_division_into_pieces_does_not_matter(pieces: list[str], stops: list[str]) -> None:
    """The text ends before the stop string that is completed first, however it is divided."""
    whole = "".join(pieces)
    assert cut(pieces, stops) == cut([whole], stops) == cut(list(whole), stops)
    text, stopped = cut(pieces, stops)
    assert whole.startswith(text)
    assert stopped == any(stop in whole for stop in stops)
    assert text == whole or stopped
    assert not any(stop in text for stop in stops)


@given(TEXTS, STOPS)
def test_no_more_is_held_than_may_be_a_stop(text: str, stops: list[str]) -> None:
    """What is held back after a piece is the beginning of a stop string, and nothing else."""
    stop_filter = StopFilter(stops)
    passed = stop_filter.push(text)
    if not stop_filter.stopped:
        held = text[len(passed) :]
        assert not held or any(stop.startswith(held) for stop in stops)


def test_the_longest_of_two_that_end_together_counts() -> None:
    """Of stop strings that end at the same character the text ends before the longest."""
    assert cut(["x1234"], ["34", "234"]) == ("x1", True)


def test_nothing_passes_after_a_stop() -> None:
    """Once stopped, further pieces are swallowed."""
    stop_filter = StopFilter(["."])
    assert [stop_filter.push("a.b"), stop_filter.push("c."), stop_filter.flush()] == ["a", "", ""]
