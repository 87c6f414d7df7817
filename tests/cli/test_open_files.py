"""The limit of open files: raised for the connections that are allowed, never lowered."""

import resource
from collections.abc import Iterator

import pytest

from wsproc.cli.open_files import SPARE, allow_files

SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Give the process its own limit back."""
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))


def limit() -> int:
    """Return the limit that holds."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_low_limit_is_raised_for_the_connections():
    """A shell's 1024 would end at a thousand clients, with half a sentence in the log."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, HARD))
    assert allow_files(600) == limit() == 600 + SPARE


def test_a_limit_that_is_enough_stays():
    """It is the operator's."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, HARD))
    assert allow_files(10) == limit() == 1000


def test_the_hard_limit_is_the_end():
    """What cannot be had is not asked for."""
    if HARD == resource.RLIM_INFINITY:
        pytest.skip("this machine has no hard limit")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, HARD))
    assert allow_files(HARD) == limit() == HARD
