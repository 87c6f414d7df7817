"""The wheel and the sdist: what is in them, and that the main job runs from the wheel alone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.environment import Environment

ROOT = Path(__file__).parents[1]
VERSION = version("wsproc")
MB = 1 << 20


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built as `make package` builds them: the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run("build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The wheel, which is for every platform."""
    return dist / f"wsproc-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    """The source."""
    return dist / f"wsproc-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """What an index would show."""
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"wsproc-{VERSION}.dist-info/METADATA"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A plain installation, without extras."""
    return Environment(tmp_path_factory.mktemp("plain") / "venv", wheel)


def run(module: str, *arguments: str) -> str:
    """Run a module with this Python; return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: str) -> set[str]:
    """Return the files of a folder of the repository that belong to it."""
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(listed.stdout.splitlines())


# --- what is in them ------------------------------------------------------------------------------


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path):
    """Code, weights, cards, page, client and type marker; no tests, no training, no benchmarks."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    about = {name for name in names if name.startswith(f"wsproc-{VERSION}.dist-info/")}
    assert names - about == sources("wsproc")
    assert {
        "wsproc/py.typed",
        "wsproc/web/console/index.html",
        "wsproc/web/console/main.js",
        "wsproc/web/wsproc.js",
        "wsproc/weights/sentiment/model.safetensors",
        "wsproc/weights/summary/model.safetensors",
        "wsproc/weights/generation/model.safetensors",
        "wsproc/weights/entities/config.cfg",
    } <= names
    licences = {name for name in about if "/licenses/" in name}
    assert len(licences) == 1 + len(list(ROOT.glob("wsproc/weights/*/README.md")))


def test_the_sdist_has_what_its_tests_need_and_no_leftovers(sdist: Path):
    """Every file of it is in the repository."""
    with tarfile.open(sdist) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
    inside = {name.partition("/")[2] for name in names}
    assert inside - sources(".") == {"PKG-INFO"}
    for folder in ("wsproc", "tests", "training", "examples"):
        assert sources(folder) <= inside


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_neither_is_large(kind: str, request: pytest.FixtureRequest):
    """The weights are most of it."""
    assert request.getfixturevalue(kind).stat().st_size < 30 * MB


def test_the_metadata_is_fit_for_an_index(dist: Path, metadata: Message):
    """Twine finds nothing, and the licences of code and models are named."""
    run("twine", "check", "--strict", *map(str, dist.iterdir()))
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"].startswith("Apache-2.0 AND ")
    assert {"http", "jwt", "otel"} == set(metadata.get_all("Provides-Extra", []))
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_pipx_finds_a_command_of_the_packages_name(wheel: Path):
    """`pipx run wsproc` needs no more than that."""
    with zipfile.ZipFile(wheel) as archive:
        points = archive.read(f"wsproc-{VERSION}.dist-info/entry_points.txt").decode()
    assert points.splitlines() == ["[console_scripts]", "wsproc = wsproc.cli:main"]


# --- the wheel alone ------------------------------------------------------------------------------


def test_the_main_job_runs_from_the_wheel(environment: Environment, tmp_path: Path):
    """In an environment of what it declares, from another folder, with no file of this one."""
    where = environment.run("python", "-c", "import wsproc; print(wsproc.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(environment.site)
    done = environment.run("wsproc", "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("done completed", "SENTIMENT", "SUMMARY", "ENTITIES", "done cancelled"):
        assert words in done.stdout


def test_an_extra_that_is_missing_is_told_with_the_way_to_it(
    environment: Environment, tmp_path: Path
):
    """Before a model is loaded."""
    done = environment.run("wsproc", "serve", "--port", "0", "--http-port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'wsproc[http]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_extra_brings_what_it_needs(wheel: Path, tmp_path: Path):
    """With `[http]` the face can be imported."""
    environment = Environment(tmp_path / "venv", wheel, ["http"])
    done = environment.run("python", "-c", "import wsproc.face", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
