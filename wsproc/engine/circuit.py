"""When to start a dead worker again, and when to stop promising that it will come back. Pure.

Rules:

- Each death within the last minute doubles the pause before the next start.
- The fifth death within a minute opens the circuit. It stays open until a worker serves, however
  long that takes; the deaths are forgotten by time alone, so that another one soon opens it again.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

DEATHS = 5
WINDOW_S = 60.0
"""So many deaths in so many seconds open the circuit."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass
class Circuit:
    """The deaths of one worker's place within the last minute. Times are seconds.

    While it is `open` no work is to be taken.
    """

    jitter: random.Random = field(default_factory=random.Random)
    open: bool = False
    _deaths: deque[float] = field(default_factory=deque)

    def died(self, now: float) -> None:
        """Note a death, or a start that failed."""
        self._forget(now)
        self._deaths.append(now)
        self.open = self.open or len(self._deaths) >= DEATHS

    def serves(self) -> None:
        """Note that a worker is there."""
        self.open = False

    def pause_s(self, now: float) -> float:
        """Return how long to wait before the next start: doubled each time, half of it chance."""
        self._forget(now)
        doubled = FIRST_PAUSE_S * 2.0 ** max(0, len(self._deaths) - 1)
        longest = min(LONGEST_PAUSE_S, doubled)
        return longest * (0.5 + 0.5 * self.jitter.random())

    def _forget(self, now: float) -> None:
        while self._deaths and self._deaths[0] <= now - WINDOW_S:
            self._deaths.popleft()
