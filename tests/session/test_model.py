"""A session against a simple model: any history of a client, its jobs and its connections.

The client here is a careful one. It keeps what it has read, comes back with the last number that it
has seen of each job, and holds the server to its promises: one answer to each submit, one `done` to
each job, numbers without a hole, and all of the text, also across lost connections.
"""

import itertools
from dataclasses import dataclass, field

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.session.test_session import LIMITS, TEXT, TIMING, send
from wsproc.admission import Admission
from wsproc.frames.client import TASKS
from wsproc.frames.errors import CloseCode, ErrorCode, error_info
from wsproc.frames.server import SummarizationProgress, Token
from wsproc.job import StopReason
from wsproc.outbox import Outbox
from wsproc.replay import ReplayBudget, ReplayLog
from wsproc.session import Close, Ending, Feed, Offer, Session, Start, Stop

TOKEN = "secret"
NAMES = ("a", "b", "c", "d")
RESUME_S, RESULT_TTL_S = 30.0, 300.0


@dataclass
class Made:
    """What the server has made of one job."""

    body: tuple
    keep: bool
    length: int | None = None
    state: str = "queued"
    text: str = ""
    reason: str | None = None
    ended_at: float = 0.0
    sent: bool = False


@dataclass
class Read:
    """What the client has read of one job: `texts` is the text as it was at each number."""

    last: int = 0
    texts: dict[int, str] = field(default_factory=lambda: {0: ""})
    frames: dict[int, dict] = field(default_factory=dict)
    gap: bool = False
    cancelling: bool = False
    done: dict | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return self.texts[self.last]

    def rewind(self, steps: int) -> int:
        """Forget the last frames, as a client that wrote its state down too seldom."""
        if steps:
            known = sorted(self.texts)
            self.last = known[max(0, len(known) - 1 - steps)]
            self.texts = {seq: text for seq, text in self.texts.items() if seq <= self.last}
            self.done, self.cancelling = None, False
        return self.last


