"""Sockets counted in all and by address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.gate import TELLING, Gate, origin_of


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", "local"),
        ("127.8.8.8", "local"),
        ("::1", "local"),
        ("::ffff:127.0.0.1", "local"),
        (None, "local"),
        ("", "local"),
    ],
)
def test_what_an_address_is_counted_under(host: str | None, counted: str):
    """Whoever has one address of a /64 has them all; loopback is the machine's owner."""
    assert origin_of(host) == counted


def test_a_limit_by_address_leaves_the_others_alone():
    """The one too many of one address says nothing of another's first."""
    gate = Gate(most=100, most_by_address=2)
    met = [gate.enter("192.0.2.1") for _ in range(3)]
    assert met == ["welcome", "welcome", "too many of one address"]
    assert gate.enter("192.0.2.2") == "welcome"
    gate.leave("192.0.2.1")
    gate.leave("192.0.2.1")
    assert gate.enter("192.0.2.1") == "welcome"


def test_a_limit_in_all():
    """Whoever comes when the house is full."""
    gate = Gate(most=2, most_by_address=0)
    assert [gate.enter(f"192.0.2.{n}") for n in range(3)] == ["welcome", "welcome", "too many"]
    gate.leave("192.0.2.0")
    gate.leave("192.0.2.2")
    assert gate.enter("192.0.2.9") == "welcome"


def test_loopback_is_bounded_by_the_limit_in_all_alone():
    """A load test on one machine, or a proxy beside the server, is one address."""
    gate = Gate(most=10, most_by_address=1)
    assert [gate.enter("127.0.0.1") for _ in range(11)] == ["welcome"] * 10 + ["too many"]


def test_only_so_many_are_told():
    """A flood of connections is cut before it costs a handshake each."""
    gate = Gate(most=1000, most_by_address=1)
    met = [gate.enter("192.0.2.1") for _ in range(TELLING + 3)]
    assert met == ["welcome", *["too many of one address"] * TELLING, "cut", "cut"]


HOSTS = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "127.0.0.1"])


@given(st.lists(st.tuples(HOSTS, st.booleans()), max_size=60))
def test_the_counts_under_any_history(steps: list[tuple[str, bool]]):
    """Against a list of those who are in; when all have left nothing is remembered."""
    gate, there = Gate(most=6, most_by_address=3), []
    for host, enters in steps:
        if enters:
            there.append(host)
            of_one = sum(origin_of(one) == origin_of(host) for one in there)
            limited = origin_of(host) != "local" and of_one > 3
            full = len(there) > 6
            expected = "too many of one address" if limited else "too many" if full else "welcome"
            assert gate.enter(host) == expected
        elif host in there:
            there.remove(host)
            gate.leave(host)
        assert len(gate) == len(there)
    for host in there:
        gate.leave(host)
    assert repr(gate) == "<Gate 0 sockets of 6, 0 addresses>"
