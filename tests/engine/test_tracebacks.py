"""Exceptions as logs show them."""

from wsproc.engine import EngineError
from wsproc.engine.tracebacks import WITHHELD, describe

TEXT = "what a client wrote"


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """Return an exception with a traceback, whose frame has the text in a local variable."""
    quoted = TEXT
    try:
        raise error from cause
    except BaseException as caught:
        assert quoted
        return caught


def test_a_message_that_may_quote_is_withheld():
    """The kind and the frames are there, the message and the variables are not."""
    shown = describe(raised(ValueError(TEXT)))
    assert TEXT not in shown
    assert shown.endswith(f"ValueError: {WITHHELD}")
    assert "in raised" in shown
    assert "raise error from cause" in shown


def test_messages_of_the_system_and_of_ours_are_shown():
    """They quote nothing, and without them nobody could help."""
    assert describe(raised(FileNotFoundError(2, "No such file", "x"))).endswith(
        "FileNotFoundError: [Errno 2] No such file: 'x'"
    )
    assert describe(raised(EngineError("too long"))).endswith("EngineError: too long")


def test_causes_and_groups_are_shown_and_withheld_alike():
    """First the cause, then what it led to; each member of a group."""
    group = ExceptionGroup(TEXT, [raised(KeyError(TEXT)), raised(OSError("disk"))])
    shown = describe(raised(RuntimeError(TEXT), cause=group))
    assert TEXT not in shown
    kinds = [line.partition(":")[0] for line in shown.splitlines() if line and line[0] != " "]
    assert kinds == [
        "ExceptionGroup",
        "of which one is",
        "Traceback (most recent call last)",
        "KeyError",
        "of which one is",
        "Traceback (most recent call last)",
        "OSError",
        "which led to",
        "Traceback (most recent call last)",
        "RuntimeError",
    ]


def test_a_cause_that_is_its_own_cause_ends():
    """As code that raises the same exception twice makes them."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first).count("ValueError") == 2


def test_quoting_shows_all_messages_but_no_variables():
    """For whoever asked for the level `debug`."""
    shown = describe(raised(ValueError(TEXT)), quoting=True)
    assert shown.endswith(f"ValueError: {TEXT}")
    assert shown.count(TEXT) == 1
    assert describe(raised(ValueError())).endswith("ValueError")
