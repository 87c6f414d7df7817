"""What a live job remembers: its chunks wherever they stand, of this text and the last."""

from wsproc.frames.server import ChunkResult
from wsproc.tasks.chunks import Chunk
from wsproc.tasks.memory import Memory


def chunks(*texts: str) -> list[Chunk]:
    """Return chunks one behind the other."""
    ends = [sum(map(len, texts[: at + 1])) for at in range(len(texts))]
    return [Chunk(end - len(text), end, text) for end, text in zip(ends, texts, strict=True)]


def learn(memory: Memory, *texts: str) -> list[str]:
    """Turn to a text, compute what is new; return that."""
    all_of_them = chunks(*texts)
    fresh = memory.fresh(all_of_them)
    for chunk in fresh:
        result = ChunkResult(chunk=1, start=0, end=0, sentiment="NEUTRAL", confidence=0.5)
        memory.note(chunk, result)
    return [chunk.text for chunk in fresh]


def test_only_what_changed_is_new():
    """A chunk is known by its text alone, and gets the place and the offsets that it has now."""
    memory = Memory()
    assert learn(memory, "aa", "bbb") == ["aa", "bbb"]
    assert learn(memory, "cccc", "aa", "bbb") == ["cccc"]
    known = memory.known(chunks("bbb", "x", "aa"))
    assert {place: (one.chunk, one.start, one.end) for place, one in known.items()} == {
        0: (1, 0, 3),
        2: (3, 4, 6),
    }


def test_an_undone_change_is_remembered_and_an_old_one_is_not():
    """So its size is bounded by two texts."""
    memory = Memory()
    learn(memory, "aa")
    learn(memory, "bb")
    assert learn(memory, "aa") == []
    learn(memory, "cc")
    learn(memory, "dd")
    assert learn(memory, "aa") == ["aa"]


def test_what_was_not_finished_is_seen_and_not_known():
    """A revision was superseded: its chunk is computed again, and counted once."""
    memory = Memory()
    assert memory.fresh(chunks("aa")) == chunks("aa")
    assert memory.fresh(chunks("aa")) == []
    assert memory.known(chunks("aa")) == {}
