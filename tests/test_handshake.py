"""Who may open a connection."""

import pytest

from wsproc.auth import Denied, Grant, Verdict
from wsproc.auth.bearer import BEARER_PREFIX, disguise
from wsproc.auth.grant import UNKNOWN
from wsproc.frames.errors import CloseCode
from wsproc.handshake import (
    ANYBODY,
    Ask,
    Decision,
    Knock,
    Refusal,
    choose_subprotocol,
    decide,
    host_allowed,
    origin_allowed,
)

HERE = "127.0.0.1:8765"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["wsproc.v1"], "wsproc.v1"),
        (["other", "wsproc.v1"], "wsproc.v1"),
        (["wsproc.v2"], "wsproc.v2"),
        (["wsproc.v2", "other"], "wsproc.v2"),
        ([disguise("secret"), "wsproc.v1"], "wsproc.v1"),
        ([disguise("secret"), "wsproc.v2"], "wsproc.v2"),
        ([disguise("secret")], None),
    ],
)
def test_ours_is_chosen_wherever_it_stands(offered: list[str], chosen: str | None):
    """An unknown one alone is echoed, so that a browser sees the close code behind it; a token
    never is.
    """
    assert choose_subprotocol(offered) == chosen


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "may"),
    [
        (None, HERE, (), True),
        (None, None, (), True),
        ("http://127.0.0.1:8765", HERE, (), True),
        ("HTTP://127.0.0.1:8765", HERE, (), True),
        ("http://LOCALHOST:8765", "localhost:8765", (), True),
        ("https://127.0.0.1:8765", HERE, (), True),
        ("http://127.0.0.1:8766", HERE, (), False),
        ("http://127.0.0.1", HERE, (), False),
        ("http://evil.example", HERE, (), False),
        ("http://127.0.0.1:8765.evil.example", HERE, (), False),
        ("http://evil.example#127.0.0.1:8765", HERE, (), False),
        ("http://127.0.0.1:8765@evil.example", HERE, (), False),
        ("ws://127.0.0.1:8765", HERE, (), False),
        ("file://127.0.0.1:8765", HERE, (), False),
        ("null", HERE, (), False),
        ("null", HERE, ("null",), True),
        ("", HERE, (), False),
        ("", "", (), False),
        ("http://127.0.0.1:8765", None, (), False),
        ("https://app.example", HERE, ("https://app.example",), True),
        ("https://app.example:8443", HERE, ("https://app.example",), False),
        ("http://app.example", HERE, ("https://app.example",), False),
        ("http://[::1", HERE, (), False),
    ],
)
def test_origins(origin: str | None, host: str | None, allowed: tuple[str, ...], may: bool):
    """The server's own origin and those of the list, exactly; no Origin is no browser."""
    assert origin_allowed(origin, host, allowed) is may


@pytest.mark.parametrize(
    ("host", "bound_to", "allowed", "may"),
    [
        (HERE, "127.0.0.1", (), True),
        ("localhost:8765", "127.0.0.1", (), True),
        ("LOCALHOST", "127.0.0.1", (), True),
        ("demo.localhost:1", "localhost", (), True),
        ("[::1]:8765", "::1", (), True),
        ("evil.example:8765", "127.0.0.1", (), False),
        ("localhost.evil.example", "127.0.0.1", (), False),
        ("", "127.0.0.1", (), False),
        (None, "127.0.0.1", (), True),
        ("evil.example:8765", "0.0.0.0", (), True),
        ("app.example", "127.0.0.1", ("https://app.example",), True),
        ("other.example", "127.0.0.1", ("https://app.example", "null"), False),
        ("[::1", "127.0.0.1", (), False),
    ],
)
def test_hosts(host: str | None, bound_to: str, allowed: tuple[str, ...], may: bool):
    """A server on loopback answers to loopback names and its allowed origins' (DNS rebinding)."""
    assert host_allowed(host, bound_to, allowed) is may


NAMES = ("wsproc.example", "Other.Example")


@pytest.mark.parametrize(
    ("host", "bound_to", "may"),
    [
        ("wsproc.example", "0.0.0.0", True),
        ("WSPROC.example:8765", "0.0.0.0", True),
        ("other.example", "0.0.0.0", True),
        ("192.0.2.1:8765", "0.0.0.0", True),
        ("[2001:db8::1]:8765", "::", True),
        ("app.example", "0.0.0.0", True),
        (None, "0.0.0.0", True),
        ("evil.example:8765", "0.0.0.0", False),
        ("localhost:8765", "0.0.0.0", False),
        ("", "0.0.0.0", False),
        ("wsproc.example", "127.0.0.1", False),
        ("localhost", "127.0.0.1", True),
    ],
)
def test_hosts_by_name(host: str | None, bound_to: str, may: bool):
    """A server that others reach answers to the names that it was given, and to addresses, which
    no page can have for a name.
    """
    assert host_allowed(host, bound_to, ("https://app.example",), NAMES) is may


CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0"


class Alice:
    """Knows alice's token and bob's, who may not come in."""

    def check(self, token: str) -> Verdict:
        """Judge a token."""
        if token == "bob":
            return Denied("this principal may not come in", CloseCode.FORBIDDEN)
        return Grant("alice") if token == "secret" else UNKNOWN


def knock(**said) -> Knock:
    """Return what a client says that speaks to this server."""
    return Knock(**{"host": HERE, **said})


@pytest.mark.parametrize("offered", [(), ("wsproc.v1",), ("other", "wsproc.v1")])
def test_where_no_token_is_asked_for_everybody_comes_in(offered: tuple[str, ...]):
    """Whatever token is presented is not looked at."""
    for said in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}):
        assert decide(knock(offered=offered, **said), (), None) == ANYBODY


@pytest.mark.parametrize(
    ("said", "decision"),
    [
        ({"authorization": "Bearer secret"}, Grant("alice")),
        ({"offered": ("wsproc.v1", disguise("secret"))}, Grant("alice")),
        ({}, Ask.AUTH_FRAME),
        ({"offered": ("wsproc.v1",)}, Ask.AUTH_FRAME),
        ({"authorization": "Basic YTpi"}, Ask.AUTH_FRAME),
    ],
)
def test_a_token_opens_and_without_one_it_is_asked_for(said: dict, decision: Decision):
    """In the header or beside the subprotocol."""
    assert decide(knock(**said), (), Alice()) == decision


@pytest.mark.parametrize(
    ("said", "code", "status"),
    [
        ({"authorization": "Bearer wrong"}, 4401, 401),
        ({"authorization": "Bearer"}, 4401, 401),
        ({"authorization": "Bearer bob"}, 4403, 403),
        ({"offered": ("wsproc.v1", disguise("wrong"))}, 4401, 401),
        ({"offered": ("wsproc.v1", BEARER_PREFIX + "!")}, 4401, 401),
        ({"offered": (disguise("secret"),)}, 4406, 400),
        ({"offered": ("wsproc.v2", disguise("secret"))}, 4406, None),
        ({"offered": ("wsproc.v2",)}, 4406, None),
        ({"origin": "http://evil.example", "authorization": "Bearer secret"}, 4403, 403),
        ({"origin": "http://evil.example", "authorization": "Bearer wrong"}, 4403, 403),
        ({"origin": "http://evil.example", "offered": ("wsproc.v2",)}, 4403, 403),
    ],
)
def test_refusals_have_the_codes_of_the_protocol(said: dict, code: int, status: int | None):
    """The origin goes first: a page that may not connect learns nothing else. Nothing that was
    presented is in the words, and they fit into a close.
    """
    refusal = decide(knock(**said), (), Alice())
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.status) == (code, status)
    assert len(refusal.reason.encode()) <= 123
    assert not {"secret", "wrong", disguise("secret")} & set(refusal.reason.split())


@pytest.mark.parametrize(
    ("said", "by_status"),
    [
        ({"origin": "http://evil.example", "user_agent": CHROMIUM}, False),
        ({"origin": "null", "user_agent": CHROMIUM}, False),
        ({"origin": "http://evil.example", "user_agent": "Python/3.11 websockets/17.4"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"authorization": "Bearer wrong"}, True),
        ({"authorization": "Bearer wrong", "user_agent": CHROMIUM}, True),
        ({"offered": ("wsproc.v2",)}, False),
    ],
)
def test_each_is_refused_in_the_way_it_can_read(said: dict, by_status: bool):
    """A browser sees close codes and no status; it sends an Origin and calls itself Mozilla."""
    asks = knock(**said)
    refusal = decide(asks, (), Alice())
    assert isinstance(refusal, Refusal)
    assert refusal.by_status(asks) is by_status


def test_what_was_presented_is_in_no_repr():
    """A knock may be logged."""
    asks = knock(authorization="Bearer secret", offered=(disguise("secret"),))
    assert "secret" not in repr(asks)
    assert disguise("secret") not in repr(asks)
