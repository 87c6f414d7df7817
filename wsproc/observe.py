"""Metrics: a reader of events, in Prometheus' text format, and of the event loop's lag."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from wsproc.collectors import EngineCollector, Held, LostLines
from wsproc.events import (
    Answered,
    Connected,
    Disconnected,
    Event,
    FrameRefused,
    HandshakeRefused,
    HealthChanged,
    JobAccepted,
    JobEnded,
    JobRejected,
    PeerStalled,
    ResumeAnswered,
    WorkerProbed,
)
from wsproc.frames.errors import CloseCode

if TYPE_CHECKING:
    from wsproc.admission import Admission
    from wsproc.engine import Engine
    from wsproc.lobby import Lobby
    from wsproc.logs import Logs

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LAGS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
_LAG_EVERY_S = 0.05

_CODES = {1000, 1001, 1002, 1005, 1006, 1007, 1009, *map(int, CloseCode)}
"""Close codes that are counted by themselves; a client may close with any of thousands."""


class Metrics:
    """The figures of one server, in a registry of its own.

    Each is declared once, with its help; docs/operations.md lists them all, which a test holds.
    """

    def __init__(self, admission: Admission, engine: Engine) -> None:
        self._registry = registry = CollectorRegistry()
        registry.register(EngineCollector(engine))
        ProcessCollector(registry=registry)
        build = Gauge("wsproc_build_info", "1, of this version", ["version"], registry=registry)
        build.labels(version("wsproc")).set(1)
        self._connections = Gauge(
            "wsproc_connections", "WebSocket connections that are open", registry=registry
        )
        self._handshakes = self._counter(
            "wsproc_handshakes", "Handshakes: accepted, or the close code or status", "outcome"
        )
        self._closed = self._counter(
            "wsproc_connections_closed", "Connections that ended, by close code", "code"
        )
        live = Gauge("wsproc_jobs_live", "Jobs accepted and not over", registry=registry)
        live.set_function(lambda: admission.live)
        waiting = Gauge("wsproc_jobs_waiting", "Jobs with no work done yet", registry=registry)
        waiting.set_function(lambda: admission.waiting)
        self._jobs = self._counter("wsproc_jobs", "Jobs that ended", "task", "outcome")
        self._usage = self._counter(
            "wsproc_job_usage", "What jobs consumed: characters, chunks, tokens", "task", "of"
        )
        self._duration = self._times("wsproc_job_duration_seconds", "From acceptance to the end")
        self._queued = self._times("wsproc_job_queued_seconds", "From acceptance to first work")
        self._run = self._times("wsproc_job_run_seconds", "From first work to the end")
        self._stop = self._times("wsproc_job_stop_seconds", "From a cancel to the device's freedom")
        self._probes = Histogram(
            "wsproc_engine_probe_seconds",
            "Time that a worker took for an item of ours",
            ["worker"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failed_probes = self._counter(
            "wsproc_engine_probes_failed", "Probes that were not finished", "worker"
        )
        self._healthy = Gauge(
            "wsproc_engine_healthy", "1 where /healthz says so", registry=registry
        )
        self._healthy.set(1)
        self._counters = self._by_event()
        self._lag = Histogram(
            "wsproc_event_loop_lag_seconds",
            "Delay of a timer on the event loop",
            buckets=_LAGS,
            registry=registry,
        )

    def _by_event(self) -> Mapping[type, Callable[[Any], Counter]]:
        """Return what counts an event of which nothing but its labels is told."""
        stalled = self._counter(
            "wsproc_connections_stalled", "Connections cut off because nothing was read"
        )
        answers = self._counter(
            "wsproc_http_answers", "Answers over plain HTTP; 499: left before one", "path", "status"
        )
        resumes = self._counter(
            "wsproc_resumes", "Clients that came back for their session", "outcome"
        )
        accepted = self._counter("wsproc_jobs_accepted", "Jobs that were taken", "task")
        rejected = self._counter("wsproc_jobs_rejected", "Submits that were not", "code")
        refused = self._counter(
            "wsproc_frames_refused", "Messages answered with an error, such as rate_limited", "code"
        )
        return {
            HandshakeRefused: lambda one: self._handshakes.labels(f"refused_{one.code}"),
            PeerStalled: lambda one: stalled,
            Answered: lambda one: answers.labels(one.path, one.status),
            ResumeAnswered: lambda one: resumes.labels(one.outcome),
            FrameRefused: lambda one: refused.labels(one.code),
            JobRejected: lambda one: rejected.labels(one.code),
            JobAccepted: lambda one: accepted.labels(one.task),
        }

    def __call__(self, event: Event, /) -> None:
        """Count an event."""
        counter = self._counters.get(type(event))
        if counter is not None:
            counter(event).inc()
            return
        match event:
            case Connected():
                self._handshakes.labels("accepted").inc()
                self._connections.inc()
            case Disconnected(code=code):
                self._connections.dec()
                self._closed.labels(code if code in _CODES else "other").inc()
            case JobEnded():
                self._job_ended(event)
            case WorkerProbed(worker, took_s, None):
                self._probes.labels(worker).observe(took_s)
            case WorkerProbed(worker):
                self._failed_probes.labels(worker).inc()
            case HealthChanged(reasons):
                self._healthy.set(not reasons)

    def _job_ended(self, job: JobEnded) -> None:
        outcome = job.outcome if job.reason is None else f"{job.outcome}_{job.reason}"
        self._jobs.labels(job.task, outcome).inc()
        self._queued.labels(job.task).observe(job.queued_s)
        self._run.labels(job.task).observe(job.run_s)
        self._duration.labels(job.task).observe(job.queued_s + job.run_s)
        if job.stop_s is not None:
            self._stop.labels(job.task).observe(job.stop_s)
        for name, amount in job.usage.items():
            self._usage.labels(job.task, name).inc(amount)

    def count_lost_lines(self, logs: Logs) -> None:
        """Tell of the log lines that nobody read."""
        self._registry.register(LostLines(logs))

    def count_sessions(self, lobby: Lobby) -> None:
        """Tell of the sessions, and of what is held for them."""
        self._registry.register(Held(lobby))

    def text(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        return generate_latest(self._registry)

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LAG_EVERY_S)
            self._lag.observe(max(0.0, time.monotonic() - asked - _LAG_EVERY_S))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _times(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, ["task"], buckets=_SECONDS, registry=self._registry)
