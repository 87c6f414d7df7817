"""wscat, the tool that people have at hand, against a server whose engine is played."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import self_made
from tests.fakes import FakeEngine, plausible, serving
from wsproc.auth.bearer import disguise

WSCAT = Path(__file__).parent / "node_modules" / ".bin" / "wscat"
TOKEN = "alices-s3cret-token-0001"
AUTH = {"tokens": {"alice": TOKEN}}
SUBMIT = '{"type":"process","text":"Ada had a lovely day, she said."}'


class Wscat:
    """A running wscat."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def frame(self) -> dict:
        """Return the next frame that it shows."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 20)
        return json.loads(line.decode().lstrip("<> "))

    async def type(self, line: str) -> None:
        """Type a line, as a person does."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def ended(self) -> tuple[int, str]:
        """Wait until it leaves by itself; return its exit status and what it said on stderr."""
        assert self._process.stderr is not None
        said = await asyncio.wait_for(self._process.stderr.read(), 20)
        return await self._process.wait(), said.decode()


@asynccontextmanager
async def wscat(url: str, *options: str):
    """Start wscat; it is ended with the block."""
    if not WSCAT.exists():
        pytest.fail("tests/web/node_modules is missing: `make test` installs it")
    process = await asyncio.create_subprocess_exec(
        str(WSCAT),
        *("-c", url, "--no-color", *options),
        stdin=asyncio.subprocess.PIPE,  # at its end wscat would leave at once
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Wscat(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def job_runs(one: Wscat) -> None:
    """See a job without an id through."""
    frames = [await one.frame()]
    while frames[-1]["type"] != "done":
        frames.append(await one.frame())
    assert (frames[0]["type"], frames[0]["id"]) == ("accepted", "job-1")
    assert frames[-1]["status"] == "completed"
    assert "heartbeat" not in {frame["type"] for frame in frames}


async def test_a_job_without_an_id_from_wscat():
    """Plain `wscat -c URL` needs no subprotocol and no id, and gets no heartbeat noise."""
    async with (
        serving(FakeEngine(answers=plausible), heartbeat_s=0.01) as server,
        wscat(server.url, "-x", SUBMIT, "-w", "-1") as one,
    ):
        assert (await one.frame())["type"] == "welcome"
        await job_runs(one)


@pytest.mark.parametrize(
    "options",
    [
        ("-H", f"Authorization: Bearer {TOKEN}"),
        ("-s", "wsproc.v1", "-s", disguise(TOKEN)),
    ],
)
async def test_a_token_from_wscat(options: tuple[str, ...]):
    """In the header or beside the subprotocol."""
    async with (
        serving(FakeEngine(answers=plausible), auth=AUTH) as server,
        wscat(server.url, *options, "-x", SUBMIT, "-w", "-1") as one,
    ):
        assert "session" in await one.frame()
        await job_runs(one)


async def test_a_token_typed_into_wscat():
    """Asked for, then typed; a job typed too early is answered in words."""
    async with (
        serving(FakeEngine(answers=plausible), auth=AUTH) as server,
        wscat(server.url) as one,
    ):
        assert await one.frame() == {"type": "welcome", "auth": "required"}
        await one.type(SUBMIT)
        assert (await one.frame())["error"]["code"] == "unauthorized"
        await one.type(json.dumps({"type": "auth", "token": TOKEN}))
        assert "session" in await one.frame()
        await one.type(SUBMIT)
        await job_runs(one)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("-H", "Authorization: Bearer a-s3cret-of-nobody"), 401),
        (("-s", "wsproc.v1", "-s", disguise("a-s3cret-of-nobody")), 401),
        (("-o", "http://evil.example", "-H", f"Authorization: Bearer {TOKEN}"), 403),
        (("-o", "null"), 403),
    ],
)
async def test_wscat_is_refused_by_a_status(options: tuple[str, ...], status: int):
    """Row A5: it prints that and leaves with an error."""
    async with serving(FakeEngine(), auth=AUTH) as server, wscat(server.url, *options) as one:
        code, said = await one.ended()
    assert code != 0
    assert f"Unexpected server response: {status}" in said


async def test_wscat_over_tls(tmp_path: Path):
    """With the authority that made the certificate."""
    made = self_made(tmp_path, "server")
    tls = {"cert": made.cert, "key": made.key}
    async with (
        serving(FakeEngine(answers=plausible), tls=tls) as server,
        wscat(server.url, "--ca", str(made.authority), "-x", SUBMIT, "-w", "-1") as one,
    ):
        assert "session" in await one.frame()
        await job_runs(one)
