"""The command line: real processes against a server whose engine is played, and typer's runner."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import select
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import psutil
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

import wsproc
from tests.client.test_client import WELCOME
from tests.fakes import UNENDING, FakeEngine, plausible, serving
from wsproc.cli import app, results
from wsproc.cli.cards import read_card
from wsproc.cli.terminal import printable
from wsproc.engine.models.source import PRESETS, STAGES
from wsproc.schema import json_schema

TEXT = (
    "Ada had a lovely day in the hills above the town. The train home was slow, hot and awful, "
    "and Grace slept through it. Then it rained until the morning."
)
NO_MODELS = [part for stage in STAGES for part in (f"--{stage}", "none")]
ECHO = """
from typing import Literal
from wsproc import Submit, TaskResult
class Echo(Submit):
    type: Literal['echo'] = 'echo'
    word: str
async def echo(request, job):
    yield TaskResult({'word': request.word})
def register(registry):
    registry.add(Echo, echo)
"""
ESCAPE = "\x1b"


@dataclass
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str


async def started(*arguments: str, **streams) -> asyncio.subprocess.Process:
    """A `wsproc` command as a process, its streams piped unless said otherwise."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    command = (sys.executable, "-m", "wsproc", *arguments)
    return await asyncio.create_subprocess_exec(*command, **{**pipes, **streams})


async def finished(process: asyncio.subprocess.Process, stdin: bytes = b"") -> Finished:
    """The command's end."""
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Finished(process.returncode, (out or b"").decode(), (err or b"").decode())


async def command(*arguments: str, stdin: bytes = b"", **streams) -> Finished:
    """Run a command to its end."""
    return await finished(await started(*arguments, **streams), stdin)


@pytest.fixture
async def url():
    """The address of a server that answers everything plausibly."""
    async with serving(FakeEngine(answers=plausible)) as server:
        yield server.url


@pytest.fixture
def article(tmp_path):
    """A file with a short text."""
    file = tmp_path / "article.txt"
    file.write_text(TEXT, encoding="utf-8")
    return str(file)


# --- run ----------------------------------------------------------------------------------------


async def test_run_shows_all_results_plainly(url, article):
    """Into a pipe go sentiment, summary and entities without one control character."""
    done = await command("run", article, "--url", url, "--chunk-size", "50")
    assert done.code == 0
    assert "+ - · ·" in done.out
    assert "SUMMARY" in done.out
    assert "Ada had a lovely day" in done.out
    assert "PERSON  Ada, Grace" in done.out
    assert ESCAPE not in done.out + done.err


async def test_run_reads_stdin(url):
    """`run -` and `run` alone take the text from stdin."""
    for arguments in (("run", "-"), ("run",)):
        done = await command(*arguments, "--url", url, stdin=TEXT.encode())
        assert (done.code, done.err) == (0, "")
        assert "SENTIMENT" in done.out


async def test_run_json_prints_the_frames_as_they_came(url, article):
    """`--json` gives one frame a line, the welcome first and `done` last, and nothing else."""
    done = await command("run", article, "--url", url, "--json")
    frames = [json.loads(line) for line in done.out.splitlines()]
    assert [frames[0]["type"], frames[1]["type"], frames[-1]["type"]] == [
        "welcome",
        "accepted",
        "done",
    ]
    assert [frame["seq"] for frame in frames[1:]] == list(range(1, len(frames)))
    assert (done.code, done.err) == (0, "")


async def test_run_leaves_out_what_is_switched_off(url, article):
    """A stage that was not wanted is not shown."""
    done = await command("run", article, "--url", url, "--no-summary", "--no-entities")
    assert "SENTIMENT" in done.out
    assert "SUMMARY" not in done.out
    assert "ENTITIES" not in done.out


async def test_a_rejected_job_is_one_sentence_and_exit_code_1(url):
    """What the server refuses goes to stderr with its code; stdout stays empty."""
    done = await command("run", "--url", url, stdin=b"too short")
    assert (done.code, done.out) == (1, "")
    assert "invalid_field: text" in done.err
    assert len(done.err.splitlines()) == 1


