"""Metrics: a reader of what happens, in Prometheus' text format, and of the event loop's lag."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from wsproc.job import Job
from wsproc.session import Ending

if TYPE_CHECKING:
    from wsproc.admission import Admission
    from wsproc.engine import Engine

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LAGS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
_LAG_EVERY_S = 0.05


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, admission: Admission, engine: Engine) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        registry.register(EngineCollector(engine))
        self.connections = Gauge(
            "wsproc_connections", "WebSocket connections that are open", registry=registry
        )
        self.handshakes = Counter(
            "wsproc_handshakes", "Handshakes by outcome", ["outcome"], registry=registry
        )
        live = Gauge("wsproc_jobs_live", "Jobs accepted and not over", registry=registry)
        live.set_function(lambda: admission.live)
        waiting = Gauge("wsproc_jobs_waiting", "Jobs with no work done yet", registry=registry)
        waiting.set_function(lambda: admission.waiting)
        self._jobs = Counter(
            "wsproc_jobs",
            "Jobs that ended, by task and outcome",
            ["task", "outcome"],
            registry=registry,
        )
        self._queued = self._times("wsproc_job_queued_seconds", "From acceptance to first work")
        self._run = self._times("wsproc_job_run_seconds", "From first work to the end")
        self._stop = self._times("wsproc_job_stop_seconds", "From a cancel to the device's freedom")
        self._lag = Histogram(
            "wsproc_event_loop_lag_seconds",
            "Delay of a timer on the event loop",
            buckets=_LAGS,
            registry=registry,
        )

    def job_ended(self, job: Job, ending: Ending) -> None:
        """Count a job that ended."""
        self._jobs.labels(job.request.type, _outcome(job, ending)).inc()
        self._queued.observe(ending.timing.queued / 1000)
        self._run.observe(ending.timing.run / 1000)
        if ending.timing.stop is not None:
            self._stop.observe(ending.timing.stop / 1000)

    def text(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self._registry)

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LAG_EVERY_S)
            self._lag.observe(max(0.0, time.monotonic() - asked - _LAG_EVERY_S))

    def _times(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self._registry)


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
        steps = CounterMetricFamily(
            "wsproc_engine_steps", "Steps taken on a device", labels=["stage"]
        )
        seconds = CounterMetricFamily(
            "wsproc_engine_step_seconds", "Time that a device spent in steps", labels=["stage"]
        )
        rows = CounterMetricFamily(
            "wsproc_engine_step_rows", "Rows in those steps; by steps: how full", labels=["stage"]
        )
        tokens = CounterMetricFamily(
            "wsproc_engine_tokens", "Tokens computed: of texts, and padding", labels=["stage", "of"]
        )
        for stage, tally in tallies:
            steps.add_metric([stage], tally.steps)
            seconds.add_metric([stage], tally.seconds)
            rows.add_metric([stage], tally.rows)
            tokens.add_metric([stage, "text"], tally.tokens)
            tokens.add_metric([stage, "padding"], tally.padding)
        yield from (steps, seconds, rows, tokens)

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


def _outcome(job: Job, ending: Ending) -> str:
    if ending.result is not None:
        return "completed"
    if ending.error is not None:
        return ending.error.code.value
    return f"cancelled_{job.stop_reason or 'shutdown'}"
