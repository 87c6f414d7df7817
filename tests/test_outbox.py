"""What waits for a client: numbered without a hole, nothing of value lost, counted in bytes."""

import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wsproc.frames.server import (
    Accepted,
    Cancelled,
    Chunking,
    CustomStatus,
    JobFrame,
    Pong,
    ServerFrame,
    SummarizationProgress,
    Timing,
    Token,
)
from wsproc.numbered import Fresh, Numbered
from wsproc.outbox import Outbox
from wsproc.protocol import encode
from wsproc.replay import ReplayLog


def done(job: str) -> Cancelled:
    """Return a job's end."""
    return Cancelled(id=job, usage={}, timing_ms=Timing(queued=0, run=0), reason="client")


def accepted(job: str) -> Accepted:
    """Return a job's beginning."""
    return Accepted(id=job, position=0, eta_ms=None)


def put(outbox: Outbox, frame: ServerFrame) -> None:
    """Queue a frame where a session would."""
    if isinstance(frame, Accepted):
        outbox.put_first(encode(frame, 1))
    elif isinstance(frame, JobFrame):
        outbox.put(frame)
    else:
        outbox.answer(frame)


def message(one: bytes | Fresh) -> dict:
    """Return what leaves, decoded; what is still to be numbered has the number 0."""
    return orjson.loads(one.message if isinstance(one, Fresh) else one)


def drain(outbox: Outbox) -> list[dict]:
    """Take all that waits, decoded."""
    return [message(one) for one in iter(outbox.pop, None)]


def numbered(job: str, *seqs: int) -> list[Numbered]:
    """Return frames that were numbered before: `accepted`, then tokens."""
    frames = [accepted(job) if seq == 1 else Token(id=job, text=str(seq)) for seq in seqs]
    return [Numbered(seq, encode(frame, seq)) for seq, frame in zip(seqs, frames, strict=True)]


def test_control_frames_leave_first_and_in_order():
    """An answer never waits behind results."""
    outbox = Outbox()
    for frame in (Token(id="a", text="x"), Pong(n=1), accepted("b"), Pong(n=2)):
        put(outbox, frame)
    assert [frame["type"] for frame in drain(outbox)] == ["pong", "accepted", "pong", "token"]


def test_jobs_take_turns():
    """A job with much to say delays another by one frame."""
    outbox = Outbox()
    for job in "aaaab":
        outbox.put(Chunking(id=job, message="m"))
    assert [frame["id"] for frame in drain(outbox)] == ["a", "b", "a", "a", "a"]


def test_tokens_are_merged_over_the_limit_only():
    """Below it each token leaves alone; above it neighbours grow together and no text is lost."""
    outbox = Outbox(limit=1)
    for text in ("one ", "two ", "three"):
        outbox.put(Token(id="a", text=text))
    assert [frame["text"] for frame in drain(outbox)] == ["one two three"]
    outbox = Outbox()
    for text in ("one ", "two "):
        outbox.put(Token(id="a", text=text))
    assert [frame["text"] for frame in drain(outbox)] == ["one ", "two "]


def test_only_neighbours_of_one_job_are_merged():
    """A status between two tokens keeps them apart."""
    outbox = Outbox(limit=1)
    for frame in (Token(id="a", text="x"), Chunking(id="a", message="m"), Token(id="a", text="y")):
        outbox.put(frame)
    outbox.put(Token(id="b", text="z"))
    assert [frame.get("text") for frame in drain(outbox)] == ["x", "z", None, "y"]


def test_a_newer_progress_replaces_its_unsent_neighbour():
    """The summary so far holds everything of the one before."""
    outbox = Outbox()
    for text in ("A", "A b", "A b c"):
        outbox.put(SummarizationProgress(id="a", partial_summary=text))
    assert [frame["partial_summary"] for frame in drain(outbox)] == ["A b c"]


def test_a_purge_takes_statuses_and_tokens_and_leaves_accepted_and_done():
    """And nothing of another job."""
    outbox = Outbox()
    for job in "ab":
        for frame in (accepted(job), Chunking(id=job, message="m"), Token(id=job, text="x")):
            put(outbox, frame)
    outbox.put(done("a"))
    assert outbox.purge("a") is None
    assert outbox.purge("unknown") is None
    left = [(frame["id"], frame["type"]) for frame in drain(outbox)]
    assert [one[1] for one in left if one[0] == "a"] == ["accepted", "done"]
    assert [one[1] for one in left if one[0] == "b"] == ["accepted", "status", "token"]


