"""How much of something each principal has, against a limit for each. Pure."""

from __future__ import annotations

from collections import Counter


class Quota:
    """Counts what principals hold; each may hold `most`, 0 for no limit.

    The principal without a name is everybody on a server without tokens, and has no limit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Quota {self._held.total()} held by {len(self._held)}, {self.most or 'any'} each>"

    def held(self, principal: str) -> int:
        """Return how much a principal holds."""
        return self._held[principal]

    def full(self, principal: str) -> bool:
        """Whether a principal may hold no more."""
        return bool(principal and self.most) and self._held[principal] >= self.most

    def take(self, principal: str) -> None:
        """Count one more; ask `full` before."""
        self._held[principal] += 1

    def give_back(self, principal: str) -> None:
        """Count one less."""
        assert self._held[principal] > 0, f"{principal!r} holds nothing"
        self._held[principal] -= 1
        if not self._held[principal]:
            del self._held[principal]