async def test_a_failed_job_shows_what_was_finished_and_exit_code_1(url):
    """A deadline leaves the finished chunks on stdout and the reason on stderr."""
    text = f"{TEXT} {UNENDING}"
    arguments = ("--chunk-size", "50", "--timeout-ms", "50", "--no-summary", "--no-entities")
    done = await command("run", "--url", url, *arguments, stdin=text.encode())
    assert done.code == 1
    assert "as far as it came" in done.out
    assert "POSITIVE" in done.out
    assert "deadline_exceeded" in done.err


async def test_no_server_is_one_sentence_and_exit_code_3(article):
    """Where nobody listens the way out is named."""
    async with serving(FakeEngine()) as server:
        gone = server.url
    done = await command("run", article, "--url", gone)
    assert (done.code, done.out) == (3, "")
    assert "wsproc serve" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("run", "/no/such/file"), b"", "cannot be read"),
        (("run", "-"), b"\xff\xfe", "not UTF-8"),
        (("run", "-", "--meta", "{"), b"text", "--meta"),
        (("run", "-", "--local", "--models", "mine"), b"text", "embedded or hub"),
        (("run", "-", "--split", "words"), b"text", "sentence"),
        (("generate", "x", "--priority", "12"), b"", "priority"),
        (("serve", "--models", "best"), b"", "embedded or hub"),
        (("serve", "--device", "quantum"), b"", "cuda:N"),
        (("serve", "--set", "sentiment"), b"", "NAME=VALUE"),
        (("serve", "--set", "sentiment.speed=9"), b"", "STAGE.KEY=VALUE"),
        (("serve", "--set", "generation.options=9"), b"", "JSON object"),
        (("serve", "--kv-cache-mb", "0"), b"", "--kv-cache-mb"),
        (("serve", "--tasks", "no_such_module:f"), b"", "no_such_module"),
        (("serve", "--port", "99999"), b"", "65535"),
        (("serve", "--no-such-flag"), b"", "--no-such-flag"),
    ],
)
def test_a_wrong_input_is_told_and_exit_code_2(arguments, stdin, words):
    """A mistake of the caller is told in words before anything is connected."""
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


@asynccontextmanager
async def recorder():
    """A server that welcomes, keeps the first frame it gets and then closes."""
    frames: list[dict] = []

    async def handle(connection: ServerConnection) -> None:
        await connection.send(json.dumps(WELCOME))
        frames.append(json.loads(await connection.recv()))

    async with serve(handle, "127.0.0.1", 0, subprotocols=["wsproc.v1"]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}", frames


async def test_run_sends_every_field_that_was_given():
    """Each flag is its field; and a connection that closes instead of answering is exit code 3."""
    flags = "--no-entities --chunk-size 90 --split sentence --summary-min-length 5 --id a1 "
    flags += "--summary-max-length 9 --timeout-ms 700 --priority 8 --meta [1]"
    async with recorder() as (address, frames):
        done = await command("run", "--url", address, *flags.split(), stdin=TEXT.encode())
    assert done.code == 3
    assert frames == [
        {
            "type": "process",
            "id": "a1",
            "text": TEXT,
            "include_sentiment": True,
            "include_summary": True,
            "include_entities": False,
            "chunk_size": 90,
            "split": "sentence",
            "summary_min_length": 5,
            "summary_max_length": 9,
            "timeout_ms": 700,
            "priority": 8,
            "meta": [1],
        }
    ]