def test_what_is_sent_again_is_the_same_but_for_its_mark():
    """Behind the answer to the resume, before what is new, in turn with other jobs."""
    outbox = Outbox()
    outbox.replay("a", numbered("a", 1, 2))
    outbox.put(Token(id="a", text="new"))
    outbox.put(Token(id="b", text="other"))
    outbox.answer(Pong(n=1))
    pong, first, other, second, new = drain(outbox)
    assert pong["type"] == "pong"
    assert first == orjson.loads(numbered("a", 1)[0].message) | {"replay": True}
    assert second == {"type": "token", "id": "a", "seq": 2, "text": "2", "replay": True}
    assert (other["text"], new["text"]) == ("other", "new")
    assert outbox.size == 0


def test_a_purge_gives_numbers_back_that_were_not_sent():
    """Invariant 3: so the job's end follows without a hole; `accepted` stays."""
    outbox = Outbox()
    outbox.replay("a", numbered("a", 1, 2, 3))
    outbox.put(Token(id="a", text="new"))
    assert outbox.purge("a") == 2
    assert [frame["type"] for frame in drain(outbox)] == ["accepted"]
    outbox.replay("a", numbered("a", 2, 3))
    outbox.pop()
    assert outbox.purge("a") == 3
    assert outbox.size == 0


def test_a_purge_keeps_numbers_that_this_client_has_had_before():
    """Who asks again for what it was sent goes on counting behind that."""
    outbox = Outbox()
    outbox.replay("a", numbered("a", 1, 2, 3), sent=2)
    assert outbox.sent("a", last=3) == 2
    assert outbox.purge("a") == 3
    outbox.replay("a", numbered("a", 2, 3), sent=3)
    assert outbox.sent("a", last=3) == 3
    assert outbox.purge("a") is None


def test_a_snapshot_has_no_number_to_give_back():
    """It stands for frames that are gone."""
    outbox = Outbox()
    outbox.replay("a", [Numbered(None, encode(Chunking(id="a", message="m"), 7))])
    assert outbox.purge("a") is None
    assert len(outbox) == 0


def test_what_is_new_is_taken_out_when_the_client_is_gone():
    """What was to be sent again is in the log anyway; answers are taken apart."""
    outbox = Outbox()
    outbox.answer(Pong(n=1))
    outbox.replay("a", numbered("a", 1, 2))
    for job, text in (("a", "x"), ("b", "y"), ("a", "z")):
        outbox.put(Token(id=job, text=text))
    fresh = outbox.take_fresh()
    told = [(one.job, one.kind, message(one)["text"]) for one in fresh]
    assert told == [("a", Token, "x"), ("a", Token, "z"), ("b", Token, "y")]
    assert len(outbox) == 1
    assert [orjson.loads(one) for one in outbox.take_control()] == [{"type": "pong", "n": 1}]
    assert (len(outbox), outbox.size, outbox.pop()) == (0, 0, None)


@pytest.mark.parametrize(
    "frame", [Pong(n=1234), Token(id="a", text="word "), Chunking(id="a", message="m" * 40)]
)
def test_what_waits_takes_the_memory_that_it_is_counted_with(frame: ServerFrame):
    """A client that asks and does not read, or reads slowly, costs the server what the bound says.

    Numbered frames are no dearer: their messages are those of the log.
    """
    outbox, count = Outbox(limit=1 << 30), 2000
    tracemalloc.start()
    try:
        for _ in range(count):
            put(outbox, type(frame).model_validate(frame.model_dump()))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(outbox) == count
    assert taken == pytest.approx(outbox.size, rel=0.25)


def test_a_frame_that_is_no_json_changes_nothing():
    """It is refused as a whole; what waited is sent, and what comes after it."""
    outbox = Outbox()
    with pytest.raises(TypeError):
        outbox.put(CustomStatus(id="a", status="shouting", thing=object()))
    assert (len(outbox), outbox.size, outbox.pop()) == (0, 0, None)
    outbox.put(done("a"))
    with pytest.raises(TypeError):
        outbox.put(CustomStatus(id="a", status="shouting", thing=object()))
    assert [frame["type"] for frame in drain(outbox)] == ["done"]


def test_a_refused_replacement_keeps_what_it_would_have_replaced():
    """Text of a model that cannot be encoded takes no other text with it."""
    outbox = Outbox(limit=1)
    outbox.put(Token(id="a", text="kept"))
    with pytest.raises(TypeError):
        outbox.put(Token(id="a", text="\ud800"))
    assert [frame["text"] for frame in drain(outbox)] == ["kept"]
    assert outbox.size == 0


