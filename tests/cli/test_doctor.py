"""`wsproc doctor`: each finding says what is there, or what is missing and how to get it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from wsproc.cli import doctor
from wsproc.cli.doctor import Finding

SEEN: dict[str, Any] = {
    "torch": "2.13.0",
    "cuda_build": None,
    "devices": [],
    "cores": 2,
    "memory": 8 * 2**30,
    "int8": True,
    "bfloat16": False,
}


def _by_name(findings: Any) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings}


def test_a_whole_installation_misses_nothing() -> None:
    """Every finding is one JSON object, no server is only a note, and the exit code is 0."""
    command = [sys.executable, "-m", "wsproc", "doctor", "--json", "--url", "ws://127.0.0.1:9"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    findings = {one["about"]: one for one in json.loads(run.stdout)}
    assert "missing" not in {one["state"] for one in findings.values()}
    assert "torch 2.13" in findings["packages"]["words"]
    assert findings["generation model"]["state"] == "ok"
    assert findings["processor"]["state"] == "ok"
    assert findings["server"]["state"] == "note"
    assert findings["server"]["mend"] == "start one: wsproc serve"


def test_what_is_missing_is_told_with_its_mend_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A torch that cannot be imported, and weights that are not in the package."""
    monkeypatch.setattr(doctor, "_examined", lambda: "libfoo.so: cannot open shared object file")
    monkeypatch.setattr(doctor, "read_card", lambda stage: None)
    with pytest.raises(doctor.typer.Exit) as left:
        doctor.doctor(url="ws://127.0.0.1:9")
    assert left.value.exit_code == 1
    said = capsys.readouterr().out
    assert "missing torch: cannot be used: libfoo.so" in said
    assert "missing sentiment model: no embedded weights (the package is not whole" in said


def test_devices_are_named_with_their_memory() -> None:
    """As torch sees them."""
    card = {"device": "cuda:0", "name": "Some Card", "free": 2**30, "memory": 4 * 2**30}
    found = _by_name(doctor._machine({**SEEN, "devices": [card]}))
    assert found["device"].words == "cuda:0: Some Card, 1.0 of 4.0 GiB free"
    assert found["processor"].words == "2 cores, fast in float32 and int8"


def test_little_memory_is_told() -> None:
    """With what to leave out."""
    found = _by_name(doctor._machine({**SEEN, "memory": 2**30}))
    assert found["memory"].state == "note"
    assert "--generation none" in found["memory"].mend


def test_an_extra_that_is_not_there_comes_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In words for this very interpreter."""
    monkeypatch.setattr(doctor, "_importable", lambda module: False)
    found = _by_name(doctor._extras())
    assert found["extra http"].mend == f"{sys.executable} -m pip install 'wsproc[http]'"


@pytest.mark.parametrize("url", ["", "nonsense", "ws://[::1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    """In one finding, without a traceback."""
    assert doctor._server(url).state == "note"
