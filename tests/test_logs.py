"""Log lines: what is told of events, and what form they have."""

import io
import json
import logging
import os
import threading
from contextlib import contextmanager

import pytest

from wsproc.engine.tracebacks import WITHHELD
from wsproc.events import (
    Connected,
    Disconnected,
    FrameRefused,
    HandshakeRefused,
    HealthChanged,
    JobAccepted,
    JobEnded,
    JobRejected,
    Peer,
    PeerStalled,
    ResumeAnswered,
    WorkerProbed,
)
from wsproc.logs import LogReader, Logs, bound

PEER = Peer(7, "192.0.2.1:5000", "https://a.example", "ada")
TOLD_OF_PEER = {
    "connection": 7,
    "peer": "192.0.2.1:5000",
    "origin": "https://a.example",
    "principal": "ada",
}
ENDED = JobEnded("1a2b", "j", "generate", "completed", 1, 12, 0.5, 1.25, usage={"tokens": 3})


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


@contextmanager
def logging_to(stream, level="info", form="json"):
    """Log to a stream for the length of a block; the lines are there after it."""
    logs = Logs(level, form, stream)
    try:
        yield logs
    finally:
        logs.close()


def lines(*events, level="info"):
    """Return what is logged of events, without the time."""
    stream = io.StringIO()
    with logging_to(stream, level):
        for event in events:
            LogReader()(event)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [{key: value for key, value in one.items() if key != "timestamp"} for one in told]


@pytest.mark.parametrize(
    ("event", "level", "logger", "words", "told"),
    [
        (Connected(PEER), "info", "connection", "connection opened", TOLD_OF_PEER),
        (
            Disconnected(PEER, 1006, "", 1.23456, 4, 5),
            "info",
            "connection",
            "connection closed",
            TOLD_OF_PEER | {"code": 1006, "seconds": 1.235, "frames_in": 4, "frames_out": 5},
        ),
        (
            ResumeAnswered("ok", "1a2b"),
            "info",
            "connection",
            "session resumed",
            {"session": "1a2b"},
        ),
        (
            ResumeAnswered("unknown_session"),
            "info",
            "connection",
            "session not resumed",
            {"outcome": "unknown_session"},
        ),
        (
            HandshakeRefused(Peer(8, "192.0.2.1:1"), 4403, "this origin may not connect"),
            "warning",
            "connection",
            "handshake refused",
            {
                "connection": 8,
                "peer": "192.0.2.1:1",
                "code": 4403,
                "reason": "this origin may not connect",
            },
        ),
        (
            PeerStalled(PEER),
            "warning",
            "connection",
            "a client read nothing for too long and was cut off",
            TOLD_OF_PEER,
        ),
        (
            ENDED,
            "info",
            "jobs",
            "job ended",
            {
                "session": "1a2b",
                "job": "j",
                "task": "generate",
                "outcome": "completed",
                "inputs": 1,
                "characters": 12,
                "queued_s": 0.5,
                "run_s": 1.25,
                "usage": {"tokens": 3},
            },
        ),
        (
            WorkerProbed("device", 1.5, "the deadline passed"),
            "warning",
            "health",
            "a worker did not finish a probe",
            {"worker": "device", "took_s": 1.5, "error": "the deadline passed"},
        ),
        (
            HealthChanged(("a", "b")),
            "error",
            "health",
            "the engine is not healthy: a; b",
            {},
        ),
        (HealthChanged(()), "warning", "health", "the engine is healthy again", {}),
    ],
)
def test_an_event_is_one_line(event, level, logger, words, told):
    """With its level, its logger, and what an operator may know."""
    expected = {"event": words, "level": level, "logger": f"wsproc.{logger}", **told}
    assert lines(event) == [expected]


def test_what_happens_all_the_time_is_counted_and_not_logged():
    """A client that floods does not fill the disk as well."""
    assert lines(FrameRefused("rate_limited"), JobRejected("queue_full"), JobAccepted("x")) == []
    assert lines(WorkerProbed("device", 0.01), level="debug") == []


def test_a_flood_of_refused_handshakes_does_not_flood_the_log():
    """So many are told, the others counted, and the next line says how many those were."""
    now = 0.0
    stream = io.StringIO()
    with logging_to(stream):
        reader = LogReader(lambda: now)
        for _ in range(200):
            reader(HandshakeRefused(PEER, 4403, "no"))
        now = 1.0
        for _ in range(2):
            reader(HandshakeRefused(PEER, 4403, "no"))
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(told) == 52
    assert [line["unlogged"] for line in told if "unlogged" in line] == [150]
    assert told[50]["unlogged"] == 150


