"""Who may open a connection."""

import pytest

from wsproc.frames.errors import CloseCode
from wsproc.handshake import choose_subprotocol, host_allowed, origin_allowed, refuse

HERE = "127.0.0.1:8765"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["wsproc.v1"], "wsproc.v1"),
        (["other", "wsproc.v1"], "wsproc.v1"),
        (["wsproc.v2"], "wsproc.v2"),
        (["wsproc.v2", "other"], "wsproc.v2"),
    ],
)
def test_ours_is_chosen_wherever_it_stands(offered: list[str], chosen: str | None):
    """An unknown one alone is echoed, so that a browser sees the close code behind it."""
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


def test_refusals_have_the_codes_of_the_protocol():
    """The origin is looked at first: a page that may not connect learns nothing else."""
    assert refuse(None, None, HERE, ()) is None
    assert refuse("wsproc.v1", None, HERE, ()) is None
    wrong_protocol = refuse("other", None, HERE, ())
    wrong_origin = refuse("other", "http://evil.example", HERE, ())
    assert wrong_protocol is not None
    assert wrong_protocol.code is CloseCode.SUBPROTOCOL
    assert wrong_origin is not None
    assert wrong_origin.code is CloseCode.FORBIDDEN
    for refusal in (wrong_protocol, wrong_origin):
        assert len(refusal.reason.encode()) <= 123
