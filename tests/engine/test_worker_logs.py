"""A worker's log lines, on their way to the log of its pool."""

import io
import json
import logging

import pytest

from tests.engine.test_pool import config
from wsproc.engine import Engine, Failure
from wsproc.engine.messages import Logged
from wsproc.engine.tracebacks import WITHHELD
from wsproc.engine.worker_logs import LogSender, write
from wsproc.logs import Logs

TEXT = "what a client wrote"


@pytest.fixture
def sent() -> list[Logged]:
    """What a worker sends."""
    return []


@pytest.fixture
def logger(sent: list[Logged]):
    """A logger of a worker."""
    one, handler = logging.getLogger("of a worker"), LogSender(sent.append)
    one.addHandler(handler)
    one.propagate = False
    yield one
    one.removeHandler(handler)
    one.propagate = True


def test_a_line_keeps_its_level_and_its_logger(logger: logging.Logger, sent: list[Logged]):
    """And its words, put together."""
    logger.warning("slow: %d ms", 12)
    assert sent == [Logged(logging.WARNING, "of a worker", "slow: 12 ms", "")]


def test_an_exception_is_sent_without_what_it_quotes(logger: logging.Logger, sent: list[Logged]):
    """And once more whole, for a pool that shows the level DEBUG."""
    try:
        raise ValueError(TEXT)
    except ValueError:
        logger.exception("a model raised")
    shown, whole = sent
    assert (shown.level, whole.level) == (logging.ERROR, logging.DEBUG)
    assert shown.exception.endswith(f"ValueError: {WITHHELD}")
    assert whole.exception.endswith(f"ValueError: {TEXT}")


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_line_is_written_as_if_it_were_of_this_process(level: str):
    """With the name of the worker, and only if its level is shown."""
    stream = io.StringIO()
    logs = Logs(level, "json", stream)
    try:
        write(Logged(logging.ERROR, "wsproc.engine", "a model raised", "its frames"), "device")
        write(Logged(logging.DEBUG, "wsproc.engine", "a model raised", "and its words"), "device")
    finally:
        logs.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["exception"] for line in lines] == ["its frames", "and its words"][: len(lines)]
    assert len(lines) == (2 if level == "debug" else 1)
    assert (lines[0]["event"], lines[0]["worker"]) == ("a model raised", "device")
    assert (lines[0]["logger"], lines[0]["level"]) == ("wsproc.engine", "error")


def test_who_formats_lines_as_usual_sees_exceptions_too(caplog: pytest.LogCaptureFixture):
    """An application of one's own around the engine need not know of us."""
    write(Logged(logging.ERROR, "wsproc.engine", "a model raised", "its frames"), "device")
    assert "a model raised\nits frames" in caplog.text


async def test_what_a_worker_logs_is_logged_here(caplog: pytest.LogCaptureFixture):
    """From its process to this one, without the text that made its stage raise."""
    async with Engine(config("reverse", stage="reverse")) as engine:
        item = {"text": TEXT, "raise": True}
        async with engine.call("reverse", [item]) as stream:
            async for outcome in stream.outcomes():
                assert isinstance(outcome, Failure)
    (record,) = (one for one in caplog.records if one.name == "wsproc.engine")
    assert record.getMessage() == "a model raised on one input alone"
    assert record.worker == "device"
    assert "Traceback" in record.exc_text
    assert TEXT not in caplog.text