async def test_generate_sends_what_was_given_and_nothing_else():
    """Flags that are left out leave the model's own defaults in place; only a seed is drawn, so
    that the text can go on after a restart of the server.
    """
    flags = "--max-tokens 7 --temperature 0.5 --top-p 0.9 --top-k 40 --seed 1 --stop . --stop !"
    async with recorder() as (address, frames):
        await command("generate", "Once", "--url", address, *flags.split())
        await command("generate", "-", "--url", address, stdin=b"Twice\n")
    assert frames[1].pop("seed") >= 0
    assert frames == [
        {
            "type": "generate",
            "id": "py-1",
            "prompt": "Once",
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 1,
            "stop": [".", "!"],
        },
        {"type": "generate", "id": "py-1", "prompt": "Twice"},
    ]


async def test_a_reader_that_went_away_ends_the_command_quietly(url, article):
    """With stdout closed at the other end there is no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = await command("run", article, "--url", url, "--json", stdout=writing)
    finally:
        os.close(writing)
    assert done.code == 1
    assert "Traceback" not in done.err


# --- generate -----------------------------------------------------------------------------------


async def test_generate_writes_the_text_and_nothing_else(url):
    """Into a pipe goes the generated text and a line break; the figures go to stderr."""
    done = await command("generate", "Hello you", "--url", url, "--max-tokens", "3")
    assert (done.code, done.out) == (0, " word0 word1 word2\n")
    assert "3 tokens" in done.err


# --- Ctrl-C -------------------------------------------------------------------------------------


async def test_ctrl_c_stops_a_generation():
    """SIGINT cancels at the engine, keeps the text, tells how fast it was, and exits with 130."""
    engine = FakeEngine()
    async with serving(engine) as server:
        process = await started("generate", "Hello", "--url", server.url)
        call = await engine.calls.get()
        call.delta(text="so far")
        assert process.stdout is not None
        assert await process.stdout.readexactly(6) == b"so far"
        process.send_signal(signal.SIGINT)
        done = await finished(process)
        assert call.cancelled.is_set()
    assert done.code == 130
    assert "cancelled (client)" in done.err
    assert "after the stop" in done.err


async def test_ctrl_c_with_json_still_ends_with_done():
    """The frames go on to `done`, so that a reader of them knows what became of the job."""
    async with serving(FakeEngine(answers=plausible)) as server:
        process = await started("generate", UNENDING, "--url", server.url, "--json")
        assert process.stdout is not None
        while b'"token"' not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        done = await finished(process)
    last = json.loads(done.out.splitlines()[-1])
    assert (last["type"], last["status"]) == ("done", "cancelled")
    assert done.code == 130


async def test_a_second_ctrl_c_leaves_at_once():
    """An engine that does not stop keeps nobody waiting who asks twice."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine, drain_s=0.1) as server:
        process = await started("generate", "Hello", "--url", server.url)
        call = await engine.calls.get()
        call.delta(text="so far")
        assert process.stdout is not None
        await process.stdout.readexactly(6)
        process.send_signal(signal.SIGINT)
        await call.cancelled.wait()
        process.send_signal(signal.SIGINT)
        assert (await finished(process)).code == 130
        call.end()


async def test_ctrl_c_on_a_terminal_shows_bars_and_then_what_was_finished():
    """With stderr a terminal there is a bar for each stage; SIGINT leaves the finished chunks."""
    terminal, side = pty.openpty()
    async with serving(FakeEngine(answers=plausible)) as server:
        text = f"{TEXT} {UNENDING}"
        arguments = ("run", "--url", server.url, "--chunk-size", "50", "--no-summary")
        process = await started(*arguments, stderr=side)
        os.close(side)
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        shown = b""
        while b"1/4" not in shown:
            shown += await asyncio.to_thread(os.read, terminal, 4096)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        out = (await process.stdout.read()).decode()
        code = await process.wait()
    os.close(terminal)
    assert b"sentiment" in shown
    assert code == 130
    assert "as far as it came" in out
    assert "POSITIVE" in out


# --- serve --------------------------------------------------------------------------------------


