"""Token buckets, and what becomes of those who do not heed them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.rate import BYTES_A_TOKEN, MessageRate, TokenBucket


def test_a_burst_is_taken_and_then_the_rate():
    """What is refused is told the moment from which it would have been taken."""
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(1, now=5.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(1, now=5.0) == pytest.approx(0.1)
    assert bucket.take(1, now=5.05) == pytest.approx(0.05)
    assert bucket.take(1, now=5.1) == 0


def test_a_refusal_costs_nothing():
    """Asking again and again does not move the moment away."""
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(1, now=0.0) == 0
    assert [bucket.take(1, now=0.5) for _ in range(5)] == [0.5] * 5
    assert bucket.take(1, now=1.0) == 0


def test_what_costs_more_than_a_bucket_holds_needs_a_full_one():
    """It is not refused for ever."""
    bucket = TokenBucket(rate=2, burst=4)
    assert bucket.take(100, now=0.0) == 0
    assert bucket.take(100, now=1.0) == pytest.approx(1.0)
    assert bucket.take(100, now=2.0) == 0


def test_a_clock_that_stands_or_goes_back_gives_no_tokens():
    """Nor does it take any."""
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(1, now=10.0)
    assert bucket.take(1, now=9.0) == 1.0
    assert bucket.take(1, now=10.0) == 1.0
    assert bucket.take(1, now=11.0) == 0


def test_what_was_done_already_is_paid_behind_it():
    """By a second of waiting at most, however much it was, and however often."""
    bucket = TokenBucket(rate=10, burst=20)
    bucket.take(1, now=0.0)
    bucket.owe(14)
    assert [bucket.take(1, now=0.0) for _ in range(5)] == [0] * 5
    bucket.owe(1_000_000)
    bucket.owe(1_000_000)
    assert bucket.take(1, now=0.0) == pytest.approx(1.1)
    assert bucket.take(1, now=1.1) == 0


def test_small_answers_cost_nothing():
    """Most are; where no rate is set large ones neither."""
    rate = MessageRate(rate=1, burst=2)
    assert rate.admit(10, now=0.0).verdict == "taken"
    assert not rate.answered(BYTES_A_TOKEN)
    assert rate.admit(10, now=0.0).verdict == "taken"
    assert rate.answered(BYTES_A_TOKEN + 1)
    assert rate.admit(10, now=1.0).verdict == "refused"
    free = MessageRate(rate=0, burst=0)
    assert free.answered(1 << 20)
    assert free.admit(10, now=0.0).verdict == "taken"


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1)])
def test_a_bucket_without_a_rate_is_a_mistake(rate: float, burst: float):
    """No limit is said in another way."""
    with pytest.raises(ValueError, match="above 0"):
        TokenBucket(rate, burst)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.5, 8)), max_size=80))
def test_no_more_than_the_rate_and_one_burst(steps: list[tuple[float, float]]):
    """Over any history; and whoever waits as long as told is taken."""
    bucket, now, taken = TokenBucket(rate=4, burst=8), 0.0, 0.0
    for pause, cost in steps:
        now += pause
        wait = bucket.take(cost, now)
        if wait:
            now += wait + 1e-9
            assert bucket.take(cost, now) == 0
        taken += cost
        assert taken <= 8 + 4 * now + 1e-6


def test_large_messages_cost_more():
    """The time of reading grows with the bytes, so four large ones are as much as many small."""
    rate = MessageRate(rate=1, burst=8)
    verdicts = [rate.admit(2 * BYTES_A_TOKEN, now=0.0) for _ in range(5)]
    assert [one.verdict for one in verdicts] == ["taken"] * 4 + ["refused"]
    assert verdicts[-1].wait_s == pytest.approx(2.0)


def test_a_flood_is_refused_and_then_abuse():
    """A client that heeds no refusal is one to be cut, and soon."""
    rate = MessageRate(rate=200, burst=400)
    verdicts = [rate.admit(10, now=number / 10_000).verdict for number in range(10_000)]
    first = verdicts.index("abuse")
    assert verdicts[:400] == ["taken"] * 400
    assert set(verdicts[400:first]) == {"taken", "refused"}
    assert first < 1000, "within 0.1 s of 10,000 a second"


def test_a_client_that_is_merely_too_fast_is_never_cut():
    """At three times the rate a third gets through and the others know when to come again."""
    rate = MessageRate(rate=200, burst=400)
    verdicts = [rate.admit(10, now=number / 590).verdict for number in range(60 * 590)]
    assert "abuse" not in verdicts
    assert verdicts.count("taken") == pytest.approx(60 * 200 + 400, abs=2)


def test_a_rate_of_nothing_is_no_limit():
    """For those who trust their clients."""
    rate = MessageRate(rate=0, burst=0)
    assert {rate.admit(10**6, now=0.0).verdict for _ in range(1000)} == {"taken"}