@pytest.mark.parametrize("outcome", ["internal", "engine_error", "out_of_memory", "lost"])
def test_a_job_that_fails_by_our_fault_is_a_warning(outcome):
    """It is seen where only warnings are; a deadline or a cancel is none."""
    fault = JobEnded("s", "j", "process", outcome, 1, 1, 0.0, 0.0)
    late = JobEnded("s", "j", "process", "deadline_exceeded", 1, 1, 0.0, 0.0)
    assert [line["outcome"] for line in lines(fault, late, level="warning")] == [outcome]


def test_ids_are_on_every_line_of_whoever_works_for_them():
    """Bound once, they are on lines of other loggers too, and gone behind the block."""
    stream = io.StringIO()
    with logging_to(stream):
        with bound(connection=7, session="1a2b", principal="ada"), bound(job="j"):
            logging.getLogger("another.library").warning("slow: %d ms", 12)
        logging.getLogger("wsproc.jobs").warning("nobody's")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first | {"timestamp": 0} == {
        "event": "slow: 12 ms",
        "level": "warning",
        "logger": "another.library",
        "connection": 7,
        "session": "1a2b",
        "principal": "ada",
        "job": "j",
        "timestamp": 0,
    }
    assert "job" not in second


@pytest.mark.parametrize(
    ("stream", "level", "form", "words"),
    [
        (io.StringIO(), "auto", "auto", '"event":"an info"'),
        (Terminal(), "info", "auto", "an info"),
        (Terminal(), "auto", "auto", ""),
        (io.StringIO(), "info", "console", "[info     ] an info"),
        (Terminal(), "info", "json", '"event":"an info"'),
        (io.StringIO(), "error", "auto", ""),
    ],
)
def test_auto_is_quiet_words_on_a_terminal_and_json_elsewhere(stream, level, form, words):
    """On a terminal warnings as words, elsewhere also what is usual, as JSON; or what was said."""
    with logging_to(stream, level, form):
        logging.getLogger("wsproc.any").info("an info")
    written = stream.getvalue()
    assert words in written
    assert bool(words) == bool(written)


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_shown_without_what_it_may_quote(form):
    """Neither by its message nor by the variables of its frames, unless `debug` is asked for."""
    for level, shown in (("info", False), ("debug", True)):
        stream = io.StringIO()
        with logging_to(stream, level, form):
            text = "what a client wrote"
            try:
                raise ValueError(text)
            except ValueError:
                logging.getLogger("wsproc.any").exception("a task raised")
        assert ("what a client wrote" in stream.getvalue().replace('text = "what', "")) is shown
        assert (WITHHELD in stream.getvalue()) is not shown


def test_a_line_cannot_steer_a_terminal():
    """An Origin is whatever a client sends."""
    stream = Terminal()
    with logging_to(stream, form="console"):
        LogReader()(Connected(Peer(1, "", "\x1b[2J\nforged")))
    assert "\x1b[2J" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_frames_and_headers_are_not_logged():
    """They are what the WebSocket library logs at its lower levels, whatever level is asked for."""
    with logging_to(io.StringIO(), "debug"):
        assert not logging.getLogger("wsproc.websockets").isEnabledFor(logging.INFO)
        assert logging.getLogger("wsproc.jobs").isEnabledFor(logging.DEBUG)


def test_a_stream_that_nobody_reads_holds_up_nobody(monkeypatch):
    """The writer waits, who logs does not; lines beyond the bound are lost and counted."""
    monkeypatch.setattr("wsproc.logs.WAITING_LINES", 5)
    monkeypatch.setattr("wsproc.logs.FLUSH_S", 0.05)
    reading, writing = threading.Event(), threading.Event()

    class Stalled(io.StringIO):
        def write(self, text):
            """Wait for the reader."""
            writing.set()
            assert reading.wait(60)
            return super().write(text)

    stream = Stalled()
    with logging_to(stream) as logs:
        logging.getLogger("wsproc.any").info("the first is being written")
        assert writing.wait(60)
        for number in range(8):
            logging.getLogger("wsproc.any").info("line %d", number)
        assert logs.dropped == 3
    reading.set()


def test_a_pipe_without_a_reader_loses_lines_and_nothing_else():
    """As when whoever collected the logs was stopped."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream, logging_to(stream):
        for number in range(3):
            logging.getLogger("wsproc.any").info("line %d", number)


def test_logging_is_left_as_it_was_found():
    """A process that goes on after its server has its own logs again."""
    root = logging.getLogger()
    before = (list(root.handlers), logging.getLogger("wsproc").level)
    with logging_to(io.StringIO()):
        assert len(root.handlers) == len(before[0]) + 1
    assert (list(root.handlers), logging.getLogger("wsproc").level) == before
