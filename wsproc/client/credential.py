"""The token that opens a server's door: where it comes from, and that nobody gets to see it.

It goes into the `Authorization` header and, where a server asks for it again, into an `auth` frame;
never into a URL, a repr, an error or a log line.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias

from wsproc.client.errors import ConnectFailed

TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or a function (plain or async) that is asked for one before each connection."""


class Credential:
    """A token or its source; the repr tells neither."""

    def __init__(self, source: TokenSource | None) -> None:
        self._source = source

    def __repr__(self) -> str:
        return "<Credential none>" if self._source is None else "<Credential hidden>"

    @property
    def renewable(self) -> bool:
        """Whether asking again may give another token."""
        return callable(self._source)

    async def fetch(self) -> str | None:
        """Return the token to present now, if any.

        Raises `ConnectFailed` where its function fails, or for one that no header can carry.
        """
        token = await self._ask() if callable(self._source) else self._source
        if token is None and not callable(self._source):
            return None
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise ConnectFailed("token: it must be printable ASCII, this is none, empty or is not")
        return token

    async def _ask(self) -> object:
        assert callable(self._source)
        try:
            token = self._source()
            return await token if isawaitable(token) else token
        except Exception as error:
            message = f"the function that gives the token raised {type(error).__name__}"
            raise ConnectFailed(message, retryable=True) from error


class _HideTokens(logging.Filter):
    """Takes tokens out of what the WebSocket library logs of a handshake and its frames."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, without its secret."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        if len(arguments) == 2 and str(arguments[0]).lower() == "authorization":
            record.args = (arguments[0], "(hidden)")
        elif any('"auth"' in str(argument) for argument in arguments):
            record.args = tuple("(an auth frame, hidden)" for _ in arguments)
        return True


wire_logger = logging.getLogger("wsproc.client.wire")
"""Where the WebSocket library logs for this client; at DEBUG it tells each frame."""

wire_logger.addFilter(_HideTokens())
