"""Which workers an engine starts: a pure choice, by models, device and cores."""

from collections.abc import Mapping
from typing import Any

import pytest

from wsproc.engine import EngineConfig
from wsproc.engine import config as config_module
from wsproc.engine.stages.registry import StageSettings


@pytest.fixture(autouse=True)
def _four_cores_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known size."""
    monkeypatch.setattr(config_module, "usable_cores", lambda: 4)
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
    """An accelerator is one device, and a large model is not loaded twice unasked; its worker has
    all the cores.
    """
    workers = [(name, threads) for name, _, threads in shape(config) if name != "entities"]
    assert workers == [("device", 4)]


def test_what_is_asked_for_is_done():
    """`replicas` and `threads` are taken as they are given."""
    workers = shape(EngineConfig(models={"sentiment": "embedded"}, replicas=3, threads=5))
    assert workers == [(name, ("sentiment",), 5) for name in ("device", "device-2", "device-3")]


def test_a_stage_that_is_off_is_in_no_worker():
    """`none` switches a stage off; a worker without stages is not started."""
    off = EngineConfig(models={"sentiment": "none", "entities": "embedded"})
    assert shape(off) == [("entities", ("entities",), 1)]


def settings(config: EngineConfig) -> dict[str, Mapping[str, Any]]:
    """Return the settings of each stage; all workers have the same."""
    return {name: fields for _, stages, _ in config.groups() for name, fields in stages.items()}


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (EngineConfig(), 2),  # generation in two workers; the embedded summary chooses sentences
        (EngineConfig(replicas=3), 3),
        (EngineConfig(models={"summary": "owner/writer", "generation": "embedded"}, replicas=1), 2),
        (EngineConfig(models={"summary": "none", "generation": "embedded"}, replicas=1), 1),
        (EngineConfig(models={"sentiment": "embedded"}, replicas=2), 1),
        (EngineConfig(models={}, own_stages={"summary": "package.module:factory"}), 1),
    ],
)
def test_the_memory_for_keys_and_values_is_shared_by_all_that_decode(
    config: EngineConfig, shares: int
):
    """Each stage in each worker is told how many they are."""
    assert {fields["kv_shares"] for fields in settings(config).values()} == {shares}


def test_the_memory_for_keys_and_values_may_be_given():
    """Every stage knows the whole of it; without a word it is left to the worker."""
    assert settings(EngineConfig(kv_cache_mb=300))["generation"]["kv_cache_mb"] == 300
    assert settings(EngineConfig())["generation"]["kv_cache_mb"] is None


def test_a_stage_may_have_settings_of_its_own():
    """They win over those of the engine, for that stage alone, and options come together."""
    config = EngineConfig(
        device="cuda",
        options={"generation": {"context": 64, "chat": True}},
        settings={"generation": {"device": "cpu", "rows": 2, "options": {"chat": False}}},
    )
    generation, sentiment = (settings(config)[name] for name in ("generation", "sentiment"))
    assert (generation["device"], generation["rows"]) == ("cpu", 2)
    assert generation["options"] == {"context": 64, "chat": False}
    assert sentiment["device"] == "cuda"
    assert "rows" not in sentiment
    for fields in (generation, sentiment):
        StageSettings(**fields)
