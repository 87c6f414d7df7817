"""Which sessions there are, whose they are, and which give way."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.sessions import Sessions


def make(*names: str, most: int = 9) -> tuple[Sessions[str], dict[str, str]]:
    """Return sessions and their tokens by name; each is its own host."""
    sessions: Sessions[str] = Sessions("an-epoch", most)
    tokens = {name: sessions.token(secrets.token_urlsafe(24)) for name in names}
    for name, token in tokens.items():
        sessions.add(token, name, principal="")
    return sessions, tokens


def test_a_session_is_found_by_its_token():
    """And by nothing else."""
    sessions, tokens = make("a", "b")
    assert sessions.find(tokens["b"], "") == "b"
    assert list(sessions) == ["a", "b"]


def test_a_session_of_somebody_else_is_not_there():
    """It answers like one that never was."""
    sessions: Sessions[str] = Sessions("an-epoch", 9)
    token = sessions.token(secrets.token_urlsafe(24))
    sessions.add(token, "a", principal="ada")
    assert sessions.find(token, "grace") == "unknown_session"
    assert sessions.find(token, "") == "unknown_session"
    assert sessions.find(token, "ada") == "a"


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("an-epoch." + "x" * 32, "unknown_session"),
        ("other-one." + "x" * 32, "epoch_changed"),
        ("an-epoch", "unknown_session"),
        ("other.session", "unknown_session"),
        ("other-one." + "x" * 32 + "\n", "unknown_session"),
        ("", "unknown_session"),
    ],
)
def test_what_is_not_there_says_why(token: str, outcome: str):
    """A token of another epoch tells of a restart; what is no token is just unknown."""
    sessions, _ = make("a")
    assert sessions.find(token, "") == outcome


def test_a_session_that_was_dropped_is_unknown():
    """Its token is of this epoch."""
    sessions, tokens = make("a")
    assert sessions.drop(tokens["a"]) == "a"
    assert sessions.find(tokens["a"], "") == "unknown_session"
    assert len(sessions) == 0


def test_those_left_longest_ago_give_way():
    """Sessions with a connection never do."""
    sessions, tokens = make("a", "b", "c", "d", most=2)
    assert sessions.detach(tokens["b"], vacant=False) == []
    assert sessions.detach(tokens["c"], vacant=False) == []
    sessions.attach(tokens["b"])
    sessions.detach(tokens["b"], vacant=False)
    assert sessions.detach(tokens["d"], vacant=False) == ["c"]
    assert sessions.find(tokens["c"], "") == "unknown_session"
    assert list(sessions) == ["a", "b", "d"]
    assert repr(sessions) == "<Sessions 3, 2 of them without a connection>"


def test_those_with_nothing_to_come_back_for_give_way_first():
    """However many of them come and go, a job that waits for its client is not lost."""
    sessions, tokens = make("precious", "x", "y", most=2)
    sessions.detach(tokens["precious"], vacant=False)
    assert sessions.detach(tokens["x"], vacant=True) == []
    assert sessions.detach(tokens["y"], vacant=True) == ["x"]
    assert sessions.find(tokens["precious"], "") == "precious"


def test_the_newcomer_itself_may_have_to_go():
    """Where none may be left behind, none is."""
    sessions, tokens = make("a", most=0)
    assert sessions.detach(tokens["a"], vacant=False) == ["a"]
    assert sessions.detach(tokens["a"], vacant=False) == []


def test_who_left_most_gives_way():
    """One principal cannot push the others' sessions out, however many it leaves."""
    sessions: Sessions[str] = Sessions("an-epoch", 3)
    tokens = {}
    for name in ("ada-1", "grace-1", "grace-2", "grace-3", "grace-4"):
        tokens[name] = sessions.token(secrets.token_urlsafe(24))
        sessions.add(tokens[name], name, principal=name.partition("-")[0])
    for name in ("ada-1", "grace-1", "grace-2"):
        assert sessions.detach(tokens[name], vacant=False) == []
    assert sessions.detach(tokens["grace-3"], vacant=False) == ["grace-1"]
    assert sessions.detach(tokens["grace-4"], vacant=False) == ["grace-2"]
    assert sessions.find(tokens["ada-1"], "ada") == "ada-1"


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["detach", "vacant", "attach"]))),
)
def test_never_more_are_left_than_may_be(most: int, steps: list[tuple[str, str]]):
    """Under any history; who has a connection is never let go of."""
    sessions: Sessions[str] = Sessions("an-epoch", most)
    tokens = {name: sessions.token(secrets.token_urlsafe(24)) for name in "abcdef"}
    for name, token in tokens.items():
        sessions.add(token, name, principal="one" if name < "d" else "other")
    attached = set(tokens)
    for name, step in steps:
        if sessions.find(tokens[name], "one" if name < "d" else "other") != name:
            continue
        if step == "attach":
            sessions.attach(tokens[name])
            attached.add(name)
        else:
            attached.discard(name)
            assert not set(sessions.detach(tokens[name], vacant=step == "vacant")) & attached
        assert sessions.detached <= most
        assert attached <= set(sessions)
        assert len(sessions) == len(attached) + sessions.detached
