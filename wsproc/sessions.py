"""Which sessions a server has, whose they are, and which give way when too many are left. Pure.

- A session is found by its token, which is a secret, and only by the principal that it belongs to;
  somebody else's answers like one that is not there.
- A token names the epoch that it was made in, so a client can tell a server that was restarted
  (`epoch_changed`: submit again) from a session that has gone (`unknown_session`).
- Sessions without a connection are bounded in number: over it those with nothing to come back for
  give way first, then those that were left longest ago, of the principal who has left most. So
  nobody can push others' sessions out by leaving many.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

H = TypeVar("H")

Missing = Literal["unknown_session", "epoch_changed"]

_TOKEN = re.compile(r"([A-Za-z0-9_-]{8,32})\.[A-Za-z0-9_-]{22,64}")
"""EPOCH.RANDOM, the latter of 128 bits at least."""


@dataclass(slots=True)
class _Entry(Generic[H]):
    host: H
    principal: str


class Sessions(Generic[H]):
    """The sessions of a server, by token; `host` is what runs one.

    `max_detached` bounds those that have no connection.
    """

    def __init__(self, epoch: str, max_detached: int) -> None:
        self.epoch = epoch
        self.max_detached = max_detached
        self._entries: dict[str, _Entry[H]] = {}
        self._detached: OrderedDict[str, None] = OrderedDict()
        self._left: Counter[str] = Counter()
        self._vacant: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Sessions {len(self)}, {self.detached} of them without a connection>"

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[H]:
        """Yield the hosts of all sessions."""
        return (entry.host for entry in list(self._entries.values()))

    @property
    def detached(self) -> int:
        """How many sessions have no connection."""
        return len(self._detached) + len(self._vacant)

    def token(self, secret: str) -> str:
        """Return a session's token; `secret` is random, of 128 bits at least, URL-safe."""
        return f"{self.epoch}.{secret}"

    def add(self, token: str, host: H, principal: str) -> None:
        """Register a new session, which has a connection."""
        self._entries[token] = _Entry(host, principal)

    def find(self, token: str, principal: str) -> H | Missing:
        """Return the host of a principal's session, or why there is none."""
        entry = self._entries.get(token)
        if entry is not None:
            return entry.host if entry.principal == principal else "unknown_session"
        shape = _TOKEN.fullmatch(token)
        return "unknown_session" if shape is None or shape[1] == self.epoch else "epoch_changed"

    def principal(self, token: str) -> str:
        """Return whose a session is, which must be there."""
        return self._entries[token].principal

    def attach(self, token: str) -> None:
        """Note that a session has a connection."""
        self._vacant.pop(token, None)
        if token in self._detached:
            del self._detached[token]
            principal = self._entries[token].principal
            self._left[principal] -= 1
            if not self._left[principal]:
                del self._left[principal]

    def detach(self, token: str, *, vacant: bool) -> list[H]:
        """Note that a session has no connection; return the hosts of those that give way for it.

        `vacant` is whether there is nothing to come back for.
        """
        if token not in self._entries:
            return []
        self.attach(token)
        if vacant:
            self._vacant[token] = None
        else:
            self._detached[token] = None
            self._left[self._entries[token].principal] += 1
        leaving = []
        while self.detached > self.max_detached:
            leaving.append(self.drop(self._next_to_leave()))
        return leaving

    def _next_to_leave(self) -> str:
        if self._vacant:
            return next(iter(self._vacant))
        most = max(self._left.values())
        crowds = {principal for principal, count in self._left.items() if count == most}
        return next(one for one in self._detached if self._entries[one].principal in crowds)

    def drop(self, token: str) -> H:
        """Forget a session and return its host."""
        self.attach(token)
        return self._entries.pop(token).host
