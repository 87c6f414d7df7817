"""Whether the engine does work, from what was seen of its workers. Pure.

Rules:

- Only work proves a worker: something that it finished for a client, or an item of ours, which it
  is given where it has finished nothing for `interval_s`. So a busy worker is never probed.
- A worker that serves is given `patience_s` from a probe on. One that has finished nothing until
  then hangs; whatever it finishes, for whomever, proves it again. Silence counts from the probe on,
  so a server that was itself stopped for a while does not blame its workers.
- A worker that is being started again is not healthy or unhealthy: nothing can be asked of it, and
  to restart the server as well would not be quicker. It is not ready. Once it has died too often
  (its circuit is open) it is unhealthy, and until it serves.

So health is what a supervisor should restart a server for, and readiness what a balancer should
send clients elsewhere for. Times are seconds on one steady clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson


class Seen(Protocol):
    """What is seen of a worker; see `engine.WorkerState`."""

    @property
    def serving(self) -> bool:
        """Whether it takes work."""
        ...

    @property
    def worked_at(self) -> float:
        """When it finished something last."""
        ...

    @property
    def refuses(self) -> str | None:
        """Why it takes no calls, None where it does."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `/healthz` or `/readyz` answers; without `reasons` all is well."""

    reasons: tuple[str, ...] = ()
    workers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons

    def answer(self, word: str) -> tuple[int, bytes]:
        """Return the status and the body of an HTTP answer that says whether all is `word`."""
        told = {word: self.well, "reasons": self.reasons, "workers": self.workers}
        return 200 if self.well else 503, orjson.dumps(told) + b"\n"


Judge = Callable[[], Verdict]
"""Judges how things stand now."""


@dataclass(slots=True)
class _Pulse:
    """The probes of one worker.

    `asked_at` is that of the first one that it owes, `tried_at` that of the last one.
    """

    asked_at: float | None = None
    tried_at: float = -math.inf
    under_way: bool = False
    proved_at: float | None = None
    took_s: float = 0.0
    mute: bool = False


class Watch:
    """Decides who is to be probed, and judges. An `interval_s` of 0 probes nobody."""

    def __init__(self, interval_s: float, patience_s: float) -> None:
        self.interval_s = interval_s
        self.patience_s = patience_s
        self._pulses: dict[str, _Pulse] = {}

    def due(self, workers: Mapping[str, Seen], now: float) -> list[str]:
        """Return whom to probe now, and note that they are."""
        if not self.interval_s:
            return []
        names = [name for name, seen in workers.items() if self._is_due(name, seen, now)]
        for name in names:
            pulse = self._pulses[name]
            pulse.under_way, pulse.tried_at = True, now
            if pulse.asked_at is None or workers[name].worked_at > pulse.asked_at:
                pulse.asked_at = now
        return names

    def proved(self, name: str, now: float, took_s: float) -> None:
        """Note that a probe was finished."""
        pulse = self._pulses[name]
        pulse.under_way, pulse.asked_at = False, None
        pulse.proved_at, pulse.took_s = now, took_s

    def failed(self, name: str) -> None:
        """Note that a probe was not finished; the next one is due by and by."""
        self._pulses[name].under_way = False

    def mute(self, name: str) -> None:
        """Note that a worker has nothing to be probed with."""
        pulse = self._pulses[name]
        pulse.mute, pulse.under_way, pulse.asked_at = True, False, None

    def judge(self, workers: Mapping[str, Seen], now: float) -> Verdict:
        """Say whether the engine is healthy, and by what each worker proved itself."""
        found = {name: self._judge(name, seen, now) for name, seen in workers.items()}
        reasons = tuple(reason for reason, _ in found.values() if reason is not None)
        return Verdict(reasons, {name: told for name, (_, told) in found.items()})

    def _is_due(self, name: str, seen: Seen, now: float) -> bool:
        pulse = self._pulses.setdefault(name, _Pulse())
        if pulse.under_way or pulse.mute or not seen.serving:
            return False
        return now - max(seen.worked_at, pulse.tried_at) >= self.interval_s

    def _judge(self, name: str, seen: Seen, now: float) -> tuple[str | None, dict[str, Any]]:
        """Return why a worker is not healthy, if so, and what is told of it."""
        if seen.refuses is not None:
            return seen.refuses, {"state": "down"}
        if not seen.serving:
            return None, {"state": "starting"}
        pulse = self._pulses.get(name, _Pulse())
        silent_s = self._silent_s(pulse, seen, now)
        told = {"state": "hangs" if silent_s >= self.patience_s else "serves"}
        told |= _proof(pulse, seen, now)
        if silent_s < self.patience_s:
            return None, told
        return f"the {name} worker was tried {silent_s:.1f} s ago and has finished nothing", told

    def _silent_s(self, pulse: _Pulse, seen: Seen, now: float) -> float:
        """Return for how long a worker has owed a proof."""
        if pulse.asked_at is None:
            return 0.0
        return 0.0 if seen.worked_at > pulse.asked_at else now - pulse.asked_at


def _proof(pulse: _Pulse, seen: Seen, now: float) -> dict[str, Any]:
    if pulse.proved_at is not None and pulse.proved_at >= seen.worked_at:
        age_s, took_ms = now - pulse.proved_at, pulse.took_s * 1000
        return {"proved_by": "probe", "age_s": round(age_s, 3), "took_ms": round(took_ms, 3)}
    return {"proved_by": "work", "age_s": round(now - seen.worked_at, 3)}
