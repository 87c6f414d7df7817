"""Who asks, and how much each may."""

import pytest

from wsproc.face import clients
from wsproc.face.clients import Clients, client_of
from wsproc.frames.errors import ErrorCode
from wsproc.rate import BYTES_A_TOKEN


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((None, "192.0.2.1", 1000), (None, "192.0.2.1", 2000), True),
        ((None, "192.0.2.1", 1000), (None, "192.0.2.2", 1000), False),
        ((None, "2001:db8::1", 1000), (None, "2001:db8::2", 1000), True),
        ((None, "2001:db8::1", 1000), (None, "2001:db8:0:1::1", 1000), False),
        ((None, "127.0.0.1", 1000), (None, "127.0.0.1", 1000), True),
        ((None, "127.0.0.1", 1000), (None, "127.0.0.1", 2000), False),
        (("ada", "192.0.2.1", 1000), ("ada", "127.0.0.1", 2000), True),
        (("ada", "192.0.2.1", 1000), ("grace", "192.0.2.1", 1000), False),
        (("ada", "192.0.2.1", 1000), (None, "192.0.2.1", 1000), False),
    ],
)
def test_who_is_one_client(one, other, same: bool):
    """A token's owner; else an address or a /64; from loopback each connection for itself."""
    assert (client_of(*one) == client_of(*other)) is same


def test_each_client_has_so_many_jobs_at_a_time():
    """A neighbour's are its own, and one that ends makes room."""
    all_of_them = Clients(2, rate=0, burst=1)
    for _ in range(2):
        assert all_of_them.objection("ada") is None
        all_of_them.take("ada")
    refused = all_of_them.objection("ada")
    assert refused is not None
    assert (refused.code, refused.retryable) == (ErrorCode.TOO_MANY_JOBS, True)
    assert all_of_them.objection("grace") is None
    all_of_them.give_back("ada")
    assert all_of_them.objection("ada") is None
    assert all_of_them.jobs == 1


def test_each_client_has_so_many_requests_a_second():
    """Who comes too soon is told when to come again, and is then heard."""
    all_of_them = Clients(2, rate=10, burst=3)
    assert [all_of_them.hear("ada", 100, now=0.0) for _ in range(3)] == [None] * 3
    refused = all_of_them.hear("ada", 100, now=0.0)
    assert refused is not None
    assert (refused.code, refused.retry_after_ms) == (ErrorCode.RATE_LIMITED, 100)
    assert all_of_them.hear("grace", 100, now=0.0) is None
    assert all_of_them.hear("ada", 100, now=0.1) is None


def test_who_does_not_wait_is_told_to_wait_longer():
    """Refusals have a limit of their own."""
    all_of_them = Clients(2, rate=10, burst=3)
    last = None
    for _ in range(1000):
        last = all_of_them.hear("ada", 100, now=0.0)
    assert last is not None
    assert last.retry_after_ms == clients.ABUSE_RETRY_MS


def test_a_large_request_counts_for_several():
    """Reading it takes longer."""
    all_of_them = Clients(2, rate=10, burst=30)
    assert all_of_them.hear("ada", 29 * BYTES_A_TOKEN, now=0.0) is None
    assert all_of_them.hear("ada", 100, now=0.0) is None
    assert all_of_them.hear("ada", 100, now=0.0) is not None


def test_clients_are_forgotten_and_their_jobs_are_not(monkeypatch):
    """Memory is bounded whoever comes; a client with a job stays counted."""
    monkeypatch.setattr(clients, "REMEMBERED", 10)
    all_of_them = Clients(1, rate=10, burst=3)
    all_of_them.take("ada")
    for number in range(1000):
        assert all_of_them.hear(f"stranger-{number}", 100, now=0.0) is None
    assert all_of_them.objection("ada") is not None
    assert repr(all_of_them) == "<Clients 1 jobs of 1, 10 idle>"
    all_of_them.give_back("ada")
    assert all_of_them.jobs == 0
