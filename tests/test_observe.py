"""The figures of a server, as Prometheus reads them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeEngine
from wsproc.admission import Admission
from wsproc.engine import WorkerState
from wsproc.engine.tally import StageTally
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
    Peer,
    PeerStalled,
    ResumeAnswered,
    WorkerProbed,
)
from wsproc.observe import Metrics

PEER = Peer()
ENDED = JobEnded("s", "j", "process", "completed", 1, 9, 0.2, 0.4, usage={"chunks": 3})
CANCELLED = JobEnded("s", "j", "process", "cancelled", 1, 9, 0, 1, stop_s=0.03, reason="client")
FAILED = JobEnded("s", "j", "process", "out_of_memory", 1, 9, 0, 1)


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def after(*events: Event) -> dict[tuple[str, ...], float]:
    """Return the figures after events."""
    metrics = Metrics(Admission(9), FakeEngine())
    for event in events:
        metrics(event)
    return samples(metrics)


@pytest.mark.parametrize(
    ("events", "figures"),
    [
        (
            [Connected(PEER), Connected(PEER), Disconnected(PEER, 1000, "", 1.0, 1, 1)],
            {
                ("wsproc_connections",): 1,
                ("wsproc_handshakes_total", "accepted"): 2,
                ("wsproc_connections_closed_total", "1000"): 1,
            },
        ),
        (
            [Connected(PEER), Disconnected(PEER, 3999, "", 1.0, 1, 1)],
            {("wsproc_connections_closed_total", "other"): 1},
        ),
        ([HandshakeRefused(PEER, 4403, "")], {("wsproc_handshakes_total", "refused_4403"): 1}),
        ([PeerStalled(PEER)], {("wsproc_connections_stalled_total",): 1}),
        ([ResumeAnswered("ok", "s")], {("wsproc_resumes_total", "ok"): 1}),
        ([Answered(PEER, "/x", 200, 0.1)], {("wsproc_http_answers_total", "/x", "200"): 1}),
        ([FrameRefused("rate_limited")], {("wsproc_frames_refused_total", "rate_limited"): 1}),
        ([JobRejected("queue_full")], {("wsproc_jobs_rejected_total", "queue_full"): 1}),
        ([JobAccepted("process")], {("wsproc_jobs_accepted_total", "process"): 1}),
        (
            [ENDED, CANCELLED, CANCELLED, FAILED],
            {
                ("wsproc_jobs_total", "completed", "process"): 1,
                ("wsproc_jobs_total", "cancelled_client", "process"): 2,
                ("wsproc_jobs_total", "out_of_memory", "process"): 1,
                ("wsproc_job_duration_seconds_count", "process"): 4,
                ("wsproc_job_duration_seconds_bucket", "1.0", "process"): 4,
                ("wsproc_job_duration_seconds_bucket", "0.5", "process"): 0,
                ("wsproc_job_queued_seconds_sum", "process"): 0.2,
                ("wsproc_job_stop_seconds_count", "process"): 2,
                ("wsproc_job_usage_total", "chunks", "process"): 3,
            },
        ),
        (
            [WorkerProbed("w", 0.02), WorkerProbed("w", 9.0, "no"), HealthChanged(("no",))],
            {
                ("wsproc_engine_probe_seconds_count", "w"): 1,
                ("wsproc_engine_probes_failed_total", "w"): 1,
                ("wsproc_engine_healthy",): 0,
            },
        ),
        ([HealthChanged(("no",)), HealthChanged(())], {("wsproc_engine_healthy",): 1}),
    ],
)
def test_an_event_is_counted(events: list[Event], figures: dict[tuple[str, ...], float]):
    """By its kind and by what it says of itself."""
    found = after(*events)
    assert {name: found[name] for name in figures} == pytest.approx(figures)


def test_the_version_and_the_process_are_told():
    """Which release runs where, and what it takes of the machine."""
    names = {name for name, *_ in after()}
    assert {"wsproc_build_info", "process_resident_memory_bytes", "process_cpu_seconds"} <= {
        name.removesuffix("_total") for name in names
    }


def test_jobs_that_wait_and_run_are_those_of_the_admission():
    """Read when somebody asks."""
    admission = Admission(9)
    metrics = Metrics(admission, FakeEngine())
    admission.enter(("s", "j"), 5, "process", 0.0)
    found = samples(metrics)
    assert (found["wsproc_jobs_live",], found["wsproc_jobs_waiting",]) == (1, 1)


def test_steps_are_counted_by_stage():
    """How many, how long, how full, and what share of the tokens was padding."""
    engine = FakeEngine()
    tally = StageTally()
    for seconds in (0.0004, 0.2, 0.2, 99.0):
        tally.add(StageTally.of_step(seconds, rows=8, room=16, tokens=225, padding=25))
    engine.tally = {"sentiment": tally}
    found = samples(Metrics(Admission(9), engine))
    assert found["wsproc_engine_step_seconds_count", "sentiment"] == 4
    assert found["wsproc_engine_step_seconds_sum", "sentiment"] == pytest.approx(99.4004)
    bounds = {"0.001": 1, "0.1": 1, "0.25": 3, "10.0": 3, "+Inf": 4}
    for bound, count in bounds.items():
        assert found["wsproc_engine_step_seconds_bucket", bound, "sentiment"] == count
    assert found["wsproc_engine_step_rows_total", "sentiment"] == 32
    assert found["wsproc_engine_step_rows_possible_total", "sentiment"] == 64
    assert found["wsproc_engine_tokens_total", "text", "sentiment"] == 900
    assert found["wsproc_engine_tokens_total", "padding", "sentiment"] == 100


def test_workers_show_their_state():
    """Whether they serve, what they have to do, how often they died."""
    engine = FakeEngine()
    engine.workers = {"device": WorkerState(serving=False, calls=3, deaths=2)}
    found = samples(Metrics(Admission(9), engine))
    assert found["wsproc_engine_up", "device"] == 0
    assert found["wsproc_engine_calls", "device"] == 3
    assert found["wsproc_engine_deaths_total", "device"] == 2
