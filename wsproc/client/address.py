"""A server's address: how users write it, how it is dialled, how it is shown."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit


def websocket_url(url: str) -> str:
    """Return the address as a WebSocket's; a browser's `http://...` is understood too."""
    for browser, socket in (("http://", "ws://"), ("https://", "wss://")):
        if url.startswith(browser):
            return socket + url.removeprefix(browser)
    return url


def shown(url: str) -> str:
    """Return the address without a user and password, for messages and logs."""
    parts = split(url)
    if parts is None or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def no_proxy_to_self(url: str) -> dict[str, Any]:
    """Bypass the environment's proxy for servers on this machine: it is for the way out."""
    parts = split(url)
    local = parts is not None and parts.hostname in ("localhost", "127.0.0.1", "::1")
    return {"proxy": None} if local else {}


def split(url: str) -> SplitResult | None:
    """Return the parts of an address; None for what is none, such as `ws://[::1`."""
    try:
        return urlsplit(url)
    except ValueError:
        return None
