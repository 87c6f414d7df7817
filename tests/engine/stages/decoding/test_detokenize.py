from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.stages.decoding.tiny import LINES, byte_tokenizer
from wsproc.engine.stages.decoding.detokenize import UNFINISHED, Detokenizer

TOKENIZER = byte_tokenizer()


def pieces(tokens: list[int]) -> list[str]:
    """Return what a detokenizer tells after each token, and at the end."""
    detokenizer = Detokenizer(TOKENIZER)
    return [detokenizer.push(token) for token in tokens] + [detokenizer.flush()]


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=30))
def test_pieces_make_the_decoded_text(tokens: list[int]) -> None:
    """For any tokens, valid text or not, the pieces together are what decoding all at once gives,
    special tokens left out.
    """
    assert "".join(pieces(tokens)) == TOKENIZER.decode(tokens, skip_special_tokens=True)


@given(st.text(max_size=30))
def test_a_character_is_never_split(text: str) -> None:
    """Real text comes in whole characters: no piece holds a replacement character of its own."""
    told = pieces(TOKENIZER(text)["input_ids"])
    assert "".join(told) == text
    assert sum(piece.count(UNFINISHED) for piece in told) == text.count(UNFINISHED)


def test_text_is_told_as_soon_as_it_is_certain() -> None:
    """Every token of plain text is told at once."""
    tokens = TOKENIZER(LINES[0])["input_ids"]
    assert all(pieces(tokens)[:-1])
