"""What a worker process is given to live with; how it lives and dies is in `test_pool`."""

from __future__ import annotations

import pytest

from wsproc.engine.local import _environment


def test_a_worker_has_its_share_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the server itself was started with: a worker is one of several."""
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert _environment(3)["OMP_NUM_THREADS"] == "3"


def test_threads_of_a_worker_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave the core to whoever needs it, unless the user knows better."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert _environment(2)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert _environment(2)["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_worker_keeps_the_memory_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are given back come back as zeros, which takes as long as the work itself."""
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    assert int(_environment(1)["MALLOC_TOP_PAD_"]) > 1 << 20
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    assert _environment(1)["MALLOC_TOP_PAD_"] == "0"


def test_the_settings_of_the_server_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker computes; it has no use for a secret of the server's."""
    monkeypatch.setenv("WSPROC_AUTH__TOKENS__ADA", "s3cret")
    monkeypatch.setenv("HF_HOME", "/models")
    environment = _environment(2)
    assert "s3cret" not in environment.values()
    assert environment["HF_HOME"] == "/models"
