"""From a Hub name to a folder, with and without a network."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.engine.models.fake_hub import SHA, FakeHub, serving
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models import hub as hub_module
from wsproc.engine.models.hub import fetch, needed_files
from wsproc.engine.models.source import Kind, Source

MODEL = Source("sentiment", Kind.HUB, "owner/model", "owner/model")
FILES = {
    "README.md": b"# A model",
    "config.json": b"{}",
    "merges.txt": b"a b",
    "model.safetensors": b"weights" * 100,
    "pytorch_model.bin": b"old weights",
    "onnx/model.onnx": b"other weights",
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A Hub that has `owner/model`."""
    with serving(FakeHub({"owner/model": FILES})) as fake:
        yield fake


def _nobody() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def _refusal(cache: Path, endpoint: str, source: Source = MODEL, **settings: float) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        fetch(source, lambda line: None, endpoint=endpoint, cache=cache, **settings)
    return str(caught.value)


def test_the_needed_files_are_downloaded_and_reported(hub: FakeHub, tmp_path: Path) -> None:
    """One kind of weights and the small files come; the size and each tenth are told."""
    lines: list[str] = []
    folder = fetch(MODEL, lines.append, endpoint=hub.address, cache=tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "merges.txt",
        "model.safetensors",
    ]
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert lines[0] == f"downloading owner/model (0 MB) into {tmp_path}"
    assert lines[-1] == "downloading owner/model: 100%"


def test_what_is_cached_is_used_without_a_question(hub: FakeHub, tmp_path: Path) -> None:
    """A second start needs no network, not even to find out that there is one."""
    folder = fetch(MODEL, lambda line: None, endpoint=hub.address, cache=tmp_path)
    hub.asked.clear()
    assert fetch(MODEL, lambda line: None, endpoint=hub.address, cache=tmp_path) == folder
    assert hub.asked == []


def test_half_a_download_is_finished(hub: FakeHub, tmp_path: Path) -> None:
    """A cache without the weights is not taken for the model."""
    folder = fetch(MODEL, lambda line: None, endpoint=hub.address, cache=tmp_path)
    (folder / "model.safetensors").unlink()
    again = fetch(MODEL, lambda line: None, endpoint=hub.address, cache=tmp_path)
    assert (again / "model.safetensors").exists()


@pytest.mark.parametrize(("shards", "complete"), [((1, 2), True), ((1,), False), ((), False)])
def test_weights_in_shards_are_complete_with_the_last(
    tmp_path: Path, shards: tuple[int, ...], complete: bool
) -> None:
    """The names of the shards tell how many there must be."""
    repository = tmp_path / "models--owner--model"
    folder = repository / "snapshots" / SHA
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(SHA)
    (folder / "config.json").touch()
    (folder / "model.safetensors.index.json").touch()
    for shard in shards:
        (folder / f"model-0000{shard}-of-00002.safetensors").touch()
    if complete:
        assert fetch(MODEL, print, endpoint=_nobody(), cache=tmp_path) == folder
    else:
        assert "cannot be reached" in _refusal(tmp_path, _nobody())


def test_no_network_is_one_sentence_at_once(tmp_path: Path) -> None:
    """A refused connection is not tried again and again."""
    endpoint = _nobody()
    assert _refusal(tmp_path, endpoint) == (
        f"the sentiment model owner/model is not in {tmp_path} and {endpoint} cannot be reached:"
        " check the network, set HF_HOME to a cache that has it, give --sentiment a folder, or"
        " start with --models embedded"
    )


def test_a_hub_that_does_not_answer_is_given_up(hub: FakeHub, tmp_path: Path) -> None:
    """Silence counts as no network after the time that one question may take."""
    hub.silent.clear()
    assert "cannot be reached: check the network" in _refusal(tmp_path, hub.address, timeout=0.05)


