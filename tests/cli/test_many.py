"""`wsproc run` on many files: one connection, each file's result, one exit code for all."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
from pathlib import Path

import pytest

from tests.fakes import UNENDING, FakeEngine, plausible, serving
from tests.test_cli import command, started
from wsproc.cli.inputs import read_sources

TEXTS = {
    "a.txt": "Ada had a lovely day in the hills above the town, and nobody minded the rain.",
    "b.txt": "The train home was slow, hot and awful, and Grace slept through all of it.",
    "c.txt": "It rained until the morning, and then the sun came out over the wet fields.",
}
SENTIMENT = ("--no-summary", "--no-entities")


@pytest.fixture
async def url():
    """The address of a server that answers everything plausibly."""
    async with serving(FakeEngine(answers=plausible)) as server:
        yield server.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three texts."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


async def test_results_come_in_the_order_of_the_files(url, folder):
    """Each under its file's name, plainly into a pipe, and nothing on stderr."""
    files = [str(folder / name) for name in ("b.txt", "a.txt", "c.txt")]
    done = await command("run", *files, "--url", url)
    assert (done.code, done.err) == (0, "")
    assert re.findall(r"^=== (.*)$", done.out, re.MULTILINE) == files
    assert done.out.count("SENTIMENT") == len(files)


async def test_a_pattern_stands_for_its_files_in_order(url, folder):
    """As a shell would write them, also where no shell did; stdin may come along."""
    stdin = TEXTS["a.txt"].encode()
    done = await command("run", str(folder / "*.txt"), "-", "--url", url, *SENTIMENT, stdin=stdin)
    assert done.code == 0
    names = [*(str(folder / name) for name in TEXTS), "-"]
    assert re.findall(r"^=== (.*)$", done.out, re.MULTILINE) == names


async def test_json_lines_name_their_file(url, folder):
    """Frames of many jobs interleave; each job's own are whole and in order."""
    done = await command("run", str(folder / "*.txt"), "--url", url, "--json")
    assert (done.code, done.err) == (0, "")
    by_file: dict[str, list[dict]] = {}
    for line in done.out.splitlines():
        frame = json.loads(line)
        by_file.setdefault(Path(frame["file"]).name, []).append(frame)
    assert sorted(by_file) == sorted(TEXTS)
    for frames in by_file.values():
        assert [frame["seq"] for frame in frames] == list(range(2, len(frames) + 2))
        assert frames[-1]["status"] == "completed"


async def test_one_that_fails_costs_the_others_nothing(url, folder):
    """What is rejected or failed is told by its name, the rest is shown, and the exit code is 1."""
    (folder / "b.txt").write_text("short", encoding="utf-8")
    (folder / "c.txt").write_text(f"{TEXTS['c.txt']} {UNENDING}", encoding="utf-8")
    flags = ("--timeout-ms", "300", *SENTIMENT)
    done = await command("run", str(folder / "*.txt"), "--url", url, *flags)
    assert done.code == 1
    assert "b.txt was rejected: invalid_field" in done.err
    assert "c.txt: the job failed: deadline_exceeded" in done.err
    assert "2 of 3 did not complete" in done.err
    assert "a.txt" in done.out
    assert "POSITIVE" in done.out


async def test_ctrl_c_stops_all_and_starts_no_more(folder):
    """Those that run are cancelled, those that wait never begin, and the exit code is 130."""
    for name, text in TEXTS.items():
        (folder / name).write_text(f"{text} {UNENDING}", encoding="utf-8")
    async with serving(FakeEngine(answers=plausible)) as server:
        flags = ("--jobs", "2", "--json", *SENTIMENT)
        process = await started("run", str(folder / "*.txt"), "--url", server.url, *flags)
        assert process.stdout is not None
        running: set[str] = set()
        while len(running) < 2:
            running.add(json.loads(await process.stdout.readline())["file"])
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
        assert process.returncode == 130
        lines = [json.loads(line) for line in out.decode().splitlines()]
        ends = {line["file"]: line["status"] for line in lines if line["type"] == "done"}
        assert ends == dict.fromkeys(running, "cancelled")
        assert server.admission.live == 0


async def test_a_terminal_sees_a_bar_for_each_file(url, folder):
    """With the file's name; the results stand above the bars and stay."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "150", "TERM": "xterm"}
    arguments = ("run", str(folder / "*.txt"), "--url", url, *SENTIMENT)
    process = await started(*arguments, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    seen = b""
    loop = asyncio.get_running_loop()
    while True:
        try:
            piece = await loop.run_in_executor(None, os.read, ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    await process.wait()
    assert process.returncode == 0
    text = seen.decode()
    assert text.count("===") == len(TEXTS)
    assert "all" in text


async def test_an_id_is_for_one_job(folder):
    """More than one file has more than one job."""
    done = await command("run", str(folder / "*.txt"), "--id", "a1")
    assert done.code == 2
    assert "--id" in done.err


@pytest.mark.parametrize("name", ["nothing-*.txt", "no-such-file.txt"])
def test_what_is_not_there_is_told_before_anything_is_sent(folder, name, capsys):
    """A pattern without files, and a file that is none."""
    with pytest.raises(BaseException, match="2"):
        read_sources([str(folder / "a.txt"), str(folder / name)])
    assert name in capsys.readouterr().err


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder):
    """`a[1].txt` is a name before it is a pattern."""
    (folder / "a[1].txt").write_text("brackets", encoding="utf-8")
    assert [source.text for source in read_sources([str(folder / "a[1].txt")])] == ["brackets"]
