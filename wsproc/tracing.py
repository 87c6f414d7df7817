"""OpenTelemetry: a reader of events that writes a span for each job that ended.

A span begins when its job was accepted and ends with it; `began`, an event in it, is the first work
on a device. It belongs to the span of the client where the job's `meta` has a `traceparent`. It
knows sizes, times and the outcome, but no text.

The library is an extra, `wsproc[otel]`, and is imported in here alone. A process of one's own gives
a tracer of its own provider, `Server(readers=[TraceReader(tracer)])`; `wsproc serve --otel` makes
one that sends over OTLP and is told where by the standard variables, `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and so on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from wsproc.events import FAULTS, Event, JobEnded
from wsproc.extras import missing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Status, Tracer

SERVICE = "wsproc"
"""The service's name where `OTEL_SERVICE_NAME` gives none."""


class TraceReader:
    """Writes spans with a tracer. Raises `MissingExtra` where OpenTelemetry is not installed."""

    def __init__(self, tracer: Tracer) -> None:
        try:
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise missing("tracing", "otel", error) from error
        self._tracer = tracer
        self._kind = SpanKind.SERVER
        self._context_of = TraceContextTextMapPropagator().extract
        self._error: Callable[[str], Status] = partial(Status, StatusCode.ERROR)

    def __call__(self, event: Event, /) -> None:
        """Write a span if a job ended."""
        if isinstance(event, JobEnded):
            self._write(event, time.time_ns())

    def _write(self, job: JobEnded, ended_ns: int) -> None:
        began_ns = ended_ns - round(job.run_s * 1e9)
        carrier = {} if job.traceparent is None else {"traceparent": job.traceparent}
        span = self._tracer.start_span(
            f"wsproc {job.task}",
            context=self._context_of(carrier),
            kind=self._kind,
            attributes=_attributes(job),
            start_time=began_ns - round(job.queued_s * 1e9),
        )
        span.add_event("began", timestamp=began_ns)
        if job.outcome in FAULTS:
            span.set_status(self._error(job.outcome))
        span.end(ended_ns)


def otlp_provider(version: str) -> TracerProvider:
    """Return a provider that sends spans over OTLP, in a thread; `shutdown` sends the last ones.

    Raises `MissingExtra` where OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise missing("tracing", "otel", error) from error
    resource = Resource.create({"service.version": version})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _attributes(job: JobEnded) -> dict[str, str | int | float]:
    told: dict[str, str | int | float | None] = {
        "wsproc.task": job.task,
        "wsproc.session": job.session,
        "wsproc.job": job.job,
        "wsproc.outcome": job.outcome,
        "wsproc.reason": job.reason,
        "wsproc.inputs": job.inputs,
        "wsproc.characters": job.characters,
        "wsproc.queued_ms": job.queued_s * 1000,
        "wsproc.run_ms": job.run_s * 1000,
        "wsproc.stop_ms": None if job.stop_s is None else job.stop_s * 1000,
    }
    told |= {f"wsproc.usage.{name}": amount for name, amount in job.usage.items()}
    return {name: value for name, value in told.items() if value is not None}
