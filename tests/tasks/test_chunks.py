"""Chunks cover their text, in order, none longer than asked for; and what they add up to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine import sentence_spans
from wsproc.frames.server import ChunkResult
from wsproc.tasks.chunks import Chunk, GrowingChunks, overall, split_text

WORDS = st.lists(
    st.sampled_from(["word", "Dr.", "end.", "Why?", "\n\n", "  ", "😀", "e.g.", "3.14", "“Yes!”"]),
    max_size=60,
).map(" ".join)
TEXTS = (WORDS | st.text(max_size=300)).filter(bool)
SIZES = st.integers(1, 80)


@given(TEXTS, SIZES, st.sampled_from(["fixed", "sentence"]))
def test_chunks_joined_are_the_text(text: str, size: int, split: str):
    """In order, without a gap, each where its offsets say, none empty or longer than `size`."""
    chunks = split_text(text, size, split)
    assert "".join(chunk.text for chunk in chunks) == text
    position = 0
    for chunk in chunks:
        assert chunk.start == position < chunk.end
        assert chunk.text == text[chunk.start : chunk.end]
        assert len(chunk.text) <= size
        position = chunk.end


@given(TEXTS, SIZES)
def test_fixed_chunks_are_full(text: str, size: int):
    """All but the last have exactly `size` characters, as in the HTTP service."""
    chunks = split_text(text, size)
    assert all(len(chunk.text) == size for chunk in chunks[:-1])
    assert len(chunks) == -(-len(text) // size)


@given(TEXTS, SIZES)
def test_sentences_that_fit_are_never_cut(text: str, size: int):
    """A cut inside a sentence happens only where it, with the space behind it, is too long."""
    cuts = {chunk.start for chunk in split_text(text, size, "sentence")} - {0}
    starts = [0, *(start for start, _ in sentence_spans(text)[1:]), len(text)]
    for start, end in pairwise(starts):
        if end - start <= size:
            assert not cuts & set(range(start + 1, end))


@given(TEXTS, SIZES)
def test_sentences_are_packed(text: str, size: int):
    """Two chunks that each end with a sentence would not have fitted into one."""
    chunks = split_text(text, size, "sentence")
    starts = {start for start, _ in sentence_spans(text)}
    for one, two in pairwise(chunks):
        if one.end in starts and (two.end in starts or two.end == len(text)):
            assert two.end - one.start > size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three four. Five.", ["One two. ", "Three four. ", "Five."]),
        (
            "Short. A sentence that is too long to fit.",
            ["Short. ", "A sentence t", "hat is too l", "ong to fit."],
        ),
    ],
)
def test_sentence_mode_in_examples(text: str, expected: list[str]):
    """Whole sentences to a chunk of 12; the white space stays with the earlier one."""
    assert [chunk.text for chunk in split_text(text, 12, "sentence")] == expected


STEPS = st.lists(st.integers(0, 40), max_size=30)


@given(TEXTS, SIZES, st.sampled_from(["fixed", "sentence"]), STEPS, st.booleans())
def test_a_growing_text_has_the_chunks_of_the_whole(
    text: str, size: int, split: str, steps: list[int], ends_at_once: bool
):
    """However it is cut into pieces, each once, in order; the end may come with the last piece."""
    growing, chunks, length = GrowingChunks(size, split), [], 0
    for step in [*steps, *([] if ends_at_once else [len(text)])]:
        length = min(length + step, len(text))
        chunks += growing.read(text[:length])
    chunks += growing.read(text, final=True)
    assert chunks == split_text(text, size, split)
    assert growing.read(text, final=True) == []


def test_a_fixed_chunk_is_there_with_its_last_character():
    """And the rest with the end."""
    growing = GrowingChunks(10, "fixed")
    assert growing.read("012345678") == []
    assert growing.read("0123456789") == [Chunk(0, 10, "0123456789")]
    assert growing.read("0123456789a") == []
    assert growing.read("0123456789a", final=True) == [Chunk(10, 11, "a")]


def test_sentences_are_there_when_the_next_does_not_fit():
    """Long before the end of the text, and inside a sentence only where that alone is too long."""
    growing = GrowingChunks(24, "sentence")
    text = "It is so. It was not so. And yet it will be so again"
    chunks = {at: growing.read(text[:at]) for at in range(1, len(text) + 1)}
    assert {at: one for at, one in chunks.items() if one} == {
        29: [Chunk(0, 10, "It is so. ")],
        35: [Chunk(10, 25, "It was not so. ")],
        50: [Chunk(25, 49, "And yet it will be so ag")],
    }
    assert growing.read(text, final=True) == [Chunk(49, 52, "ain")]


def test_a_long_text_in_single_characters_is_not_read_over_and_over():
    """Ten thousand appends of one paragraph: a bounded number of looks, all of its chunks."""
    text = "so it goes on and on, " * 500
    growing, looks, chunks = GrowingChunks(200, "sentence"), 0, []
    reader = growing._sentences
    read = reader.read

    def counted(some: str) -> None:
        nonlocal looks
        looks += len(some)
        read(some)

    reader.read = counted
    for at in range(1, len(text) + 1):
        chunks += growing.read(text[:at])
    chunks += growing.read(text, final=True)
    assert chunks == split_text(text, 200, "sentence")
    assert looks < 600 * len(text)


def _results(kinds: str) -> list[ChunkResult]:
    names = {"P": "POSITIVE", "N": "NEGATIVE", "0": "NEUTRAL"}
    return [
        ChunkResult(chunk=at + 1, start=at, end=at + 1, sentiment=names[kind], confidence=0.5)
        for at, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "whole"),
    [
        ("", "NEUTRAL"),
        ("P", "POSITIVE"),
        ("N", "NEGATIVE"),
        ("0", "NEUTRAL"),
        ("PN", "NEUTRAL"),
        ("P0", "POSITIVE"),
        ("N0", "NEGATIVE"),
        ("PN0", "NEUTRAL"),
        ("PP00N", "POSITIVE"),
        ("P00", "NEUTRAL"),
        ("PPNN0", "NEUTRAL"),
        ("PPN00", "POSITIVE"),
    ],
)
def test_the_most_frequent_sentiment_is_the_whole(kinds: str, whole: str):
    """NEUTRAL on a tie of the two colours, the colour on a tie with NEUTRAL."""
    result = overall(_results(kinds))
    assert result.overall_sentiment == whole
    counts = (result.positive_chunks, result.negative_chunks, result.neutral_chunks)
    assert counts == (kinds.count("P"), kinds.count("N"), kinds.count("0"))
    assert [one.chunk for one in result.chunk_sentiments] == list(range(1, len(kinds) + 1))
