"""Who a client is: tokens, what they grant, and the conversation before a connection has one."""

from __future__ import annotations

from wsproc.auth.grant import Authenticator, Denied, FirstThatKnows, Grant, Verdict

__all__ = ["Authenticator", "Denied", "FirstThatKnows", "Grant", "Verdict"]
