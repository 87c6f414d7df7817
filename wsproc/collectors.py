"""Figures that are read when somebody asks for them, for `observe.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from wsproc.engine.tally import BOUNDS_S

if TYPE_CHECKING:
    from wsproc.engine import Engine
    from wsproc.lobby import Lobby
    from wsproc.logs import Logs


class Held:
    """The sessions of a server and the bytes that are held for them, read when somebody asks."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; called by the registry."""
        lobby = self._lobby
        states = {
            "attached": len(lobby.sessions) - lobby.sessions.detached,
            "detached": lobby.sessions.detached,
        }
        sessions = GaugeMetricFamily(
            "wsproc_sessions", "Sessions with a connection, and left by theirs", labels=["state"]
        )
        for state, count in states.items():
            sessions.add_metric([state], count)
        yield sessions
        yield GaugeMetricFamily(
            "wsproc_replay_bytes",
            "Bytes of frames that are kept for clients that come back",
            value=lobby.budget.size,
        )
        yield GaugeMetricFamily(
            "wsproc_outbox_bytes", "Bytes of frames that wait to be sent", value=lobby.unsent_bytes
        )


class LostLines:
    """The log lines that were lost, read when somebody asks."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def collect(self) -> Iterator[Metric]:
        """Yield the metric; called by the registry."""
        text = "Log lines that were lost since nobody read them"
        yield CounterMetricFamily("wsproc_log_lines_lost", text, value=self._logs.dropped)


class EngineCollector:
    """The engine's own counters, read when somebody asks for them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; called by the registry."""
        yield from self._steps()
        yield from self._workers()

    def _steps(self) -> Iterator[Metric]:
        tallies = self._engine.tally.items()
        seconds = HistogramMetricFamily(
            "wsproc_engine_step_seconds", "Steps on a device, and their time", labels=["stage"]
        )
        rows = CounterMetricFamily(
            "wsproc_engine_step_rows", "Rows in those steps", labels=["stage"]
        )
        room = CounterMetricFamily(
            "wsproc_engine_step_rows_possible", "Rows that they had room for", labels=["stage"]
        )
        tokens = CounterMetricFamily(
            "wsproc_engine_tokens", "Tokens computed: of texts, and padding", labels=["stage", "of"]
        )
        for stage, tally in tallies:
            seconds.add_metric([stage], _buckets(tally.lasted), tally.seconds)
            rows.add_metric([stage], tally.rows)
            room.add_metric([stage], tally.room)
            tokens.add_metric([stage, "text"], tally.tokens)
            tokens.add_metric([stage, "padding"], tally.padding)
        yield from (seconds, rows, room, tokens)

    def _workers(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("wsproc_engine_up", "1 where a worker serves", labels=["worker"])
        calls = GaugeMetricFamily(
            "wsproc_engine_calls", "Calls that are open at a worker", labels=["worker"]
        )
        deaths = CounterMetricFamily(
            "wsproc_engine_deaths", "Workers that died and were replaced", labels=["worker"]
        )
        for worker, state in self._engine.workers.items():
            up.add_metric([worker], float(state.serving))
            calls.add_metric([worker], state.calls)
            deaths.add_metric([worker], state.deaths)
        yield from (up, calls, deaths)


def _buckets(lasted: Sequence[int]) -> list[tuple[str, float]]:
    """Return the steps up to each bound, as Prometheus counts them: with all that were shorter."""
    bounds = (*map(str, BOUNDS_S), "+Inf")
    return list(zip(bounds, map(float, accumulate(lasted)), strict=True))