@asynccontextmanager
async def serving_process(*arguments: str, **streams):
    """`wsproc serve` without models on a free port; yields the process, its lines and address."""
    process = await started("serve", "--port", "0", *NO_MODELS, *arguments, **streams)
    lines: list[str] = []
    assert process.stdout is not None
    try:
        while not lines or not lines[-1].startswith("by hand"):
            line = (await process.stdout.readline()).decode()
            assert line, (await finished(process)).err
            lines.append(line)
        address = next(line.split()[1] for line in lines if line.startswith("address"))
        yield process, lines, address
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_tells_its_addresses_and_ends_cleanly_on_a_signal(number):
    """Address, browser address and a wscat line are on stdout; SIGINT and SIGTERM exit with 0."""
    async with serving_process() as (process, lines, address):
        async with wsproc.connect(address) as client:
            assert client.welcome.tasks
        text = "".join(lines)
        assert f"npx wscat@6 -c {address.rstrip('/')}" in text
        assert address.replace("ws://", "http://") in text
        process.send_signal(number)
        done = await finished(process)
    assert done.code == 0
    assert "wsproc has ended" in done.err
    assert ESCAPE not in text


async def test_serve_flags_are_its_settings():
    """What the flags say is what the welcome tells."""
    flags = "--max-text-chars 777 --max-texts 3 --max-tokens 9 --max-jobs-per-connection 2 "
    flags += "--max-frame-bytes 5000 --heartbeat-s 2.5 --max-batch-chars 7000 "
    flags += "--messages-per-s 50 --input-timeout-s 30"
    async with (
        serving_process(*flags.split()) as (_, _, address),
        wsproc.connect(address) as client,
    ):
        limits, heartbeat = client.welcome.limits, client.welcome.heartbeat_s
    assert limits.model_dump() == {
        "max_frame_bytes": 5000,
        "max_text_chars": 777,
        "max_texts": 3,
        "max_jobs": 2,
        "max_tokens": 9,
        "max_batch_chars": 7000,
        "max_messages_per_s": 50,
        "input_timeout_s": 30,
    }
    assert heartbeat == 2.5


async def test_serve_lets_in_the_origins_that_it_was_told():
    """`--origin` opens the server to a page of that origin and to no other."""
    async with serving_process("--origin", "https://good.example") as (_, _, address):
        async with wsproc.connect(address, origin="https://good.example") as client:
            assert await client.ping() > 0
        with pytest.raises(wsproc.ConnectFailed):
            await wsproc.connect(address, origin="https://bad.example").open()


async def test_serve_adds_tasks_of_ones_own(tmp_path):
    """`--tasks MODULE:FUNCTION` is called with the registry before the server starts."""
    (tmp_path / "own_tasks.py").write_text(ECHO)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    arguments = ("--tasks", "own_tasks:register")
    async with serving_process(*arguments, env=environment) as (_, _, address):
        client = wsproc.connect(address)
        async with client:
            job = await client.submit("echo", word="hey")
            assert await job.result() == {"word": "hey"}


@pytest.mark.parametrize("level", ["auto", "debug"])
async def test_serve_logs_json_where_stderr_is_no_terminal(level):
    """Each line is one object; a connection's have its ids, and nothing that it sent or holds."""
    async with serving_process("--log-level", level) as (process, _, address):
        async with wsproc.connect(address, origin=None) as client:
            session = client.welcome.session
            with pytest.raises(wsproc.JobRejected):
                await client.process("a text that is nobody's business", include_sentiment=True)
        process.send_signal(signal.SIGTERM)
        done = await finished(process)
    lines = [json.loads(line) for line in done.err.splitlines()]
    opened, closed = (one for one in lines if one["logger"] == "wsproc.connection")
    assert (opened["event"], closed["event"]) == ("connection opened", "connection closed")
    assert opened["connection"] == closed["connection"] == 1
    assert (closed["code"], closed["frames_in"]) == (1000, 1)
    assert lines[-1]["event"] == "wsproc has ended"
    assert session not in done.err
    assert "business" not in done.err