class World(RuleBasedStateMachine):
    """A session, its jobs as they run, and a client whose connections may be lost at any frame."""

    @initialize(
        outbox=st.sampled_from([1, 300, 1 << 20]), log=st.sampled_from([9000, 12_000, 4 << 20])
    )
    def start(self, outbox: int, log: int) -> None:
        """Any bounds: so tight that all is merged and dropped, or so wide that nothing is."""
        self.admission = Admission(50)
        self.budget = ReplayBudget()
        offer = Offer(
            "1", "epoch", TASKS, LIMITS, 15.0, resume_s=RESUME_S, result_ttl_s=RESULT_TTL_S
        )
        self.session = Session(
            TOKEN, offer, self.admission, Outbox(outbox), ReplayLog(log, self.budget)
        )
        self.forgetful = log < 4 << 20
        self.now = 0.0
        self.left_at: float | None = None
        self.draining = False
        self.made: dict[str, Made] = {}
        self.ended: set[str] = set()
        self.read: dict[str, Read] = {}
        self.wire: list[dict] = []
        self.due: list[tuple] = []
        self.words = itertools.count()

    @property
    def attached(self) -> bool:
        """Whether there is a connection."""
        return self.left_at is None

    def _send(self, **frame: object) -> list:
        """Send a frame; that a tight outbox would have the connection closed is left aside."""
        actions = send(self.session, self.now, **frame)
        return [one for one in actions if not isinstance(one, Close)]

    # --- what the client sends ------------------------------------------------------------------

    @precondition(lambda self: self.attached)
    @rule(
        name=st.sampled_from(NAMES),
        priority=st.sampled_from([3, 5]),
        keep=st.booleans(),
        goes_on=st.booleans(),
    )
    def submit(self, name: str, priority: int, keep: bool, goes_on: bool) -> None:
        """Exactly one answer: taken, taken already, or not taken."""
        mode = "keep" if keep else "cancel"
        body = (priority, mode, goes_on)
        fields = {"type": "process", "text": TEXT, "open": goes_on, "on_disconnect": mode}
        unread = self.session.outbox.overfull
        actions = self._send(id=name, priority=priority, meta=name, **fields)
        known = self.made.get(name)
        if known is not None and name not in self.session.log:
            verdict = "id_conflict"  # forgotten for its size, with frames that are still to leave
        elif known is not None and known.body == body:
            verdict = "duplicate"
        elif known is not None:
            verdict = "id_conflict"
        elif self.draining:
            verdict = "draining"
        elif self._live() >= LIMITS.max_jobs or unread:
            verdict = "too_many_jobs"
        else:
            verdict = "accepted"
            self.receive(len(self.wire))  # what is still to be read is of an earlier job
            self.made[name] = Made(body, keep, length=len(TEXT) if goes_on else None)
            self.ended.discard(name)
            self.read[name] = Read()
        self.due.append((name, verdict))
        assert [type(one) for one in actions] == ([Start] if verdict == "accepted" else [])

    @precondition(lambda self: self.attached)
    @rule(name=st.sampled_from(NAMES))
    def cancel(self, name: str) -> None:
        """One reply, whatever the id."""
        actions = self._send(type="cancel", id=name)
        made = self.made.get(name)
        if made is not None and made.state != "done":
            assert actions == ([] if made.state == "cancelling" else [Stop(name)])
            self._note_stop(name, "client")
            self.due.append((name, "cancelling"))
        else:
            assert actions == []
            self.due.append((name, "done" if made is not None or name in self.ended else None))

    @precondition(lambda self: self.attached)
    @rule()
    def cancel_all(self) -> None:
        """One reply for all."""
        actions = self._send(type="cancel", id="*")
        live = [name for name, made in self.made.items() if made.state != "done"]
        fresh = [name for name in live if self.made[name].state != "cancelling"]
        assert sorted(one.job_id for one in actions) == sorted(fresh)
        for name in live:
            self._note_stop(name, "client")
        self.due.append(("*", "cancelling" if live else "done"))

    @precondition(lambda self: self.attached)
    @rule(name=st.sampled_from(NAMES), count=st.integers(0, 20), final=st.booleans())
    def append(self, name: str, count: int, final: bool) -> None:
        """One reply, whatever the id; it is handed on where the job is open and has room."""
        actions = self._send(type="append", id=name, text="x" * count, final=final)
        made = self.made.get(name)
        length = 999 if made is None or made.length is None else made.length + count
        if made is None or made.state == "done":
            outcome = "done" if made is not None or name in self.ended else None
        elif made.state == "cancelling" or length > LIMITS.max_text_chars:
            outcome = "refused"
        else:
            outcome = "ok"
            made.length = 999 if final else length
        self.due.append((name, outcome))
        assert [type(one) for one in actions] == ([Feed] if outcome == "ok" else [])

    # --- what the jobs do -----------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def begin(self, name: str) -> None:
        """A job's first work."""
        self.session.begin(name)
        if name in self.made and self.made[name].state == "queued":
            self.made[name].state = "running"

    @rule(name=st.sampled_from(NAMES), many=st.sampled_from([1, 2, 20]), long=st.booleans())
    def talk(self, name: str, many: int, long: bool) -> None:
        """Tokens, a few or many, short or long."""
        job = self.session._book.live.get(name)
        if job is None or self.made[name].state == "cancelling":
            self.session.emit(Token(id=name, text="too late"))
            return
        for _ in range(many):
            text = f"{next(self.words)} " * (50 if long else 1)
            self.made[name].text += text
            job.partial["text"] = self.made[name].text
            self.session.emit(Token(id=name, text=text))

    @rule(name=st.sampled_from(NAMES))
    def progress(self, name: str) -> None:
        """A status that may be replaced."""
        self.session.emit(SummarizationProgress(id=name, partial_summary=str(next(self.words))))

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["completed", "stopped", "failed"]))
    def finish(self, name: str, how: str) -> None:
        """A job's end, by itself or stopped."""
        made = self.made.get(name)
        if made is not None and made.state != "done":
            self.session.finish(name, _ending(how, made.text), self.now)
            made.state, made.ended_at = "done", self.now

    @rule(name=st.sampled_from(NAMES))
    def expire(self, name: str) -> None:
        """A deadline passes."""
        live = name in self.made and self.made[name].state in ("queued", "running")
        assert self.session.expire(name) == ([Stop(name)] if live else [])
        if live:
            self.made[name].state = "cancelling"

    # --- connections ----------------------------------------------------------------------------

    @precondition(lambda self: self.attached)
    @rule(clean=st.booleans(), read=st.integers(0, 3))
    def lose(self, clean: bool, read: int) -> None:
        """The connection is gone, with it all that is on the line and what answers waited."""
        self.receive(read)
        actions = self.session.detach(self.now, clean=clean)
        self.left_at = self.now
        self.wire.clear()
        self.due.clear()
        self._expect_unkept_stop(actions, stopped=clean)

    @rule(stale=st.integers(0, 3), forgets=st.booleans())
    def come_back(self, stale: int, forgets: bool) -> None:
        """A new connection resumes, with the old one still open or not, knowing all or less."""
        if self.attached:
            self.session.detach(self.now, clean=False)
            self.wire.clear()
            self.due.clear()
        self.left_at = None
        self.session.attach()
        after = {name: read.rewind(stale) for name, read in self.read.items()}
        if forgets and after:
            name, _ = after.popitem()
            self.read[name].rewind(999)
        self.session.resume(after)
        self.due.append(("resume", "ok"))

    @precondition(lambda self: self.attached)
    @rule(stale=st.integers(0, 3))
    def ask_again(self, stale: int) -> None:
        """The same connection asks for frames of its own session."""
        known = {name: sorted(read.texts) for name, read in self.read.items()}
        after = {name: seqs[max(0, len(seqs) - 1 - stale)] for name, seqs in known.items()}
        self._send(type="resume", session=TOKEN, after=after)
        self.due.append(("resume", "ok"))

    @rule(seconds=st.sampled_from([1.0, 31.0, 301.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; the session is tended to when it is due."""
        self.now += seconds
        while (due := self.session.due) is not None and due <= self.now:
            actions = self.session.tend(self.now)
            lapsed = self.left_at is not None and self.now >= self.left_at + RESUME_S
            self._expect_unkept_stop(actions, stopped=lapsed)
            if due == self.session.due:
                break  # an end that has not left is kept for as long as that takes

    @rule()
    def drain(self) -> None:
        """At most once."""
        if not self.draining:
            self.draining = True
            self.session.drain(CloseCode.SERVICE_RESTART, "going", 1)
            if self.attached:
                self.due.append(("goaway",))
            else:
                self.session.outbox.take_control()

    # --- what the writer and the client do ------------------------------------------------------

    @precondition(lambda self: self.attached)
    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        """The writer puts some frames on the line."""
        for _ in range(count):
            message = self.session.next_message()
            if message is None:
                return
            frame = orjson.loads(message)
            self.wire.append(frame)
            if frame["type"] == "done":
                self.made[frame["id"]].sent = True

    @rule(count=st.integers(1, 6))
    def receive(self, count: int) -> None:
        """The client reads some frames."""
        for _ in range(min(count, len(self.wire))):
            self._read_one(self.wire.pop(0))

    def _read_one(self, frame: dict) -> None:
        kind, name = frame["type"], frame.get("id")
        answer = _answer(frame)
        if answer is not None:
            assert answer == self.due.pop(0)
        if kind == "reply" and frame["op"] == "resume":
            self._note_resume(frame)
        elif kind == "reply" and frame["outcome"] == "cancelling":
            for one in frame.get("ids", [name]):
                self.read[one].cancelling = True
        elif "seq" in frame:
            self._read_of_job(frame, self.read[name])

    def _note_resume(self, frame: dict) -> None:
        assert frame["session"] == TOKEN
        for name, told in frame["jobs"].items():
            self.read[name].gap = not told["recovered"]
            assert told["recovered"] or self.forgetful or self.made[name].reason == "client"

    def _read_of_job(self, frame: dict, read: Read) -> None:
        kind, seq = frame["type"], frame["seq"]
        plain = {key: value for key, value in frame.items() if key != "replay"}
        if "replay" in frame and frame.get("status") != "snapshot":
            assert read.frames.get(seq, plain) == plain or self.was_cut(frame)
        if seq <= read.last and frame.get("status") != "snapshot":
            assert frame["replay"], "a number came twice without being asked for"
            return
        assert kind in ("accepted", "done") or not read.cancelling
        if frame.get("status") == "snapshot":
            read.last, read.gap = seq, False
            read.texts[seq] = frame["partial_result"].get("text", "")
            return
        assert seq == read.last + 1 or read.gap, f"{frame} behind {read.last}"
        assert read.done is None, "something came behind done"
        read.gap = False
        read.texts[seq] = read.text + (frame["text"] if kind == "token" else "")
        read.last = seq
        read.frames[seq] = plain
        if kind == "done":
            assert frame["meta"] == frame["id"]
            whole = frame.get("result") or frame.get("partial_result") or {"text": read.text}
            skipped = seq - 1 not in read.frames and seq > 1
            if frame["status"] == "completed" and not skipped and not self.was_cut(frame):
                assert read.text == whole["text"]
            assert whole["text"].startswith(read.text)
            read.done = frame
            if frame.get("error", {}).get("code") == "output_overflow":
                assert self.forgetful

    def was_cut(self, frame: dict) -> bool:
        """Whether a job was cancelled by its client, so that unsent text was purged."""
        made = self.made.get(frame["id"])
        return made is None or made.reason is not None

    # --- the model ------------------------------------------------------------------------------

    def _live(self) -> int:
        return sum(made.state != "done" for made in self.made.values())

    def _note_stop(self, name: str, reason: str) -> None:
        made = self.made[name]
        made.state = "cancelling"
        made.reason = made.reason or reason

    def _expect_unkept_stop(self, actions: list, *, stopped: bool) -> None:
        unkept = [n for n, made in self.made.items() if not made.keep and made.state != "done"]
        fresh = [name for name in unkept if self.made[name].state != "cancelling"]
        expected = fresh if stopped else []
        assert sorted(one.job_id for one in actions) == sorted(expected)
        for name in expected:
            self._note_stop(name, StopReason.DISCONNECT)

    @invariant()
    def what_is_forgotten_is_old_or_too_much(self) -> None:
        """Follow what the session has forgotten: by age it must, by size it may."""
        if not hasattr(self, "session"):
            return
        for name, made in list(self.made.items()):
            if name in self.session.log:
                continue
            old = made.state == "done" and made.ended_at + RESULT_TTL_S <= self.now
            assert made.state == "done", "a live job was forgotten"
            assert old or (self.forgetful and made.sent)
            if not self.session._is_taken(name):
                del self.made[name]
                self.ended.add(name)

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def slots_are_counted(self) -> None:
        """The session, the server and the model agree."""
        if not hasattr(self, "session"):
            return
        assert self.session.live_jobs == self.admission.live == self._live()
        waiting = [
            name
            for name, made in self.made.items()
            if made.state == "queued" and made.length is None
        ]
        assert self.admission.waiting == len(waiting)

    @invariant()
    def memory_is_bounded(self) -> None:
        """The log keeps to its limit and the budget counts what the log holds."""
        if hasattr(self, "session"):
            assert 0 <= self.session.log.size <= self.session.log.limit
            assert self.budget.size == self.session.log.size
            assert self.session.outbox.size >= 0

    def teardown(self) -> None:
        """All ends, the client comes back once more and reads it all."""
        if not hasattr(self, "session"):
            return
        for name in list(self.made):
            self.finish(name, "completed")
        if not self.attached:
            self.come_back(stale=0, forgets=False)
        self.write(count=10_000)
        self.receive(len(self.wire))
        assert self.due == []
        self.what_is_forgotten_is_old_or_too_much()
        for name in self.made:
            assert self.read[name].done is not None
        assert self.session.outbox.size == 0


def _ending(how: str, text: str) -> Ending:
    if how == "completed":
        return Ending(TIMING, {}, result={"text": text}, message="m", timestamp="t")
    error = error_info(ErrorCode.ENGINE_ERROR, "no") if how == "failed" else None
    return Ending(TIMING, {}, error=error, partial_result={"text": text})


def _answer(frame: dict) -> tuple | None:
    """Reduce a control frame to what the model predicts; None for a job's own frames."""
    match frame:
        case {"type": "accepted", "replay": True}:
            return None
        case {"type": "accepted", "duplicate": True}:
            return (frame["id"], "duplicate")
        case {"type": "accepted"}:
            return (frame["id"], "accepted")
        case {"type": "rejected"}:
            return (frame["id"], frame["error"]["code"])
        case {"type": "reply", "op": "resume"}:
            return ("resume", frame["outcome"])
        case {"type": "reply"}:
            return (frame["id"], None if frame["outcome"] == "unknown" else frame["outcome"])
        case {"type": "goaway"}:
            return ("goaway",)
    return None


World.TestCase.settings = settings(max_examples=80, stateful_step_count=50)
TestWorld = World.TestCase
