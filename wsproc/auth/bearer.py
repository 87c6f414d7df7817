"""Where a request may carry its token: in a header, or disguised as a subprotocol. Pure.

A browser can set no header of a WebSocket but this: `new WebSocket(url, ["wsproc.v1",
"wsproc.bearer." + base64url(token)])`. The second name is read here and is never answered with.
Nothing that is raised here says a word of what was sent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

BEARER_PREFIX = "wsproc.bearer."

SCHEME = "bearer"

MAX_TOKEN_CHARS = 8192
"""The most characters of a token, wherever it stands; the `auth` frame has the same bound."""


class BadBearer(Exception):
    """A token is meant to be there and cannot be read; the message may be shown to the client."""


def token_of_request(authorization: str | None, offered: Sequence[str]) -> str | None:
    """Return the token of a request, None where it carries none.

    The header goes first; an `Authorization` of another scheme (a proxy's) is not ours. Raises
    `BadBearer` for a token that cannot be read, and for two of them.
    """
    token = _token_of_header(authorization)
    if token is not None:
        return token
    disguised = [name for name in offered if name.startswith(BEARER_PREFIX)]
    if len(disguised) > 1:
        raise BadBearer("give one token, not several")
    return _decode(disguised[0].removeprefix(BEARER_PREFIX)) if disguised else None


def without_tokens(offered: Sequence[str]) -> tuple[str, ...]:
    """Return the subprotocols that are none of ours in disguise."""
    return tuple(name for name in offered if not name.startswith(BEARER_PREFIX))


def disguise(token: str) -> str:
    """Return the subprotocol that carries a token: base64url without padding."""
    return BEARER_PREFIX + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _token_of_header(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != SCHEME:
        return None
    token = token.strip()
    if not token or len(token) > MAX_TOKEN_CHARS:
        raise BadBearer(f"behind Bearer stands a token of 1 to {MAX_TOKEN_CHARS} characters")
    return token


def _decode(text: str) -> str:
    wrong = f"behind {BEARER_PREFIX} stands the token as base64url, without padding"
    try:
        padded = text + "=" * (-len(text) % 4)
        token = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadBearer(wrong) from None
    if not token or len(token) > MAX_TOKEN_CHARS:
        raise BadBearer(wrong)
    return token
