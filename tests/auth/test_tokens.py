"""Tokens that are known by their hash."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.auth import Grant
from wsproc.auth.grant import UNKNOWN
from wsproc.auth.tokens import TokenTable, hashes_of, line_of, parse_tokens

TOKENS = st.from_regex(r"[A-Za-z0-9._~+/-]{1,80}={0,2}", fullmatch=True)
PRINCIPALS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40
).filter(lambda name: name.isprintable() and not name.startswith("#"))


@given(st.dictionaries(PRINCIPALS, st.lists(TOKENS, max_size=3), max_size=5), TOKENS)
def test_a_table_knows_its_tokens_and_no_others(tokens: dict[str, list[str]], other: str):
    """Each token is its owner's; any other is unknown."""
    given_out = [token for theirs in tokens.values() for token in theirs]
    owners = {token: who for who, theirs in tokens.items() for token in theirs}
    if any(owners[token] != who for who, theirs in tokens.items() for token in theirs):
        with pytest.raises(ValueError, match="the same token"):
            hashes_of(tokens)
        return
    table = TokenTable(hashes_of(tokens))
    for token in given_out:
        grant = table.check(token)
        assert grant == Grant(owners[token])
        assert table.stands_by(grant)
        assert not TokenTable(()).stands_by(grant)
    assert table.check(other) == (Grant(owners[other]) if other in owners else UNKNOWN)


@given(PRINCIPALS, TOKENS)
def test_a_line_that_is_written_is_read_again(principal: str, token: str):
    """Whatever the principal is called, colons and dollars included; the token is not in it."""
    line = line_of(principal, token)
    assert line.endswith(f":sha256${hashlib.sha256(token.encode()).hexdigest()}")
    assert TokenTable(parse_tokens(f"# made\n\n  {line} \n")).check(token) == Grant(principal)


@given(st.text())
def test_any_text_may_be_presented(token: str):
    """A check raises for nothing, lone surrogates included."""
    table = TokenTable(hashes_of({"alice": ["a-token-of-twenty-characters"]}))
    for presented in (token, "\ud800", "", "é"):
        assert table.check(presented) is UNKNOWN


def test_one_principal_may_have_several_tokens():
    """So a token can be replaced while the old one is in use."""
    table = TokenTable(parse_tokens(f"{line_of('a', 'old')}\n{line_of('a', 'new')}\n"))
    assert table.check("old") == table.check("new") == Grant("a")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hunter2", "write it as principal:sha256"),
        ("alice", "write it as principal:sha256"),
        (":sha256$" + "0" * 64, "write it as principal:sha256"),
        ("alice:hunter2", "write it as principal:sha256"),
        ("alice:md5$" + "0" * 32, "64 hexadecimal digits"),
        ("alice:sha256$hunter2", "64 hexadecimal digits"),
        ("alice:sha256$" + "A" * 64, "lower case"),
        ("a\x00b:sha256$" + "0" * 64, "is no name"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(line: str, words: str):
    """And nothing of it but the principal is told: the token itself may stand there."""
    with pytest.raises(ValueError, match=words) as caught:
        parse_tokens(f"# tokens\n{line}\n")
    assert str(caught.value).startswith("line 2: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"alice": ["hunter 2"]}, "cannot be sent in a header"),
        ({"alice": [""]}, "cannot be sent in a header"),
        ({"alice": ["hunter2é"]}, "cannot be sent in a header"),
        ({"": ["hunter2"]}, "is no name"),
        ({"#alice": ["hunter2"]}, "begins with #"),
        ({" alice": ["hunter2"]}, "is no name"),
        ({"a" * 256: ["hunter2"]}, "is no name"),
        ({"alice": ["hunter2"], "bob": ["hunter2"]}, "'alice' and 'bob' have the same token"),
    ],
)
def test_what_is_no_token_is_refused_without_being_told(tokens: dict, words: str):
    """The error names the principal."""
    with pytest.raises(ValueError, match=words) as caught:
        hashes_of(tokens)
    assert "hunter" not in str(caught.value)


def test_a_grant_is_not_stood_by_when_its_token_is_gone_or_somebody_elses():
    """Another token of the same principal does not help: the one that was stolen is out."""
    grant = TokenTable(hashes_of({"alice": ["old"]})).check("old")
    assert isinstance(grant, Grant)
    assert TokenTable(hashes_of({"alice": ["new", "old"]})).stands_by(grant)
    assert not TokenTable(hashes_of({"alice": ["new"]})).stands_by(grant)
    assert not TokenTable(hashes_of({"bob": ["old"]})).stands_by(grant)


def test_a_table_keeps_no_token():
    """Neither its repr nor its attributes hold one."""
    table = TokenTable(hashes_of({"alice": ["hunter2"]}))
    assert repr(table) == "<TokenTable of 1 tokens>"
    assert repr(table.check("hunter2")) == "Grant(principal='alice', expires_at=None)"
    assert "hunter2" not in repr(vars(table))
    assert len(table) == 1
