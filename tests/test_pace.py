"""How long a job is likely to take: learnt from its like, scaled by size and crowd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.pace import Pace


def test_nothing_is_promised_of_what_was_never_seen():
    """Not even where other kinds are known."""
    pace = Pace()
    pace.note("process", 100, 1, 2.0)
    assert pace.expect_ms("generate", 100, 1) is None


def test_a_job_like_the_last_takes_as_long():
    """Twice the size or twice the crowd takes twice as long."""
    pace = Pace()
    pace.note("process", 100, 4, 2.0)
    assert pace.expect_ms("process", 100, 4) == pytest.approx(2000)
    assert pace.expect_ms("process", 200, 4) == pytest.approx(4000)
    assert pace.expect_ms("process", 100, 8) == pytest.approx(4000)


def test_a_crowd_has_a_speed_of_its_own():
    """Batches make a crowd cheaper for each; a lone job does not make it forget that."""
    pace = Pace()
    for _ in range(50):
        pace.note("process", 100, 32, 3.2)
        pace.note("process", 100, 1, 0.5)
    assert pace.expect_ms("process", 100, 32) == pytest.approx(3200)
    assert pace.expect_ms("process", 100, 1) == pytest.approx(500)
    assert pace.expect_ms("process", 100, 60) == pytest.approx(6000)


def test_it_follows_a_change_of_speed():
    """Within some ten jobs."""
    pace = Pace()
    pace.note("process", 100, 1, 1.0)
    for _ in range(15):
        pace.note("process", 100, 1, 4.0)
    assert 3500 < pace.expect_ms("process", 100, 1) <= 4000


@given(
    st.lists(st.floats(0.8, 1.25), min_size=1, max_size=30),
    st.integers(1, 5000),
    st.integers(1, 200),
)
def test_noise_is_averaged(noise: list[float], size: int, crowd: int):
    """The estimate stays within what was seen."""
    pace = Pace()
    for factor in noise:
        pace.note("process", size, crowd, 0.01 * size * crowd * factor)
    seen = [10 * size * crowd * factor for factor in noise]
    expected = pace.expect_ms("process", size, crowd)
    assert min(seen) * 0.999 - 0.1 <= expected <= max(seen) * 1.001 + 0.1


@pytest.mark.parametrize(("size", "crowd", "seconds"), [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.0)])
def test_what_tells_nothing_is_not_learnt(size: int, crowd: int, seconds: float):
    """A job of no size, in no crowd, in no time."""
    pace = Pace()
    pace.note("process", size, crowd, seconds)
    assert pace.expect_ms("process", 1, 1) is None
