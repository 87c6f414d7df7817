"""Several kinds of tokens behind one face."""

from wsproc.auth import Denied, FirstThatKnows, Grant
from wsproc.auth.grant import UNKNOWN, Verdict

ALICE = Grant("alice")
EXPIRED = Denied("the token has expired", recognised=True)


class Says:
    """An authenticator of one answer."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked = 0

    def check(self, token: str) -> Verdict:
        """Give the answer."""
        self.asked += 1
        return self.verdict

    def stands_by(self, grant: Grant) -> bool:
        """Stand by what it says."""
        return grant == self.verdict


def test_the_first_grant_decides():
    """Whoever stands behind it is not asked."""
    behind = Says(Grant("bob"))
    assert FirstThatKnows((Says(UNKNOWN), Says(ALICE), behind)).check("t") is ALICE
    assert behind.asked == 0


def test_the_denial_that_says_most_is_told():
    """An expired token is expired, though the other kinds do not know it."""
    for order in ((EXPIRED, UNKNOWN), (UNKNOWN, EXPIRED)):
        assert FirstThatKnows([Says(one) for one in order]).check("t") is EXPIRED


def test_nobody_knows_a_token_where_there_is_nobody():
    """Without authenticators every token is unknown: the door is shut, not open."""
    assert FirstThatKnows(()).check("t") is UNKNOWN


def test_a_grant_stands_while_one_stands_by_it():
    """Whoever gave it, and also whoever would give it now."""
    both = FirstThatKnows((Says(UNKNOWN), Says(ALICE)))
    assert both.stands_by(ALICE)
    assert not both.stands_by(Grant("bob"))
