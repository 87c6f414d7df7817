"""Spans of jobs, in OpenTelemetry's in-memory exporter."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.fakes import FakeEngine, fake_server, plausible
from tests.wire import connected
from wsproc.events import JobAccepted, JobEnded
from wsproc.extras import MissingExtra
from wsproc.tracing import TraceReader, otlp_provider

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ENDED = JobEnded(
    session="1a2b",
    job="j",
    task="generate",
    outcome="completed",
    inputs=1,
    characters=12,
    queued_s=0.5,
    run_s=1.25,
    usage={"completion_tokens": 3},
)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where spans go."""
    return InMemorySpanExporter()


@pytest.fixture
def reader(exporter: InMemorySpanExporter) -> TraceReader:
    """A reader that writes them there."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return TraceReader(provider.get_tracer("test"))


def test_a_job_is_a_span(reader: TraceReader, exporter: InMemorySpanExporter):
    """From its acceptance to its end, with its first work in it, sizes and times, but no text."""
    reader(ENDED)
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("wsproc generate", SpanKind.SERVER)
    assert span.parent is None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(1.75)
    (began,) = span.events
    assert began.name == "began"
    assert (began.timestamp - span.start_time) / 1e9 == pytest.approx(0.5)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "wsproc.task": "generate",
        "wsproc.session": "1a2b",
        "wsproc.job": "j",
        "wsproc.outcome": "completed",
        "wsproc.inputs": 1,
        "wsproc.characters": 12,
        "wsproc.queued_ms": 500.0,
        "wsproc.run_ms": 1250.0,
        "wsproc.usage.completion_tokens": 3,
    }


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("internal", StatusCode.ERROR),
        ("out_of_memory", StatusCode.ERROR),
        ("deadline_exceeded", StatusCode.UNSET),
        ("cancelled", StatusCode.UNSET),
    ],
)
def test_only_what_is_ours_to_mend_is_an_error(reader, exporter, outcome, status):
    """A deadline or a cancel is the client's."""
    reader(JobEnded("s", "j", "process", outcome, 1, 1, 0.0, 0.0, stop_s=0.25, reason="client"))
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is status
    assert span.attributes["wsproc.stop_ms"] == 250.0
    assert span.attributes["wsproc.reason"] == "client"


@pytest.mark.parametrize("sent", [None, "", "nonsense", f"00-{TRACE}-{PARENT}", "0" * 5000])
def test_what_is_no_traceparent_is_no_parent(reader, exporter, sent):
    """The span is written all the same."""
    reader(JobEnded("s", "j", "process", "completed", 1, 1, 0.0, 0.0, traceparent=sent))
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_other_events_are_no_spans(reader, exporter):
    """Jobs are what is traced."""
    reader(JobAccepted("process"))
    assert exporter.get_finished_spans() == ()


async def test_a_job_continues_the_trace_of_its_client(reader, exporter):
    """`meta.traceparent` is the parent, as W3C Trace Context writes it."""
    engine = FakeEngine(answers=plausible)
    async with fake_server(engine, readers=[reader]) as server, connected(server) as wire:
        meta = {"traceparent": f"00-{TRACE}-{PARENT}-01", "mine": 1}
        await wire.send(type="generate", prompt="Hello", meta=meta)
        await wire.next("done")
    (span,) = exporter.get_finished_spans()
    assert format(span.context.trace_id, "032x") == TRACE
    assert format(span.parent.span_id, "016x") == PARENT


@pytest.mark.parametrize("library", ["opentelemetry.trace", "opentelemetry.sdk.trace"])
def test_without_the_library_the_extra_is_named(monkeypatch, library):
    """Who asks for spans is told how to get them."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install 'wsproc\[otel\]'"):
        TraceReader(None) if library == "opentelemetry.trace" else otlp_provider("1")


def test_the_service_has_a_name(monkeypatch):
    """That of the standard variable, or else ours; and the version."""
    names = []
    for name in ("", "mine"):
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        provider = otlp_provider("1.2")
        names.append(provider.resource.attributes["service.name"])
        assert provider.resource.attributes["service.version"] == "1.2"
        provider.shutdown()
    assert names == ["wsproc", "mine"]
