"""What more may come in of a job: by a table of what is refused, and against a plain string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.intake import Intake


def intake(text: str = "", *, live: bool = False) -> Intake:
    """Return the input of a job that has this text, of 10 to 20 characters in the end."""
    return Intake(live=live, length=len(text), least=10, most=20)


@pytest.mark.parametrize(
    ("live", "verb", "text", "final", "code", "words"),
    [
        (
            False,
            "append",
            "x" * 16,
            False,
            "input_too_large",
            "text: 20 characters at most in all, these would make 21",
        ),
        (
            False,
            "append",
            "x",
            True,
            "invalid_field",
            "text: 10 characters at least in all, these would make 6",
        ),
        (
            False,
            "revise",
            "x" * 12,
            False,
            "invalid_field",
            "this job is open and not live: append to it, or submit with live: true",
        ),
        (
            True,
            "revise",
            "x" * 21,
            False,
            "input_too_large",
            "text: 20 characters at most in all, these would make 21",
        ),
    ],
)
def test_what_is_refused_changes_nothing(live, verb, text, final, code, words):
    """In words that say how much there is; the next, better one is taken."""
    job = intake("12345", live=live)
    error = job.append(text, final=final) if verb == "append" else job.revise(text)
    assert (error.code, error.message) == (code, words)
    assert job == intake("12345", live=live)
    assert job.append("67890", final=True) is None


def test_behind_the_end_nothing_is_taken():
    """Neither more text, nor another, nor a second end."""
    job = intake("0123456789", live=True)
    assert job.append("", final=True) is None
    for error in (job.append("x", final=False), job.append("", final=True), job.revise("x" * 12)):
        assert error.message == "the input of this job has ended: final was sent before"
    assert (job.length, job.revision) == (10, 0)


def test_every_change_of_a_live_text_is_a_revision():
    """An append of nothing is none, nor is the end; an open job has no revisions."""
    job = intake("0123456789", live=True)
    job.revise("01234567890")
    job.append("1", final=False)
    job.append("", final=False)
    assert job.revision == 2
    job.append("", final=True)
    assert job.revision == 2
    job = intake("0123456789")
    job.append("1", final=False)
    assert job.revision == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "revise"]), st.text(max_size=25), st.booleans())
)


@given(st.booleans(), STEPS)
def test_any_history(live: bool, steps: list[tuple[str, str, bool]]):
    """The length is that of a string that took the same steps, and never over the limit."""
    job, text, ended = intake(live=live), "", False
    for verb, more, ends in steps:
        new = text + more if verb == "append" else more
        final = ends and verb == "append"
        refused = ended or len(new) > 20 or (final and len(new) < 10)
        refused = refused or (verb == "revise" and not live)
        error = job.append(more, final=final) if verb == "append" else job.revise(more)
        assert (error is not None) == refused
        if not refused:
            text, ended = new, final
        assert (job.length, job.ended) == (len(text), ended)
