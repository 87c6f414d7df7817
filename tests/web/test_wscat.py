"""wscat, the tool that people have at hand, against a server whose engine is played."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, plausible, serving

WSCAT = Path(__file__).parent / "node_modules" / ".bin" / "wscat"


async def test_a_job_without_an_id_from_wscat():
    """Plain `wscat -c URL` needs no subprotocol and no id, and gets no heartbeat noise."""
    if not WSCAT.exists():
        pytest.fail("tests/web/node_modules is missing: `make test` installs it")
    submit = '{"type":"process","text":"Ada had a lovely day, she said."}'
    async with serving(FakeEngine(answers=plausible), heartbeat_s=0.01) as server:
        process = await asyncio.create_subprocess_exec(
            str(WSCAT),
            *("-c", server.url, "-x", submit, "-w", "-1"),
            stdin=asyncio.subprocess.PIPE,  # at its end wscat would leave at once
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        frames = []
        while not frames or frames[-1]["type"] != "done":
            frames.append(json.loads(await process.stdout.readline()))
        process.terminate()
        await process.wait()
    assert [frame["type"] for frame in frames[:2]] == ["welcome", "accepted"]
    assert frames[1]["id"] == "job-1"
    assert frames[-1]["status"] == "completed"
    assert "heartbeat" not in {frame["type"] for frame in frames}
