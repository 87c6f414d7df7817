"""Which workers an engine starts: a pure choice, by models, device and cores."""

import os

import pytest

from wsproc.engine import EngineConfig
from wsproc.engine import config as config_module


@pytest.fixture(autouse=True)
def _four_cores_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known size."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(config_module, "_has_accelerator", lambda: False)


def shape(config: EngineConfig) -> list[tuple[str, tuple[str, ...], int]]:
    """Return name, stages and threads of each worker."""
    return [(name, tuple(stages), threads) for name, stages, threads in config.groups()]


def test_small_models_on_a_cpu_get_two_workers():
    """The embedded models are served twice, entities once and beside them."""
    device = ("sentiment", "summary", "generation")
    assert shape(EngineConfig()) == [
        ("device", device, 2),
        ("device-2", device, 2),
        ("entities", ("entities",), 1),
    ]


@pytest.mark.parametrize(
    "config",
    [
        EngineConfig(device="cuda"),
        EngineConfig(models={"sentiment": "someone/large", "summary": "embedded"}),
        EngineConfig(models={}, own_stages={"mine": "package.module:factory"}),
    ],
)
def test_anything_else_gets_one(config: EngineConfig):
    """An accelerator is one device, and a large model is not loaded twice unasked."""
    names = [name for name, _, _ in shape(config)]
    assert [name for name in names if name.startswith("device")] == ["device"]


def test_what_is_asked_for_is_done():
    """`replicas` and `threads` are taken as they are given."""
    workers = shape(EngineConfig(models={"sentiment": "embedded"}, replicas=3, threads=5))
    assert workers == [(name, ("sentiment",), 5) for name in ("device", "device-2", "device-3")]


def test_a_stage_that_is_off_is_in_no_worker():
    """`none` switches a stage off; a worker without stages is not started."""
    off = EngineConfig(models={"sentiment": "none", "entities": "embedded"})
    assert shape(off) == [("entities", ("entities",), 1)]
