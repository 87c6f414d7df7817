"""What a token is worth: the seam that every kind of token stands behind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from wsproc.frames.errors import CloseCode


@dataclass(frozen=True, slots=True)
class Grant:
    """A connection may be made in the name of `principal`, who owns the sessions made on it.

    `expires_at` is in Unix seconds; None where the token does not expire by itself. `token_hash`
    says by which token it was; None for one that cannot be taken back before it expires.
    """

    principal: str
    expires_at: float | None = None
    token_hash: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Denied:
    """A token is worth nothing. `reason` goes to the client and into the log: nothing secret.

    `code` is FORBIDDEN where the token is right and its owner may not come in. `recognised` tells
    that the token was of this authenticator's kind and was wrong, so that its reason says more than
    that of the others, who do not know the token at all.
    """

    reason: str
    code: CloseCode = CloseCode.UNAUTHORIZED
    recognised: bool = False


Verdict: TypeAlias = Grant | Denied

UNKNOWN = Denied("the token is not known here")


class Authenticator(Protocol):
    """Judges tokens. It answers at once: what it needs to know it has read before."""

    def check(self, token: str) -> Verdict:
        """Return what a token is worth; never raises, whatever the token is."""
        ...

    def stands_by(self, grant: Grant) -> bool:
        """Whether a grant of the past would be given again, but for its expiry."""
        ...


@dataclass(frozen=True, slots=True)
class FirstThatKnows:
    """Asks several authenticators in turn; the first that grants decides."""

    authenticators: Sequence[Authenticator]

    def check(self, token: str) -> Verdict:
        """Return the first grant, or else the denial that says most."""
        denied = UNKNOWN
        for one in self.authenticators:
            verdict = one.check(token)
            if isinstance(verdict, Grant):
                return verdict
            if verdict.recognised:
                denied = verdict
        return denied

    def stands_by(self, grant: Grant) -> bool:
        """Whether one of them does."""
        return any(one.stands_by(grant) for one in self.authenticators)
