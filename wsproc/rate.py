"""How many messages a connection may send: a token bucket, and patience with those who ignore it.
Pure.

A message costs one token, and a large one a token for each 2 KiB, since the time that reading
takes grows with the bytes. So does that of answering: an answer costs what a message of its size
would, though it is paid behind it, with a debt of a second at most. What comes while the bucket is
empty is refused with the time until it would have been taken. Each refusal is paid from a second,
larger bucket; who empties that one does not want to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BYTES_A_TOKEN = 2 * 1024

PATIENCE_RATE = 2
"""Refusals that are forgiven, in multiples of the rate: three times the rate may go on for ever."""

DEBT_S = 1
"""So long a client waits at most for the size of an answer that it asked for."""

PATIENCE_S = 2
"""Refusals that may come at once, in seconds of the rate."""


class TokenBucket:
    """`rate` tokens come in a second, `burst` of them may be saved up; it is full at first.

    Times (`now`) are seconds on any one steady clock. Raises ValueError unless both are above 0.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError(f"rate and burst must be above 0, not {rate} and {burst}")
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at: float | None = None

    def __repr__(self) -> str:
        return f"<TokenBucket {self._level:.1f} of {self.burst}, {self.rate} a second>"

    def take(self, cost: float, now: float) -> float:
        """Take `cost` tokens and return 0, or take none and return the seconds until they are
        there. What costs more than the bucket can hold is let through when it is full.
        """
        if self._at is not None and now > self._at:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now if self._at is None else max(now, self._at)
        missing = min(cost, self.burst) - self._level
        if missing > 1e-9:  # what rounding leaves is no token
            return missing / self.rate
        self._level -= min(cost, self.burst)
        return 0.0

    def owe(self, cost: float) -> None:
        """Take tokens for what was done already; there may be too few, by a second's at most."""
        self._level = max(self._level - cost, min(self._level, -self.rate * DEBT_S))


Verdict = Literal["taken", "refused", "abuse"]


@dataclass(frozen=True, slots=True)
class Admittance:
    """What becomes of a message; a refused one would be taken after `wait_s` seconds."""

    verdict: Verdict
    wait_s: float = 0.0


_TAKEN = Admittance("taken")
_ABUSE = Admittance("abuse")


class MessageRate:
    """The messages of one connection: `rate` a second, `burst` at once; no limit if `rate` is 0.

    The buckets are made when they are needed: most connections send nothing, or never too much.
    """

    __slots__ = ("_burst", "_messages", "_patience", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._messages: TokenBucket | None = None
        self._patience: TokenBucket | None = None

    def admit(self, size: int, now: float) -> Admittance:
        """Say what becomes of a message of `size` bytes."""
        if not self._rate:
            return _TAKEN
        if self._messages is None:
            self._messages = TokenBucket(self._rate, max(self._burst, 1))
        cost = max(1.0, size / BYTES_A_TOKEN)
        wait = self._messages.take(cost, now)
        if wait == 0:
            return _TAKEN
        if self._patience is None:
            self._patience = TokenBucket(self._rate * PATIENCE_RATE, self._rate * PATIENCE_S)
        return _ABUSE if self._patience.take(cost, now) else Admittance("refused", wait)

    def answered(self, size: int) -> bool:
        """Note that a message that was taken is answered by so many bytes; return whether that is
        much.
        """
        if size <= BYTES_A_TOKEN:
            return False
        if self._messages is not None:
            self._messages.owe(size / BYTES_A_TOKEN)
        return True
