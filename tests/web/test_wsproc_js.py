"""The browser client's own tests, run in Node against a server whose engine is played."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, plausible, serving

HERE = Path(__file__).parent


async def test_the_browser_client_in_node():
    """All of wsproc.test.mjs passes."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "ws").is_dir():
        pytest.fail("node (20 or newer) or tests/web/node_modules is missing: `make test` has both")
    async with serving(FakeEngine(answers=plausible)) as server:
        process = await asyncio.create_subprocess_exec(
            node,
            "--test",
            str(HERE / "wsproc.test.mjs"),
            env={**os.environ, "WSPROC_URL": server.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert b"# fail 0" in out
    assert b"# pass 0" not in out
