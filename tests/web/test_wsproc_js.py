"""The JavaScript client's own tests, run in Node; those in js/test say what is promised."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, plausible, serving
from tests.web.node import JS, node, tool

TESTS = JS / "test"


async def passed(*files: Path, **environment: str) -> bool:
    """Run tests of js/; fail with what they print."""
    tool("tsc")
    # Node 20 has a WebSocket of its own only when asked, Node 22 no such flag.
    old = (await node("--version")).startswith("v20.")
    flags = ("--experimental-websocket", "--no-warnings") if old else ()
    out = await node(*flags, "--test", "--test-timeout=60000", *files, **environment)
    assert "# fail 0" in out
    assert "# pass 0" not in out
    return True


@pytest.fixture(scope="module")
def compiled() -> None:
    """The modules of js/src one by one, as the tests of each want them."""
    subprocess.run([tool("tsc"), "-p", JS], check=True)


async def test_each_module_keeps_its_rules(compiled: None):
    """Offsets, waits between tries, the queue of events, what a second run may repeat."""
    assert await passed(*sorted(TESTS.glob("units/*.test.mjs")))


@pytest.mark.parametrize("name", ["connection", "jobs", "resume"])
async def test_the_client_keeps_its_promises_to_a_server_played_by_the_test(name: str):
    """Frame by frame, on a connection that is cut, closed and refused in every way."""
    assert await passed(TESTS / f"{name}.test.mjs")


async def test_the_client_works_with_the_server():
    """Jobs, refusals, cancels, and a network that is cut in the middle of a job."""
    async with serving(FakeEngine(answers=plausible)) as server:
        assert await passed(TESTS / "server.test.mjs", WSPROC_URL=server.url)