async def test_serve_goes_on_when_nobody_reads_its_logs():
    """A pipe of stdout or stderr whose reader is gone costs the lines and nothing else."""
    async with serving_process("--log-level", "debug") as (process, _, address):
        for stream in (process.stdout, process.stderr):
            stream._transport.close()
        for _ in range(3):
            async with wsproc.connect(address) as client:
                assert await client.ping() > 0
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_serve_starts_without_standard_streams():
    """A stream that was closed before is not taken for a socket that gets its number."""
    command = f"exec {sys.executable} -m wsproc serve --port 0 {' '.join(NO_MODELS)} <&- 2>&-"
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command), stdout=asyncio.subprocess.PIPE
    )
    lines = [(await process.stdout.readline()).decode() for _ in range(5)]
    address = next(line.split()[1] for line in lines if line.startswith("address"))
    async with wsproc.connect(address) as client:
        assert await client.ping() > 0
    assert os.readlink(f"/proc/{process.pid}/fd/2") == os.devnull
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_serve_says_that_a_port_is_taken():
    """A taken port is told at once, with the way out, and exits with 5."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await command("serve", "--port", port, *NO_MODELS)
    assert done.code == 5
    assert "another program has it" in done.err
    assert "--port" in done.err


async def test_serve_says_that_the_port_of_the_http_face_is_taken():
    """By the name of its own flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await command("serve", "--port", "0", "--http-port", port, *NO_MODELS)
    assert done.code == 5
    assert "choose another --http-port" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--sentiment", "/no/such/folder"), 4, "there is no such folder"),
        (
            ("--generation", "embedded", "--kv-cache-mb", "1", "--device", "cpu"),
            4,
            "give more by --kv-cache-mb",
        ),
        (
            ("--summary", "embedded", "--set", "summary.rows=0"),
            4,
            "rows of the stage summary: give a number from 1 up, not 0",
        ),
        (("--host", "203.0.113.7"), 5, "no such address"),
    ],
)
async def test_serve_says_what_is_wrong_in_one_sentence(arguments, code, words):
    """Whatever keeps it from starting is told without a traceback, with its exit code."""
    done = await command("serve", "--port", "0", *NO_MODELS, *arguments)
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