@given(st.lists(st.text(max_size=5), min_size=1, max_size=30), st.integers(1, 400), st.data())
def test_concatenated_tokens_are_the_text(parts: list[str], limit: int, data: st.DataObject):
    """Whatever is merged, and whenever the writer takes a frame."""
    outbox, sent = Outbox(limit), []
    for text in parts:
        outbox.put(Token(id="a", text=text))
        if data.draw(st.booleans()) and (one := outbox.pop()) is not None:
            sent.append(message(one)["text"])
    sent += [frame["text"] for frame in drain(outbox)]
    assert "".join(sent) == "".join(parts)


class Interleaving(RuleBasedStateMachine):
    """Jobs come, talk, are purged and end, while a writer takes frames whenever it likes."""

    JOBS = ("a", "b", "c")

    @initialize(limit=st.integers(1, 2000))
    def start(self, limit: int) -> None:
        """Any limit, from one token to all of them."""
        self.outbox = Outbox(limit)
        self.log = ReplayLog()
        self.open: dict[str, list[str]] = {}
        self.kept: dict[str, list[str]] = {}
        self.sent: dict[str, list[dict]] = {}
        self.ends: set[str] = set()
        self.count = 0

    def _name(self, job: str) -> str:
        return next((name for name in self.open if name.startswith(job)), "")

    @rule(job=st.sampled_from(JOBS))
    def accept(self, job: str) -> None:
        """A job comes, under a name of its own."""
        if not self._name(job):
            self.count += 1
            name = f"{job}{self.count}"
            self.open[name] = []
            frame = accepted(name)
            self.outbox.put_first(self.log.append(Fresh.of(frame), sent=True))

    @rule(job=st.sampled_from(JOBS), text=st.text(max_size=60))
    def talk(self, job: str, text: str) -> None:
        """A token."""
        if name := self._name(job):
            self.outbox.put(Token(id=name, text=text))
            self.open[name].append(text)

    @rule(job=st.sampled_from(JOBS))
    def report(self, job: str) -> None:
        """A status that is never replaced."""
        if name := self._name(job):
            self.outbox.put(Chunking(id=name, message="m" * 30))

    @rule(job=st.sampled_from(JOBS), text=st.text(max_size=60))
    def progress(self, job: str, text: str) -> None:
        """A status that a newer one replaces."""
        if name := self._name(job):
            self.outbox.put(SummarizationProgress(id=name, partial_summary=text))

    @rule(job=st.sampled_from(JOBS))
    def end(self, job: str) -> None:
        """A job ends by itself."""
        if name := self._name(job):
            self.outbox.put(done(name))
            self.kept[name] = self.open.pop(name)
            self.ends.add(name)

    @rule(job=st.sampled_from(JOBS))
    def purge_and_end(self, job: str) -> None:
        """A job is cancelled."""
        if name := self._name(job):
            self.outbox.purge(name)
            self.outbox.put(done(name))
            del self.open[name]
            self.ends.add(name)

    @precondition(lambda self: len(self.outbox) > 0)
    @rule(frames=st.integers(1, 6))
    def send(self, frames: int) -> None:
        """The writer takes some frames."""
        for _ in range(frames):
            self._send_one()

    def _send_one(self) -> bool:
        one = self.outbox.pop()
        if one is None:
            return False
        if isinstance(one, Fresh):
            one = self.log.append(one, sent=True)
        frame = orjson.loads(one)
        self.sent.setdefault(frame["id"], []).append(frame)
        return True

    @invariant()
    def numbers_have_no_hole_and_nothing_follows_done(self) -> None:
        """Whatever was merged, replaced or purged."""
        for frames in self.sent.values():
            assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
            assert frames[0]["type"] == "accepted"
            assert all(frame["type"] != "done" for frame in frames[:-1])

    @invariant()
    def the_size_is_that_of_what_waits(self) -> None:
        """Nothing waits, nothing is counted."""
        assert self.outbox.size >= 0
        assert (self.outbox.size == 0) is (len(self.outbox) == 0)

    def teardown(self) -> None:
        """All leaves: every end, and all text that was not purged."""
        while self._send_one():
            pass
        assert self.outbox.size == 0
        for name in self.ends:
            assert self.sent[name][-1]["type"] == "done"
        for name, texts in {**self.kept, **self.open}.items():
            tokens = [frame["text"] for frame in self.sent[name] if frame["type"] == "token"]
            assert "".join(tokens) == "".join(texts)


TestInterleaving = Interleaving.TestCase
