"""A second run of a job never tells its reader anything twice, and never something else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.client.delivered import Delivered, Diverged, text_so_far
from wsproc.frames.server import (
    Chunked,
    ChunkResult,
    Completed,
    CustomStatus,
    SentimentProgress,
    Snapshot,
    SummarizationProgress,
    Timing,
    Token,
)


def token(text: str) -> Token:
    """A token of job a."""
    return Token(id="a", text=text)


def progress(item: int, confidence: float = 0.9) -> SentimentProgress:
    """The sentiment of a chunk of job a."""
    chunk = ChunkResult(chunk=item, start=0, end=1, sentiment="NEUTRAL", confidence=confidence)
    return SentimentProgress(
        id="a", progress=item / 9, current_item=item, total_items=9, chunk_result=chunk
    )


def completed(text: str) -> Completed:
    """The end of a generation."""
    return Completed(
        id="a",
        usage={},
        timing_ms=Timing(queued=0, run=0),
        message="",
        total_processing_time=0,
        timestamp="",
        result={"text": text},
    )


def read(delivered: Delivered, *frames):
    """Hand out what is fresh of these frames."""
    fresh = [one for frame in frames if (one := delivered.fresh(frame)) is not None]
    for frame in fresh:
        delivered.note(frame)
    return fresh


def pieces(text: str, cuts: list[int]) -> list[Token]:
    """Cut a text into tokens."""
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [token(text[start:end]) for start, end in itertools.pairwise(edges)]


def test_in_a_first_run_everything_is_fresh():
    """Without a rewind nothing is left out, not even what looks the same."""
    frames = [token("x"), token("x"), progress(1), progress(1)]
    assert read(Delivered(), *frames) == frames


@given(
    text=st.text(max_size=30),
    first=st.lists(st.integers(0, 99), max_size=5),
    second=st.lists(st.integers(0, 99), max_size=5),
    read_of_first=st.integers(0, 9),
)
def test_tokens_of_both_runs_join_to_the_text(text, first, second, read_of_first):
    """However the text is cut in each run, and wherever the first one ends."""
    delivered = Delivered()
    told = read(delivered, *pieces(text, first)[:read_of_first])
    delivered.rewind()
    told += read(delivered, *pieces(text, second))
    assert "".join(one.text for one in told) == text
    assert read(delivered, completed(text)) == [completed(text)]


@pytest.mark.parametrize("frame", [token("Helped"), completed("Helped"), completed("Hell")])
def test_a_text_that_goes_on_differently_is_noticed(frame):
    """A second text that is not the first one's continuation is never joined to it."""
    delivered = Delivered()
    read(delivered, token("Hello"))
    delivered.rewind()
    with pytest.raises(Diverged):
        delivered.fresh(frame)


def test_each_chunk_is_told_once_whatever_its_last_digit():
    """Chunks are told apart by their number, in any order beside the other stages."""
    delivered = Delivered()
    read(delivered, Chunked(id="a", message="", chunks=9), progress(1), progress(2))
    delivered.rewind()
    second = [progress(1, 0.91), Chunked(id="a", message="", chunks=9), progress(2), progress(3)]
    assert read(delivered, *second) == [progress(3)]


def test_a_summary_only_grows():
    """A partial summary that is no longer than the one that was told is left out."""
    delivered = Delivered()
    read(delivered, SummarizationProgress(id="a", partial_summary="One. Two."))
    delivered.rewind()
    second = [
        SummarizationProgress(id="a", partial_summary=text)
        for text in ("One.", "One. Two.", "One. Two. Three.")
    ]
    assert read(delivered, *second) == second[2:]


def test_a_status_of_ones_own_is_known_by_what_it_says():
    """Equal statuses are counted: what was told twice is left out twice, and then told."""

    def status(litres: int) -> CustomStatus:
        return CustomStatus.model_validate(
            {"type": "status", "id": "a", "status": "pouring", "litres": litres, "seq": litres}
        )

    delivered = Delivered()
    read(delivered, status(1), status(1))
    delivered.rewind()
    assert read(delivered, status(1), status(2), status(1), status(1)) == [status(2), status(1)]


def test_a_third_run_leaves_out_what_the_second_told():
    """Each rewind counts everything that was ever handed out."""
    delivered = Delivered()
    read(delivered, token("He"))
    delivered.rewind()
    read(delivered, token("Hel"))
    delivered.rewind()
    assert [one.text for one in read(delivered, token("Hello"))] == ["lo"]


def test_a_snapshot_stands_for_the_text_so_far():
    """A snapshot's partial text counts as told, and later tokens go on behind it."""
    snapshot = Snapshot(id="a", state="running", partial_result={"text": "Hello"})
    assert text_so_far(snapshot) == "Hello"
    assert text_so_far(token("x")) is None
    delivered = Delivered()
    read(delivered, token("He"))
    delivered.rewind()
    assert read(delivered, snapshot, token(" you")) == [snapshot, token(" you")]
