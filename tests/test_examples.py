"""The examples and the demo as a stranger runs them, with the embedded models."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from tests.client.test_restart import slowly
from tests.fakes import FakeEngine, fake_server
from wsproc.client.loop_thread import LoopThread
from wsproc.frames.client import Cancel, Generate, Process
from wsproc.frames.server import Cancelled, Completed, Error, Pong, Rejected, Welcome
from wsproc.protocol import BadFrame, decode, decode_server
from wsproc.server import Server

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


def test_reconnecting_py_gets_every_text(address):
    """Without a restart it just tells its stories, and what happens to the connection."""
    out = run(str(EXAMPLES / "reconnecting.py"), address)
    assert out.startswith("-- connecting\n-- open\n")
    assert "8 texts, each whole\n-- closed" in out or "-- closed\n8 texts, each whole" in out


def test_reconnecting_py_survives_a_restart():
    """The server goes away in the middle and comes back: the same eight texts, each whole."""
    thread = LoopThread()

    async def started(port: int) -> Server:
        server = fake_server(FakeEngine(answers=slowly), port=port, drain_s=0)
        await server.start()
        return server

    first = thread.call(started(0))
    command = [sys.executable, str(EXAMPLES / "reconnecting.py"), first.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as example:
        assert example.stdout is not None
        assert "-- open\n" in iter(example.stdout.readline, "")
        thread.call(first.close())
        second = thread.call(started(first.port))
        out = example.stdout.read()
    thread.call(second.close())
    thread.stop()
    assert example.returncode == 0
    assert "-- lost" in out
    assert "its jobs run again" in out
    assert "8 texts, each whole" in out


def test_map_files_py_writes_a_row_a_file(address, tmp_path):
    """A folder becomes a table; what cannot be taken is told and stops nothing."""
    (tmp_path / "in").mkdir()
    for n in range(20):
        (tmp_path / "in" / f"{n}.txt").write_text("I love this wonderful little harbour. " * 4)
    (tmp_path / "short.txt").write_text("short")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "map_files.py"), address, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert sorted(row["file"] for row in rows) == sorted(f"in/{n}.txt" for n in range(20))
    assert {row["sentiment"] for row in rows} == {"POSITIVE"}
    assert all("harbour" in row["summary"] for row in rows)
    assert re.match(r"short\.txt: .*10 characters", done.stderr)


def test_blocking_py_needs_no_async(address):
    """A plain script gets a result, tokens, many results and a timeout."""
    source = EXAMPLES / "blocking.py"
    assert "await" not in source.read_text().replace("`async`", "")
    out = run(str(source), address)
    assert re.search(r"over all: (POSITIVE|NEUTRAL)", out)
    assert re.search(r"POSITIVE 0\.\d\d  The harbour festival", out)
    generated = out.partition("generated:")[2].partition("\n\none after the other")[0]
    assert len(generated) > 20
    assert "was stopped on the server" in out


def test_the_cells_of_notebook_py_run(address):
    """Every cell runs, in order; what ends a cell is shown as HTML where it has a face."""
    source = (EXAMPLES / "notebook.py").read_text(encoding="utf-8")
    environment = {**os.environ, "WSPROC_URL": address}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK],
        input=source,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert 'aria-label="sentiment of each chunk"' in done.stdout
    assert "Ada Lovelace" in done.stdout
    assert "confidence" in done.stdout
    assert re.search(r"NEGATIVE +I hate how slow this was", done.stdout)


IN_A_NOTEBOOK = """
import ast, asyncio, sys

async def notebook():  # a loop is running in the thread of the cells, as in Jupyter
    names = {}
    for cell in sys.stdin.read().split("# %%"):
        tree = ast.parse(cell.split("\\n", 1)[1]) if "[markdown]" not in cell and cell else None
        if tree is None:
            continue
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
        bundle = getattr(shown, "_repr_mimebundle_", lambda: {"text/html": repr(shown)})()
        print(bundle["text/html"])

asyncio.run(notebook())
"""


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
