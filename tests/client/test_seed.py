"""The seed of a generation whose caller gives none."""

from hypothesis import given
from hypothesis import strategies as st

from wsproc.client.seed import seed_of


def test_the_seed_is_that_of_the_session_and_the_job():
    """As the JavaScript client derives it: its own test has the same numbers."""
    assert seed_of("secret", "js-1") == 207003921611131
    assert seed_of("secret", "js-2") == 207003904833915
    assert seed_of("another", "js-1") == 137607856383379


@given(st.text(), st.text())
def test_every_json_reader_keeps_it_exact(session: str, job: str):
    """Whole, not negative, and below what a number of JavaScript holds."""
    assert 0 <= seed_of(session, job) < 2**48
