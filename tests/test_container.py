"""The Dockerfile and compose.yaml fit this tree; building an image needs more than a test has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml
from typer.testing import CliRunner

from wsproc.cli import app

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SERVICE = yaml.safe_load(COMPOSE)["services"]["wsproc"]


def settings(**variables: str) -> str:
    """Return what `wsproc serve` makes of the variables of a container."""
    done = CliRunner().invoke(app, ["serve", "--print-config"], env=variables)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_the_variables_are_settings():
    """Those that are set, and those that are there to be uncommented."""
    given = dict(re.findall(r"\b(WSPROC_\w+)=(\S+)", DOCKERFILE)) | SERVICE["environment"]
    given |= dict(re.findall(r"# (WSPROC_\w+): (\S+)", COMPOSE))
    printed = settings(**given)
    assert re.search(r'^host = "0\.0\.0\.0"', printed, re.MULTILINE)
    assert re.search(r"^http_port = 8000", printed, re.MULTILINE)


def test_the_ports_are_those_that_are_listened_on():
    """Published on loopback alone: the server asks for no token by itself."""
    inside = {"8765", SERVICE["environment"]["WSPROC_HTTP_PORT"]}
    assert {port.rpartition(":")[2] for port in SERVICE["ports"]} == inside
    assert all(port.startswith("127.0.0.1:") for port in SERVICE["ports"])
    assert "EXPOSE 8765" in DOCKERFILE


def test_a_stop_waits_longer_than_the_server_needs():
    """Docker kills what has not ended by then."""
    waits = re.findall(r"^(?:drain|grace)_s = ([\d.]+)", settings(), re.MULTILINE)
    assert len(waits) == 2
    assert float(SERVICE["stop_grace_period"].removesuffix("s")) > sum(map(float, waits))


def test_the_image_is_built_from_files_that_reach_the_builder():
    """Each is there, and .dockerignore lets it through."""
    allowed = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE):
        for source in shlex.split(line)[:-1]:
            assert (ROOT / source).exists()
            assert source in allowed
