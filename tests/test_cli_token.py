"""`wsproc token`, and what `wsproc serve` says of who may come in."""

import signal
import stat
from pathlib import Path

import pytest
import websockets
from typer.testing import CliRunner

from tests.test_cli import finished, serving_process
from wsproc.auth import Grant
from wsproc.auth.tokens import TokenTable, parse_tokens
from wsproc.cli import app
from wsproc.cli.serve import exposure
from wsproc.config import ServerConfig

TOKEN = "alices-s3cret-token-0001"


def run(*arguments: str):
    """Run the command line."""
    return CliRunner().invoke(app, arguments)


def test_a_token_is_printed_once_and_its_hash_is_kept(tmp_path: Path):
    """In a file that its owner alone may read; tokens that are there stay valid."""
    file = tmp_path / "tokens"
    alice, bob = (run("token", who, "--file", str(file)) for who in ("alice", "bob"))
    assert (alice.exit_code, bob.exit_code) == (0, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    table = TokenTable(parse_tokens(file.read_text()))
    assert table.check(alice.stdout.strip()) == Grant("alice")
    assert table.check(bob.stdout.strip()) == Grant("bob")
    assert alice.stdout.strip() not in file.read_text()
    assert len(alice.stdout.strip()) >= 40


def test_a_file_without_a_last_line_break_is_not_broken(tmp_path: Path):
    """As editors leave some; comments stay."""
    file = tmp_path / "tokens"
    file.write_text("# who may come in")
    made = run("token", "alice", "--file", str(file)).stdout.strip()
    assert file.read_text().startswith("# who may come in\n")
    assert TokenTable(parse_tokens(file.read_text())).check(made) == Grant("alice")


def test_without_a_file_the_line_is_told():
    """On stderr, so that stdout is the token and nothing else."""
    done = run("token", "alice")
    line = done.stderr.splitlines()[-1]
    assert TokenTable(parse_tokens(line)).check(done.stdout.strip()) == Grant("alice")


@pytest.mark.parametrize(
    ("principal", "content", "words"),
    [
        ("a\nb", None, "is no name"),
        ("alice", "root:x:0:0\n", "this is no token file: line 1"),
        ("alice", b"\xff", "this is no token file"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(principal, content, words, tmp_path: Path):
    """With exit code 2; the file stays as it was."""
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = file.read_bytes() if file.exists() else None
    done = run("token", principal, "--file", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    """In one sentence."""
    done = run("token", "alice", "--file", str(tmp_path / "none" / "tokens"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "it cannot be written: No such file" in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, None),
        ({"host": "::1"}, None),
        ({"host": "0.0.0.0"}, "it asks for no token"),
        ({"host": "192.0.2.1", "tls": {"cert": "c.pem"}}, "it asks for no token"),
        ({"host": "0.0.0.0", "auth": {"tokens": {"alice": TOKEN}}}, "unencrypted"),
        (
            {"host": "0.0.0.0", "auth": {"tokens": {"alice": TOKEN}}, "tls": {"cert": "c.pem"}},
            None,
        ),
        ({"http_host": "0.0.0.0", "http_port": 0}, "it asks for no token"),
        ({"http_host": "0.0.0.0"}, None),
    ],
)
def test_what_others_could_do_is_said(settings: dict, words: str | None):
    """A server on loopback is its machine's; one that others can reach says what it lacks."""
    warnings = list(exposure(ServerConfig(**settings)))
    assert len(warnings) == (words is not None)
    assert words is None or words in warnings[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--token-file", "none"), "auth.token_file: none cannot be read: No such file"),
        (("--jwks-file", "none"), "auth.jwks_file: none cannot be read: No such file"),
        (("--tls-cert", "none"), "tls: there is no file none"),
        (("--tls-key", "none"), "give the certificate, --tls-cert, too"),
        (("--jwt-audience", "x"), "do nothing without jwks_file"),
    ],
)
def test_serve_says_which_file_is_wrong(arguments: tuple[str, ...], words: str):
    """In one sentence, with exit code 2, before any model is loaded."""
    done = run("serve", "--port", "0", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


async def test_serve_reads_its_files_again_on_sighup(tmp_path: Path):
    """And tells; no token is on its output, at any level."""
    file = tmp_path / "tokens"
    first = run("token", "alice", "--file", str(file)).stdout.strip()
    flags = ("--token-file", str(file), "--log-level", "debug", "--log-format", "json")
    async with serving_process(*flags) as (process, lines, address):
        second = run("token", "bob", "--file", str(file)).stdout.strip()
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        said = []
        while "was read again" not in "".join(said):
            said.append((await process.stderr.readline()).decode())
        for token in (first, second):
            headers = {"Authorization": f"Bearer {token}"}
            async with websockets.connect(address, additional_headers=headers) as socket:
                assert '"session"' in str(await socket.recv())
        async with websockets.connect(address) as socket:
            assert '"required"' in str(await socket.recv())
            await socket.send(f'{{"type":"auth","token":"{first}"}}')
            assert '"session"' in str(await socket.recv())
        process.send_signal(signal.SIGTERM)
        done = await finished(process)
    whole = "".join([*lines, *said, done.out, done.err])
    assert "'alice'" in whole or '"alice"' in whole
    assert first not in whole
    assert second not in whole
