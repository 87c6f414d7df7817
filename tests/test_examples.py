"""The examples and the demo as a stranger runs them, with the embedded models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from wsproc.frames.client import Cancel, Generate, Process
from wsproc.frames.server import Cancelled, Completed, Error, Pong, Rejected, Welcome
from wsproc.protocol import BadFrame, decode, decode_server

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def addresses():
    """One `wsproc serve` with the embedded models for all tests here; it must end cleanly."""
    ports = ("--port", "0", "--http-port", "0")
    command = [sys.executable, "-m", "wsproc", "serve", *ports, "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        words = [line.split() for line in takewhile(lambda one: "by hand" not in one, lines)]
        found = {one[0]: one[1].rstrip("/") for one in words if one[0] in ("address", "http")}
        try:
            assert len(found) == 2, "the server did not start; its stderr says why"
            yield found
        finally:
            server.terminate()
            server.stdout.read()
    assert server.returncode == 0


@pytest.fixture
def address(addresses):
    """Where its WebSocket is."""
    return addresses["address"] + "/"


def run(*command: str) -> str:
    """Run a command with this Python to its end and return its stdout."""
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cancel_py_shows_a_stop_and_a_timeout(address):
    """The cancelled job keeps its text and tells how fast the device was free."""
    out = run(str(EXAMPLES / "cancel.py"), address)
    assert "after 5 tokens, asked to stop: cancelling" in out
    assert re.search(r"stopped \(client\); the device was free \d+ ms later", out)
    assert "the second one took too long: cancelled" in out


def test_many_jobs_py_gets_every_result(address):
    """Sixty jobs on one connection come back, the clear reviews with their clear sentiment."""
    out = run(str(EXAMPLES / "many_jobs.py"), address)
    assert re.search(r"review-1: POSITIVE", out)
    assert re.search(r"review-2: NEGATIVE", out)
    assert "60 jobs on one connection" in out


def test_engine_only_py_needs_no_server():
    """The library alone judges sentences and stops a generation; it is under 60 lines."""
    source = EXAMPLES / "engine_only.py"
    assert len(source.read_text().splitlines()) < 60
    out = run(str(source))
    assert re.search(r"POSITIVE 0\.\d\d I love this little harbour\.", out)
    assert re.search(r"cancelled after 5 tokens: \d+ ms to stop", out)


def test_the_article_runs_through_the_command_line(address):
    """`wsproc run examples/article.txt` finds what a reader finds."""
    out = run("-m", "wsproc", "run", str(EXAMPLES / "article.txt"), "--url", address)
    assert "Helen Ashworth" in out.partition("ENTITIES")[2]
    assert "218 million pounds" in out
    summary = out.partition("SUMMARY")[2].partition("ENTITIES")[0]
    assert 30 <= len(summary.split()) <= 150


def test_run_local_needs_no_server(tmp_path):
    """`--local` loads the models for one run."""
    file = tmp_path / "text.txt"
    file.write_text("I love this place and its wonderful garden. " * 200)
    arguments = ("--local", "--no-summary", "--no-entities", "--chunk-size", "500")
    out = run("-m", "wsproc", "run", str(file), *arguments)
    assert "POSITIVE over all" in out


def test_the_demo_shows_frames_a_result_a_cancel_and_how_to_go_on():
    """`wsproc demo` on its own server ends with 0, having shown the whole life of two jobs."""
    out = run("-m", "wsproc", "demo")
    for words in (
        "welcome",
        "sentiment_progress",
        "summarization_complete",
        "entities_complete",
        "done completed",
        "SENTIMENT",
        "SUMMARY",
        "ENTITIES",
        "reply                     cancel: cancelling",
        "done cancelled",
        "The device was free",
        "serve",
        "npx wscat@6 -c ws://127.0.0.1:8765",
        '{"type":"process"',
        "http://127.0.0.1:8765",
    ):
        assert words in out, words
    assert "POSITIVE" in out
    assert "NEGATIVE" in out


def test_curl_sh_asks_the_three_endpoints(addresses):
    """Lines of JSON from `started` to `completed`, one object, and plain text."""
    command = ["sh", str(EXAMPLES / "http" / "curl.sh"), addresses["http"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    _, stream, batch, text = re.split(r"^== .*\n", done.stdout, flags=re.MULTILINE)
    lines = [json.loads(line) for line in stream.splitlines()]
    assert [lines[0]["status"], lines[-1]["status"]] == ["started", "completed"]
    assert {"sentiment_progress", "summarization_complete", "entities_complete"} <= {
        line["status"] for line in lines
    }
    assert json.loads(batch)["result"]["total_texts"] == 2
    assert len(text.split()) > 5


def test_stream_py_reads_the_lines_and_leaves_a_job(addresses):
    """The aiohttp client: chunk by chunk to the end, and one that closes its connection early."""
    out = run(str(EXAMPLES / "http" / "stream.py"), addresses["http"])
    assert re.search(r"100%  chunk \d: (POSITIVE|NEGATIVE|NEUTRAL)", out)
    assert "summary: " in out
    assert "Helen Ashworth" in out
    assert re.search(r"completed in [\d.]+ s", out)
    assert "left after: " in out


def test_the_transcript_is_of_this_protocol():
    """Every line of wscat.md is a frame of today's protocol, and it shows what it says."""
    text = (EXAMPLES / "wscat.md").read_text(encoding="utf-8")
    lines = re.search(r"```console\n(.*?)```", text, re.DOTALL)[1].splitlines()
    sent = [line[2:] for line in lines if line.startswith("> ")]
    received = [decode_server(line[2:]) for line in lines if line.startswith("< ")]
    assert len(sent) + len(received) == len(lines) - 3  # the command, `Connected`, the last prompt
    kinds = [type(frame) for frame in received]
    assert kinds[0] is Welcome
    for kind in (Completed, Cancelled, Error, Rejected, Pong):
        assert kind in kinds
    assert [type(decode(one)) for one in sent[:3]] == [Process, Generate, Cancel]
    for wrong in sent[3:5]:
        with pytest.raises(BadFrame):
            decode(wrong)
    assert all("id" not in json.loads(one) for one in sent[:2])


def test_the_readme_names_every_example():
    """No example is left out, and none is named that is not there."""
    named = set(re.findall(r"\]\(([\w./]+)\)", (EXAMPLES / "README.md").read_text()))
    files = {str(one.relative_to(EXAMPLES)) for one in EXAMPLES.rglob("*.*") if one.is_file()}
    assert named == {one for one in files if not one.endswith(("README.md", ".pyc"))}


def test_the_demo_runs_the_article_of_the_examples():
    """The package's copy is the same text, so that an installed demo shows it as well."""
    packaged = ROOT / "wsproc" / "cli" / "article.txt"
    assert packaged.read_bytes() == (EXAMPLES / "article.txt").read_bytes()
