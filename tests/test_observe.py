"""The figures of a server, as Prometheus reads them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import FakeEngine
from wsproc.admission import Admission
from wsproc.engine import WorkerState
from wsproc.engine.tally import StageTally
from wsproc.observe import Metrics


def samples(engine: FakeEngine) -> dict[tuple[str, ...], float]:
    """Return the engine's samples by name and labels."""
    text = Metrics(Admission(9), engine).text().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("wsproc_engine")
    }


def test_steps_are_counted_by_stage():
    """How many, how long, how full, and what share of the tokens was padding."""
    engine = FakeEngine()
    tally = StageTally()
    for seconds in (0.0004, 0.2, 0.2, 99.0):
        tally.add(StageTally.of_step(seconds, rows=8, room=16, tokens=225, padding=25))
    engine.tally = {"sentiment": tally}
    found = samples(engine)
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
    found = samples(engine)
    assert found["wsproc_engine_up", "device"] == 0
    assert found["wsproc_engine_calls", "device"] == 3
    assert found["wsproc_engine_deaths_total", "device"] == 2
