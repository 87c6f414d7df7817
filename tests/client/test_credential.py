"""Tokens are presented, and never seen."""

from __future__ import annotations

import logging

import pytest

from wsproc.client.credential import Credential, wire_logger
from wsproc.client.errors import ConnectFailed

SECRET = "s3cret-t0ken"


async def test_a_token_may_be_a_string_a_function_or_an_async_function():
    """Each way gives the same token; a function is asked every time."""
    asked = []

    def plain() -> str:
        asked.append(1)
        return SECRET

    async def later() -> str:
        return SECRET

    source = Credential(plain)
    assert [await source.fetch(), await source.fetch()] == [SECRET, SECRET]
    assert len(asked) == 2
    assert await Credential(SECRET).fetch() == SECRET
    assert await Credential(later).fetch() == SECRET
    assert await Credential(None).fetch() is None


def test_only_a_function_can_renew():
    """Asking a string again gives the same one."""
    assert Credential(lambda: SECRET).renewable
    assert not Credential(SECRET).renewable
    assert not Credential(None).renewable


@pytest.mark.parametrize("wrong", ["", "a\nb", "ключ", 7, None])
async def test_what_no_header_can_carry_is_refused_without_showing_it(wrong):
    """A wrong token is named as such; its text is not repeated."""
    with pytest.raises(ConnectFailed, match="token: ") as caught:
        await Credential(lambda: wrong).fetch()
    assert not wrong or str(wrong) not in str(caught.value)


async def test_a_function_that_fails_may_be_asked_again():
    """Its error is the cause of one that may be tried again, and is not repeated in words."""

    def source() -> str:
        raise KeyError(SECRET)

    with pytest.raises(ConnectFailed, match="raised KeyError") as caught:
        await Credential(source).fetch()
    assert caught.value.retryable
    assert SECRET not in str(caught.value)


def test_no_repr_tells_a_token():
    """Neither does the repr of a credential."""
    assert SECRET not in repr(Credential(SECRET))
    assert repr(Credential(None)) == "<Credential none>"


def test_the_log_of_the_handshake_hides_it(caplog):
    """What the WebSocket library logs of headers and auth frames loses its secret on the way."""
    with caplog.at_level(logging.DEBUG, logger=wire_logger.name):
        wire_logger.debug("> %s: %s", "Authorization", f"Bearer {SECRET}")
        wire_logger.debug("> %s", f'TEXT \'{{"type":"auth","token":"{SECRET}"}}\'')
        wire_logger.debug("> %s: %s", "Host", "example.org")
    assert SECRET not in caplog.text
    assert "example.org" in caplog.text
    assert len(caplog.records) == 3
