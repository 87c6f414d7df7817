"""When and how fast a client comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.client.reconnect import Reconnect, may_return, policy


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4500, 4503, 4504, 4508, 4599])
def test_these_codes_invite_back(code):
    """Lost, restarted, draining, slow: the client comes back by itself."""
    assert may_return(code)


@pytest.mark.parametrize("code", [1000, 1002, 1007, 1008, 1009, 4400, 4401, 4403, 4409, 4429, 4600])
def test_these_codes_do_not(code):
    """A normal end, a fault of one side, and all of 44xx stop the client."""
    assert not may_return(code)


@given(tries=st.integers(0, 10_000), draw=st.floats(0, 1))
def test_the_wait_is_any_part_of_a_bound_that_doubles(tries, draw):
    """Full jitter: from nothing up to the bound, which never passes `max_delay_s`."""
    reconnect = Reconnect(first_delay_s=0.5, max_delay_s=10)
    assert 0 <= reconnect.delay_s(tries, draw) <= min(10, 0.5 * 2.0 ** min(tries, 20))
    assert reconnect.delay_s(tries, 0) == 0


def test_it_gives_up_by_tries_or_by_time():
    """Whichever limit is reached first ends the trying."""
    reconnect = Reconnect(max_tries=3, max_time_s=60)
    assert not reconnect.gives_up(2, 59)
    assert reconnect.gives_up(3, 0)
    assert reconnect.gives_up(0, 60)
    assert not Reconnect(max_tries=None).gives_up(10**6, 0)


@pytest.mark.parametrize(
    "wrong", [{"max_tries": 0}, {"max_time_s": 0}, {"first_delay_s": -1}, {"max_delay_s": 0}]
)
def test_a_wrong_limit_is_told_by_name(wrong):
    """A limit that makes no sense is refused at once, by its name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Reconnect(**wrong)


def test_the_setting_may_be_a_yes_a_no_or_a_policy():
    """True is the usual policy, False none, a `Reconnect` itself."""
    own = Reconnect(max_tries=1)
    assert policy(True) == Reconnect()
    assert policy(False) is None
    assert policy(own) is own
