"""`wsproc bench`: load on a server whose engine is played."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.fakes import FakeEngine, plausible, serving
from tests.test_cli import command
from wsproc.auth.config import AuthConfig
from wsproc.cli.load import Seen, Work, quantiles, run_load
from wsproc.client import ConnectFailed, JobRejected

TEXT = "The food was great. The waiter, sadly, was not. " * 10
READ = {"text": TEXT, "include_summary": False}


async def test_completed_jobs_and_their_results_are_counted() -> None:
    """All jobs have the same chunks; each has a first result and an end."""
    async with serving(FakeEngine(answers=plausible)) as server:
        seen = await run_load(server.url, Work("process", READ), clients=3, seconds=0.5)
    assert set(seen.ends) == {"completed"}
    assert len(seen.first) == len(seen.whole) == seen.ends["completed"] > 0
    assert seen.results >= 3 * seen.ends["completed"]
    assert seen.seconds >= 0.5
    assert server.admission.live == 0


async def test_one_job_of_so_many_is_cancelled_behind_its_first_result() -> None:
    """And told with what the engine says of its stop; a job that won the race is complete."""
    async with serving(FakeEngine(answers=plausible)) as server:
        work = Work("process", READ, cancel_every=2)
        seen = await run_load(server.url, work, clients=1, seconds=0.5)
    assert len(seen.stops) == seen.ends["cancelled"]
    assert seen.ends["cancelled"] <= seen.ends.total() / 2


async def test_refused_jobs_are_counted_by_their_code_and_tried_again() -> None:
    """A full queue is no end of the load."""
    async with serving(FakeEngine(), max_jobs=1) as server:  # its one job never ends
        seen = await run_load(server.url, Work("process", READ), clients=2, seconds=0.5)
    assert seen.ends["queue_full"] >= 1
    assert seen.summary()["first_result_ms"] is None


async def test_a_job_that_no_server_would_take_ends_the_load() -> None:
    """With the server's own words, for everybody."""
    async with serving(FakeEngine()) as server:
        with pytest.raises(JobRejected, match="characters"):
            await run_load(server.url, Work("process", {"text": "short"}), clients=2, seconds=5)


async def test_no_server_is_told() -> None:
    """As the client tells it."""
    with pytest.raises(ConnectFailed):
        await run_load("ws://127.0.0.1:9", Work("process", READ), clients=2, seconds=1)


async def test_the_command_prints_one_object() -> None:
    """With --json, and nothing else on stdout."""
    async with serving(FakeEngine(answers=plausible)) as server:
        figures = await _json("--url", server.url, "--clients", "2", "--seconds", "0.5")
    assert figures["task"] == "process"
    assert figures["clients"] == 2
    assert figures["results_per_s"] > 0
    assert set(figures["job_ms"]) == {"p50", "p99", "max"}


async def test_a_token_comes_from_the_flag_or_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """For servers that ask for one; without it the client says so with exit code 3."""
    auth = AuthConfig(tokens={"ada": "s3cret-token"})
    async with serving(FakeEngine(answers=plausible), auth=auth) as server:
        flags = ("--url", server.url, "--clients", "1", "--seconds", "0.5")
        assert (await _json(*flags, "--token", "s3cret-token"))["results_per_s"] > 0
        text = ("run", "-", "--url", server.url, "--no-summary", "--no-entities")
        refused = await command(*text, stdin=TEXT.encode())
        assert refused.code == 3
        assert "token" in refused.err
        monkeypatch.setenv("WSPROC_TOKEN", "s3cret-token")
        done = await command(*text, stdin=TEXT.encode())
        assert (done.code, done.err) == (0, "")


async def _json(*flags: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "wsproc", "bench", "--json", *flags)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    figures: dict[str, Any] = json.loads(out)
    return figures


def test_quantiles_are_values_that_were_seen() -> None:
    """The nearest rank; of one value it is that value."""
    assert quantiles([]) is None
    assert quantiles([7.0]) == {"p50": 7.0, "p99": 7.0, "max": 7.0}
    assert quantiles([float(n) for n in range(1, 201)]) == {
        "p50": 100.0,
        "p99": 198.0,
        "max": 200.0,
    }


def test_nothing_seen_is_told_as_nothing() -> None:
    """No division by zero."""
    assert Seen().summary()["results_per_s"] == 0.0