def test_a_model_that_is_not_there_is_one_sentence(hub: FakeHub, tmp_path: Path) -> None:
    """The Hub does not tell a missing model from a private one; the message names both."""
    source = Source("sentiment", Kind.HUB, "owner/modle", "owner/modle")
    assert _refusal(tmp_path, hub.address, source) == (
        "the Hub has no public model owner/modle for the stage sentiment: check the spelling, or"
        " run `hf auth login` if it is private; or give --sentiment a folder, or start with"
        " --models embedded"
    )


def test_a_gated_model_says_how_to_get_in(hub: FakeHub, tmp_path: Path) -> None:
    """Terms to accept are not a wrong name."""
    hub.status, hub.code = 403, "GatedRepo"
    assert _refusal(tmp_path, hub.address) == (
        f"the sentiment model owner/model is gated: accept its terms at {hub.address}/owner/model"
        " and run `hf auth login` (or set HF_TOKEN); or give --sentiment a folder, or start with"
        " --models embedded"
    )


def test_a_wrong_revision_is_told_from_a_wrong_name(hub: FakeHub, tmp_path: Path) -> None:
    """What stands behind the @ may be wrong alone."""
    hub.status, hub.code = 404, "RevisionNotFound"
    source = Source("sentiment", Kind.HUB, "owner/model@v9", "owner/model@v9")
    assert _refusal(tmp_path, hub.address, source) == (
        "the sentiment model owner/model@v9: the Hub has the model but not that revision; or give"
        " --sentiment a folder, or start with --models embedded"
    )


def test_a_hub_in_trouble_is_named_with_its_status(hub: FakeHub, tmp_path: Path) -> None:
    """An error of the Hub's own passes with time."""
    hub.status = 503
    hub.code = "Whatever"
    assert _refusal(tmp_path, hub.address) == (
        f"{hub.address} answered 503 for the sentiment model owner/model: try later, or give"
        " --sentiment a folder, or start with --models embedded"
    )


def test_offline_mode_is_named(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who forbids the network is told that this is the reason."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert _refusal(tmp_path, hub.address) == (
        f"the sentiment model owner/model is not in {tmp_path} and HF_HUB_OFFLINE forbids to"
        " download it: unset that, set HF_HOME to a cache that has it, give --sentiment a folder,"
        " or start with --models embedded"
    )
    assert hub.asked == []


def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    """The Hub's own rules for names are asked before the Hub is."""
    source = Source("sentiment", Kind.HUB, "a--b..c", "a--b..c")
    assert _refusal(tmp_path, _nobody(), source) == (
        "'a--b..c' cannot be a model's name on the Hub; give --sentiment a folder, or start with"
        " --models embedded"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "does not fit on the disk of"),
        (PermissionError(errno.EACCES, "Permission denied"), "refuses it ([Errno 13] Permission"),
    ],
)
def test_a_cache_that_takes_nothing_is_named(
    hub: FakeHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    words: str,
) -> None:
    """A full or forbidden disk is not a network's fault."""

    def refuse(*args: object, **kwargs: object) -> str:
        raise error

    monkeypatch.setattr(hub_module, "snapshot_download", refuse)
    message = _refusal(tmp_path, hub.address)
    assert words in message
    assert str(tmp_path) in message


def test_old_weights_are_taken_where_there_are_no_others() -> None:
    """A repository with `.bin` weights alone is loaded from these."""
    names = ["config.json", "pytorch_model.bin", "tf_model.h5", "vocab.json", "runs/a.json"]
    assert needed_files(names) == ["config.json", "vocab.json", "pytorch_model.bin"]


def test_a_spacy_repository_comes_whole_but_for_its_wheel() -> None:
    """A pipeline's folders all belong to it."""
    names = ["config.cfg", "README.md", "ner/model", "vocab/strings.json", "x-py3-none-any.whl"]
    assert needed_files(names) == ["config.cfg", "ner/model", "vocab/strings.json"]
