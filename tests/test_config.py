"""The server's settings in code, and those of `wsproc serve` from file, environment and flags."""

import tomllib
from dataclasses import FrozenInstanceError, replace

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from wsproc.cli import app
from wsproc.config import ServeConfig, ServerConfig
from wsproc.setting import declared


def printed(*arguments, **variables):
    """Return the lines of `--print-config` with these arguments and variables."""
    done = CliRunner().invoke(app, ["serve", "--print-config", *arguments], env=variables)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def refused(*arguments, **variables):
    """Return what is told of settings that cannot be used."""
    done = CliRunner().invoke(app, ["serve", "--print-config", *arguments], env=variables)
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


# --- in code ------------------------------------------------------------------------------------


def test_settings_are_frozen_and_checked():
    """They are made in code by name, and wrong ones raise there."""
    config = ServerConfig(port=0, origins=("null",))
    assert (config.port, config.origins, config.engine.device) == (0, ("null",), "auto")
    with pytest.raises(FrozenInstanceError):
        config.port = 1
    with pytest.raises(ValidationError, match="give 0 to 65535"):
        ServerConfig(port=70_000)
    with pytest.raises(ValidationError, match="prot"):
        ServerConfig(prot=1)
    assert replace(config, port=9).port == 9


# --- of wsproc serve ----------------------------------------------------------------------------


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path):
    """The stronger source wins setting by setting, and each says where it came from."""
    file = tmp_path / "wsproc.toml"
    file.write_text("port = 1\nmax_jobs = 1\nmax_texts = 1\n[engine]\nstall_s = 1\n")
    lines = printed(
        *("--config", str(file), "--port", "3"),
        WSPROC_PORT="2",
        WSPROC_MAX_JOBS="2",
        WSPROC_ENGINE__NICENESS="2",
    ).splitlines()
    for line in (
        "port = 3 # --port",
        "max_jobs = 2 # WSPROC_MAX_JOBS",
        f"max_texts = 1 # {file}",
        "max_tokens = 1024 # default",
        f"stall_s = 1.0 # {file}",
        "niceness = 2 # WSPROC_ENGINE__NICENESS",
    ):
        assert line in lines


def test_the_file_may_be_named_by_a_variable(tmp_path):
    """`WSPROC_CONFIG` names the file where no flag does."""
    file = tmp_path / "wsproc.toml"
    file.write_text("port = 1")
    assert f"port = 1 # {file}" in printed(WSPROC_CONFIG=str(file))


def test_what_is_printed_can_be_fed_back(tmp_path):
    """The printed file gives the same settings, tables of stages included."""
    flags = ("--models", "hub", "--sentiment", "none", "--set", "summary.rows=2")
    flags += ("--set", 'generation.options={"context":64}', "--stage", "mine=a.b:c", "--threads")
    first = printed(*flags, "3", "--origin", "null", "--origin", "https://a.example")
    file = tmp_path / "printed.toml"
    file.write_text(first)
    again = printed("--config", str(file))
    assert tomllib.loads(again) == tomllib.loads(first)
    table = tomllib.loads(first)
    assert table["origins"] == ["null", "https://a.example"]
    assert table["engine"]["threads"] == 3
    assert table["engine"]["models"]["sentiment"] == "none"
    assert table["engine"]["models"]["summary"] == "facebook/bart-large-cnn"
    assert table["engine"]["own_stages"] == {"mine": "a.b:c"}
    assert table["engine"]["settings"] == {
        "summary": {"rows": 2},
        "generation": {"options": {"context": 64}},
    }


def test_every_setting_is_printed():
    """Also what is not set, as a comment that says what that stands for."""
    text = printed()
    for one in declared(ServeConfig):
        assert one.default == {} or one.key[-1] in text
    assert "# threads is not set: the cores, shared by the workers  # default" in text


def test_every_setting_has_a_flag_in_the_help():
    """But those whose values are tables have flags that are written by hand."""
    done = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    for one in declared(ServeConfig):
        assert one.flag is None or f"{one.flag} " in done.stdout


def test_each_mistake_is_one_sentence(tmp_path):
    """All of them at once: where it is, what is wrong, and what was probably meant."""
    file = tmp_path / "wsproc.toml"
    file.write_text('prt = 1\n[engine]\nthreads = "many"\ndevice = "quantum"\n')
    told = refused("--config", str(file), WSPROC_MAX_JOBZ="7", WSPROC_MAX_TEXTS="0").splitlines()
    assert sorted(told) == sorted(
        [
            f"wsproc: {file}: prt: there is no such setting; did you mean port?",
            f"wsproc: {file}: engine.threads: give a whole number, not 'many'",
            f"wsproc: {file}: engine.device: give auto, cpu, cuda, cuda:N or mps, not 'quantum'",
            "wsproc: WSPROC_MAX_JOBZ: there is no such setting; did you mean WSPROC_MAX_JOBS?",
            "wsproc: WSPROC_MAX_TEXTS: give 1 or more, not '0'",
        ]
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the settings cannot be read: No such file or directory"),
        (b"\xff", "the settings cannot be read: it is not UTF-8"),
        (b"a = = 1", "this is no TOML"),
        (b"engine = 3", "engine: this is a table of settings, not 3"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, content, words):
    """It names the file and what is the matter with it."""
    file = tmp_path / "wsproc.toml"
    if content is not None:
        file.write_bytes(content)
    told = refused("--config", str(file))
    assert told.startswith(f"wsproc: {file}: {words}")
    assert len(told.splitlines()) == 1