async def test_serve_sends_spans_over_otlp(tmp_path):
    """`--otel` sends what the standard variables say, the last spans as the server ends."""
    received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length is not None
        received.put_nowait((head.split()[1].decode(), await reader.readexactly(int(length[1]))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    (tmp_path / "own_tasks.py").write_text(ECHO)
    async with await asyncio.start_server(collect, "127.0.0.1", 0) as collector:
        port = collector.sockets[0].getsockname()[1]
        environment = {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        arguments = ("--otel", "--tasks", "own_tasks:register")
        async with serving_process(*arguments, env=environment) as (process, _, address):
            async with wsproc.connect(address) as client:
                await (await client.submit("echo", word="hi")).result()
            process.send_signal(signal.SIGTERM)
            assert (await finished(process)).code == 0
        path, body = received.get_nowait()
    assert path == "/v1/traces"
    assert b"wsproc echo" in body
    assert b"wsproc.outcome" in body


async def test_serve_warns_when_others_can_reach_it():
    """A server on all addresses says that it asks for no token."""
    async with serving_process("--host", "0.0.0.0") as (process, _, address):
        async with wsproc.connect(address) as client:
            assert await client.ping() > 0
        process.terminate()
        assert "asks for no token" in (await finished(process)).err


# --- demo ---------------------------------------------------------------------------------------


async def test_a_demo_that_is_stopped_leaves_nothing_running():
    """Whoever ends the demo, by Ctrl-C or SIGTERM, ends its server and the server's workers."""
    await asyncio.gather(_stopped_demo(signal.SIGINT), _stopped_demo(signal.SIGTERM))


async def _stopped_demo(number: signal.Signals) -> None:
    process = await started("demo")
    demo = psutil.Process(process.pid)
    while len(demo.children(recursive=True)) < 3:  # noqa: ASYNC110 - no event tells of grandchildren
        await asyncio.sleep(0.05)
    children = demo.children(recursive=True)  # its server, and workers that load their models
    ends = [os.pidfd_open(child.pid) for child in children]
    process.send_signal(number)
    assert (await finished(process)).code == 130
    for end in ends:  # readable once its process has ended, reaped or not
        readable, _, _ = await asyncio.to_thread(select.select, [end], [], [], 15)
        os.close(end)
        assert readable


# --- models, schema, help -----------------------------------------------------------------------


def test_models_lists_every_stage_with_both_choices():
    """Each stage is there with its embedded model's size and the name that hub stands for."""
    done = CliRunner().invoke(app, ["models"])
    assert done.exit_code == 0
    for stage in STAGES:
        assert stage in done.stdout
        assert PRESETS["hub"][stage] in done.stdout
    assert done.stdout.count(" MB, licence ") == len(STAGES)


CARD = """---
license: cc-by-4.0
model-index:
- name: tiny
  results:
  - dataset: {name: a test set}
    metrics:
    - {type: f1, name: F1, value: 0.65432}
---
# tiny
"""

TABLE = """---
license: mit
---
| model | test set | items | metric | value | floor |
|-|-|-|-|-|-|
| tiny | one | 9 | F1 | 0.7 | 0.6 |
| tiny | two | 9 | F1 | 0.3 | |

Words.
"""


@pytest.mark.parametrize(
    ("card", "licence", "figures"),
    [
        (CARD, "cc-by-4.0", (("F1 on a test set", "0.654"),)),
        (TABLE, "mit", (("F1 on one", "0.7"),)),
        ("# no header\n", "not told", ()),
    ],
)
def test_a_card_tells_licence_and_figures(tmp_path, card, licence, figures):
    """Both the Hub's form and a table of figures are read; what is not told is not invented."""
    (tmp_path / "sentiment").mkdir()
    (tmp_path / "sentiment" / "README.md").write_text(card)
    (tmp_path / "sentiment" / "model.safetensors").write_bytes(b"x" * 1000)
    read = read_card("sentiment", tmp_path)
    assert read is not None
    assert (read.licence, read.figures, read.size) == (licence, figures, 1000 + len(card))
    assert read_card("summary", tmp_path) is None


def test_schema_is_what_the_server_answers():
    """`schema` prints the JSON Schema, `--asyncapi` the AsyncAPI document."""
    plain = CliRunner().invoke(app, ["schema"])
    assert orjson.loads(plain.stdout) == json_schema()
    document = yaml.safe_load(CliRunner().invoke(app, ["schema", "--asyncapi"]).stdout)
    assert document["asyncapi"].startswith("3.")


@pytest.mark.parametrize(
    "arguments", [[], ["serve"], ["run"], ["generate"], ["models"], ["schema"], ["token"], ["demo"]]
)
def test_every_command_has_help(arguments):
    """`--help` and `-h` work everywhere."""
    for flag in ("--help", "-h"):
        done = CliRunner().invoke(app, [*arguments, flag])
        assert done.exit_code == 0
        assert "Usage:" in done.stdout


# --- what is printed ----------------------------------------------------------------------------


def test_text_cannot_steer_the_terminal():
    """Control characters of a text are shown and not obeyed; line breaks and emoji are kept."""
    assert printable("a\x1b[31mb\r\nc 🙂\x9b") == "a\\x1b[31mb\\r\nc 🙂\\x9b"


def test_a_partial_result_shows_what_there_is():
    """A stopped job's result has parts missing; a failed stage is named."""
    console = Console(file=io.StringIO(), width=80)
    partial = {
        "sentiment": {"chunk_sentiments": []},
        "summary": None,
        "entities": None,
        "errors": {"summary": {"message": "the model failed"}},
    }
    results.show(console, "text", partial)
    shown = console.file.getvalue()
    assert "as far as it came" in shown
    assert "SUMMARY failed: the model failed" in shown
    assert "ENTITIES" not in shown
