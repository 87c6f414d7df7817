"""The error tree: each kind has a code of its own, and clients know every one of them."""

import pytest

from wsproc.engine.call import ERRORS, EngineError
from wsproc.frames.errors import RETRYABLE, ErrorCode


def _kinds(kind: type[EngineError]) -> list[type[EngineError]]:
    below = [one for one in kind.__subclasses__() if one.__module__ == kind.__module__]
    return [kind, *(found for one in below for found in _kinds(one))]


@pytest.mark.parametrize("kind", _kinds(EngineError))
def test_every_kind_of_error_can_be_sent_and_read(kind: type[EngineError]):
    """Its code leads back to it, is one of the protocol's, and means the same about retrying."""
    assert ERRORS[kind.code] is kind
    assert (ErrorCode(kind.code) in RETRYABLE) is kind.retryable


def test_errors_are_compared_by_kind_and_words():
    """Two of different kinds are never equal, whatever they say."""
    one, same, other = EngineError("x"), EngineError("x"), EngineError("y")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert len({kind("x") for kind in _kinds(EngineError)}) == len(ERRORS)
