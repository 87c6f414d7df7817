"""When a lost connection is made again, and how long to wait before each try. Pure.

The wait is drawn between nothing and a bound that doubles (full jitter), so that the clients of a
server that restarts do not all come back in the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass

RETURN = frozenset({1001, 1006, 1011, 1012, 1013})
"""Close codes after which a client comes back by itself, beside all of 45xx."""


def may_return(close_code: int) -> bool:
    """Whether a connection that ended with this code is to be made again."""
    return close_code in RETURN or 4500 <= close_code <= 4599


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How a client comes back. Times in seconds.

    It gives up after `max_tries` failed tries (None: any number) or `max_time_s` after the loss,
    whichever is first. Before try n it waits a random part of `first_delay_s * 2 ** (n - 1)`, of
    `max_delay_s` at most. A connection that held for `first_delay_s` was none that failed: after it
    both are counted anew.
    """

    max_tries: int | None = None
    max_time_s: float = 120.0
    first_delay_s: float = 0.5
    max_delay_s: float = 10.0

    def __post_init__(self) -> None:
        if self.max_tries is not None and self.max_tries < 1:
            raise ValueError(f"max_tries: 1 or more, or None; this is {self.max_tries}")
        for name in ("max_time_s", "first_delay_s", "max_delay_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: above 0 seconds, this is {getattr(self, name)}")

    def delay_s(self, tries: int, draw: float) -> float:
        """Return the wait after so many failed tries; `draw` is a random number of 0 to 1."""
        bound = min(self.max_delay_s, self.first_delay_s * 2.0 ** min(tries, 60))
        return bound * draw

    def gives_up(self, tries: int, elapsed_s: float) -> bool:
        """Whether so many failed tries, or so much time since the loss, are enough."""
        out_of_tries = self.max_tries is not None and tries >= self.max_tries
        return out_of_tries or elapsed_s >= self.max_time_s


def policy(reconnect: bool | Reconnect) -> Reconnect | None:
    """Read the setting: True is the usual policy, False is none."""
    if isinstance(reconnect, Reconnect):
        return reconnect
    return Reconnect() if reconnect else None
