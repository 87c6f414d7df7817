"""Where weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.source import PRESETS, STAGES, Kind, Source, resolve


def test_each_preset_names_a_model_for_each_stage() -> None:
    """`--models NAME` settles every stage."""
    assert {name: set(models) for name, models in PRESETS.items()} == {
        "embedded": set(STAGES),
        "hub": set(STAGES),
    }


def test_none_switches_a_stage_off() -> None:
    """The name `none` has no source."""
    assert resolve("summary", "none") is None


def test_embedded_is_a_folder_of_the_package() -> None:
    """`embedded` leads into `wsproc/weights`."""
    source = resolve("entities", "embedded")
    assert source is not None
    assert source.kind is Kind.EMBEDDED
    assert Path(source.location).parts[-3:] == ("wsproc", "weights", "entities")
    assert source.title == "embedded entities model"


def test_embedded_weights_that_are_missing_are_one_sentence() -> None:
    """A stage without embedded weights says so and what to give instead."""
    with pytest.raises(ModelUnavailable) as caught:
        resolve("translation", "embedded")
    assert "--translation embedded: this installation has no embedded translation model" in str(
        caught.value
    )
    assert "give --translation a folder or a model's name" in str(caught.value)


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("sentiment", "cardiffnlp/twitter-roberta-base-sentiment-latest"),
        ("summary", "facebook/bart-large-cnn"),
        ("entities", "en_core_web_sm"),
    ],
)
def test_hub_is_the_well_known_model(stage: str, name: str) -> None:
    """`hub` stands for the model of the preset."""
    assert resolve(stage, "hub") == Source(stage, Kind.HUB, name, name)


def test_hub_for_a_stage_of_ones_own_is_refused() -> None:
    """A stage that no preset knows has no well-known model."""
    with pytest.raises(ModelUnavailable, match="no well-known model is set for the stage 'shout'"):
        resolve("shout", "hub")


def test_a_folder_that_exists_is_taken_with_its_whole_path(tmp_path: Path) -> None:
    """A folder becomes an absolute path, and its name the title."""
    (tmp_path / "mine").mkdir()
    name = f"{tmp_path}/x/../mine"
    (tmp_path / "x").mkdir()
    assert resolve("sentiment", name) == Source(
        "sentiment", Kind.FOLDER, str((tmp_path / "mine").resolve()), "mine"
    )


def test_a_folder_wins_over_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exists here is meant, even if it could be a name."""
    (tmp_path / "owner" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    source = resolve("sentiment", "owner/model")
    assert source is not None
    assert source.kind is Kind.FOLDER


@pytest.mark.parametrize("name", ["gpt2", "owner/model", "owner/model@v1.0", "a.b/c-d_e@refs/pr/3"])
def test_names_of_the_hub_are_recognised(name: str) -> None:
    """A name may have an owner and a revision."""
    assert resolve("generation", name) == Source("generation", Kind.HUB, name, name)


@pytest.mark.parametrize(
    "name", ["./no", "../no", "~/no-such", "/no/such", "a/b/c", "no/", ".hidden", "C:\\no", "", "ü"]
)
def test_what_can_only_be_a_path_must_exist(name: str) -> None:
    """A path that is not there is refused at once, and nothing is asked of the Hub."""
    with pytest.raises(ModelUnavailable) as caught:
        resolve("sentiment", name)
    assert str(caught.value) == (
        f"--sentiment {name}: there is no such folder; give the folder of a saved model, a model's"
        " name such as cardiffnlp/twitter-roberta-base-sentiment-latest, or one of embedded, hub,"
        " none"
    )


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    """A path to a weights file is a common slip, and its message says what is wrong."""
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(
        ModelUnavailable, match=r"model\.safetensors: is a file, not a folder; give"
    ):
        resolve("sentiment", str(file))


def test_only_a_plain_name_of_the_entities_stage_is_a_spacy_package() -> None:
    """SpaCy's models are Python packages; one with an owner is on the Hub."""

    def is_package(stage: str, name: str) -> bool:
        source = resolve(stage, name)
        return source is not None and source.is_spacy_package

    assert is_package("entities", "en_core_web_sm")
    assert not is_package("entities", "spacy/en_core_web_sm")
    assert not is_package("sentiment", "gpt2")
