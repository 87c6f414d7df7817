from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.sentences import sentence_spans
from wsproc.engine.stages.decoding.windows import window_spans

SENTENCES = st.lists(
    st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=12), max_size=12
)


def words(texts: Sequence[str]) -> list[int]:
    """Measure texts as a tokenizer with two special tokens and pieces of four letters might."""
    return [2 + sum(-(-len(word) // 4) for word in text.split()) for text in texts]


@given(SENTENCES, st.integers(4, 40))
def test_windows_hold_the_text_in_order(sentences: list[list[str]], most: int) -> None:
    """All that is not white space is in one window, in order, and no window is too long."""
    text = " ".join(f"T{' '.join(parts)}." for parts in sentences)
    spans = window_spans(text, words, most)
    taken = [text[start:end] for start, end in spans]
    assert "".join("".join(taken).split()) == "".join(text.split())
    assert all(size <= most for size in words(taken))


@given(SENTENCES, st.integers(20, 60))
def test_windows_end_with_sentences(sentences: list[list[str]], most: int) -> None:
    """Where every sentence fits by itself no window cuts one."""
    text = " ".join(f"T{' '.join(parts)}." for parts in sentences)
    units = sentence_spans(text)
    if all(size <= most for size in words([text[start:end] for start, end in units])):
        starts, ends = {start for start, _ in units}, {end for _, end in units}
        spans = window_spans(text, words, most)
        assert all(start in starts and end in ends for start, end in spans)


def test_windows_are_few_and_equal() -> None:
    """A text goes into as few windows as it needs, of about the same length."""
    text = "Four words are here. " * 10
    spans = window_spans(text, words, 42)
    sizes = words([text[start:end] for start, end in spans])
    assert len(spans) == 2
    assert max(sizes) - min(sizes) <= 6


def test_a_text_that_fits_is_one_window() -> None:
    """Nothing is divided that need not be, and a blank text has no window."""
    assert window_spans("  One. Two.\n", words, 50) == [(2, 11)]
    assert window_spans(" \n ", words, 50) == []


def test_a_sentence_that_is_too_long_is_divided_between_words() -> None:
    """A sentence that no window holds is cut at white space, and inside a word at last."""
    text = "word " * 40 + "end."
    parts = [text[start:end] for start, end in window_spans(text, words, 20)]
    assert {word for part in parts for word in part.split()} == {"word", "end."}
    giant = "x" * 1000
    assert "".join(giant[start:end] for start, end in window_spans(giant, words, 20)) == giant
