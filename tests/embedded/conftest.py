"""One real server on the embedded models, as a user starts it, for all tests of this folder."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(port: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    pytest.fail(f"wsproc serve ended with {process.returncode} before it was ready")


@pytest.fixture(scope="session")
def embedded_port() -> Iterator[int]:
    """The port of `wsproc serve` with no flags but its port."""
    port = _free_port()
    command = [sys.executable, "-m", "wsproc", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}) as process:
        _wait_until_ready(port, process)
        yield port
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(scope="session")
def embedded_url(embedded_port: int) -> str:
    """The address of that server's socket."""
    return f"ws://127.0.0.1:{embedded_port}/"
