"""Pieces of bounded length."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.stages.pieces import iter_pieces


def test_a_short_text_is_one_piece_without_the_space_around_it() -> None:
    """Nothing is cut that fits."""
    assert list(iter_pieces("  One. Two.\n\nThree. ", 100)) == [(2, 19)]


def test_sentences_are_kept_whole() -> None:
    """A piece ends with the last sentence that fits."""
    text = "The first one is here. The second one is here. The third."
    assert [text[a:b] for a, b in iter_pieces(text, 50)] == [
        "The first one is here. The second one is here.",
        "The third.",
    ]


def test_a_long_sentence_is_cut_at_white_space_late() -> None:
    """Words stay whole where there is a space in the second half of the part."""
    text = "aaaa bbbb cccc dddd eeee"
    assert [text[a:b] for a, b in iter_pieces(text, 12)] == ["aaaa bbbb", "cccc dddd", "eeee"]


def test_one_endless_word_is_cut_anywhere() -> None:
    """A word longer than a piece has no better place."""
    assert list(iter_pieces("x" * 25, 10)) == [(0, 10), (10, 20), (20, 25)]


def test_nothing_but_space_has_no_piece() -> None:
    """There is nothing to read."""
    assert list(iter_pieces(" \n\t  ", 10)) == []
    assert list(iter_pieces("", 10)) == []


def test_pieces_come_as_they_are_asked_for() -> None:
    """The first piece of a long text does not wait for the others."""
    pieces = iter_pieces("Here it is. " * 100_000, 100)
    assert next(pieces)[1] <= 100


TEXT = st.text(st.sampled_from("ab .!?\n\u00a0\u2028é漢👩\u200d\0"), max_size=120)


@given(TEXT, st.integers(1, 30))
def test_every_character_lies_in_one_piece(text: str, size: int) -> None:
    """Pieces are bounded, in order, disjoint, never blank, and leave out white space alone."""
    pieces = list(iter_pieces(text, size))
    assert all(0 < end - start <= size and text[start:end].strip() for start, end in pieces)
    assert all(before[1] <= after[0] for before, after in pairwise(pieces))
    outside = [text[a[1] : b[0]] for a, b in pairwise([(0, 0), *pieces, (len(text), len(text))])]
    assert not "".join(outside).strip()
