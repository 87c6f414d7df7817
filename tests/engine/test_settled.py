"""Sentences of a growing text: what is called certain stays, whatever follows."""

# ruff: noqa: RUF001 - the marks of many scripts are meant

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsproc.engine.sentences import sentence_spans
from wsproc.engine.settled import SettledSentences


def settled(text: str) -> list[str]:
    """Return the sentences of a text that are certain to begin where they do, up to the next."""
    reader = SettledSentences()
    reader.read(text)
    ends = [*reader.starts, reader.until][1:]
    return [text[start:end].strip() for start, end in zip(reader.starts, ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("  ", []),
        ("One word", ["One word"]),
        ("It is so.", ["It is so."]),
        ("It is so. ", ["It is so."]),
        ("It is so. An", ["It is so."]),
        ("It is so. And", ["It is so."]),
        ("It is so. And ", ["It is so.", "And"]),
        ("It is so. And then?! No", ["It is so.", "And then?!"]),
        ("Ask Dr. Smith. He ", ["Ask Dr. Smith.", "He"]),
        ("as I said. but then I", ["as I said. but then I"]),
        ("so i said. but then i", ["so i said."]),
        ("It is so.[12", ["It is so."]),
        ("It is so.[12] And ", ["It is so.[12]", "And"]),
        ("First line\n", ["First line"]),
        ("First line\n\n", ["First line"]),
        ("First line\n\nNext", ["First line", "Next"]),
        ("- one\n- two\n- th", ["- one", "- two"]),
        ("今日は雨です。明日は晴れ", ["今日は雨です。", "明日は晴れ"]),
    ],
)
def test_what_is_certain(text: str, sentences: list[str]):
    """A full stop counts once the word behind it is complete; small letters once a capital was
    seen; a line break once what follows cannot change its meaning.
    """
    assert settled(text) == sentences


def test_a_text_without_marks_is_one_sentence_as_far_as_it_goes():
    """So that speech without punctuation can be cut by its length."""
    reader = SettledSentences()
    reader.read("And so on and so on " * 50)
    assert (reader.starts, reader.until) == ([0], 1000)


PIECES = st.sampled_from(
    [
        "word", "Word", "a", "I", "Dr", "e.g", "p.m", "U.S", "No", "Sunday", "the", "The", "12",
        " ", " ", " ", "  ", "\n", "\n", "\n\n", "\r\n", "\r", "\t", "\u2028",
        ".", ".", ". ", "...", "!", "?", "?!", "…", "。", "．",
        '"', "'", ")", "(", "[", "]", "[1]", "”", "“", "»", "- ", "# ", "1. ", "* ", "---", "|",
        "x" * 30, "Long " * 9, "Very long " * 16,
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(1, 60), max_size=12))
@example(["Word", ".", " ", "word"], [6])
@example(["x" * 30, "\n", "Word", " ", "Long " * 9, "\n", "Word"], [36, 50])
def test_nothing_that_follows_moves_what_was_certain(pieces: list[str], cuts: list[int]):
    """Read in steps: the starts are those of the whole text, and none lies before `until` that
    was not told.
    """
    text = "".join(pieces)
    starts = [start for start, _ in sentence_spans(text)]
    reader, length = SettledSentences(), 0
    for cut in [*cuts, len(text)]:
        length = min(length + cut, len(text))
        reader.read(text[:length])
        assert reader.starts == [start for start in starts if start in set(reader.starts)]
        early = [start for start in starts if start < reader.until]
        assert early == [start for start in reader.starts if start < reader.until]


@given(st.text(alphabet='aB. \n?"(1', max_size=80), st.data())
def test_short_texts_at_every_prefix(text: str, data: st.DataObject):
    """The same, read from nothing at one place."""
    starts = [start for start, _ in sentence_spans(text)]
    reader = SettledSentences()
    reader.read(text[: data.draw(st.integers(0, len(text)))])
    assert set(reader.starts) <= set(starts)
    assert {start for start in starts if start < reader.until} <= set(reader.starts)
