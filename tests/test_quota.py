"""What each principal holds."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.quota import Quota

WHO = st.sampled_from(["", "alice", "bob"])


@given(st.integers(0, 3), st.lists(st.tuples(WHO, st.booleans()), max_size=60))
def test_nobody_has_more_than_the_most(most: int, steps: list[tuple[str, bool]]):
    """Each has a limit of one's own; 0 is none, and neither has the principal without a name."""
    quota, model = Quota(most), Counter()
    for who, wants in steps:
        assert quota.full(who) is (bool(who) and most > 0 and model[who] >= most)
        if wants and not quota.full(who):
            quota.take(who)
            model[who] += 1
        elif not wants and model[who]:
            quota.give_back(who)
            model[who] -= 1
        assert quota.held(who) == model[who]
        assert not (most and who) or model[who] <= most


def test_nothing_is_kept_of_those_who_left():
    """A million principals that came and went cost nothing."""
    quota = Quota(5)
    quota.take("alice")
    quota.give_back("alice")
    assert repr(quota) == "<Quota 0 held by 0, 5 each>"
    with pytest.raises(AssertionError, match="'alice' holds nothing"):
        quota.give_back("alice")
