"""Where a request may carry its token."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.auth.bearer import (
    BEARER_PREFIX,
    MAX_TOKEN_CHARS,
    BadBearer,
    disguise,
    token_of_request,
    without_tokens,
)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_a_token_in_disguise_is_found(token: str):
    """Beside any other subprotocols, and it is none of them."""
    offered = ("wsproc.v1", disguise(token), "other")
    assert token_of_request(None, offered) == token
    assert without_tokens(offered) == ("wsproc.v1", "other")
    assert "=" not in disguise(token)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("  BEARER   abc  ", "abc"),
        ("Basic YTpi", None),
        ("", None),
        ("abc", None),
    ],
)
def test_the_header(header: str | None, token: str | None):
    """The scheme has no case; another scheme is a proxy's and not ours."""
    assert token_of_request(header, ()) == token


def test_the_header_goes_before_the_subprotocol():
    """Who can set a header has set it on purpose."""
    assert token_of_request("Bearer header", (disguise("other"),)) == "header"
    assert token_of_request("Basic YTpi", (disguise("other"),)) == "other"


@pytest.mark.parametrize(
    ("header", "offered"),
    [
        ("Bearer", ()),
        ("Bearer ", ()),
        ("Bearer " + "s" * (MAX_TOKEN_CHARS + 1), ()),
        (None, (BEARER_PREFIX,)),
        (None, (BEARER_PREFIX + "s",)),
        (None, (BEARER_PREFIX + "c2VjcmV0+/",)),
        (None, (BEARER_PREFIX + base64.urlsafe_b64encode(b"\xff\xfe").decode(),)),
        (None, (disguise("s" * (MAX_TOKEN_CHARS + 1)),)),
        (None, (disguise("secret"), disguise("secret"))),
    ],
)
def test_what_cannot_be_read_is_told_without_repeating_it(header: str | None, offered: tuple):
    """Nothing of the token stands in the words, which fit into a close."""
    with pytest.raises(BadBearer) as caught:
        token_of_request(header, offered)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).encode()) <= 123
