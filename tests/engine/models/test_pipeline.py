"""Loading spaCy pipelines with what entities need and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import spacy
import torch

from tests.engine.checkpoints import NER_SENTENCE, ner_pipeline, ruler_pipeline
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.pipeline import dispensable, load_spacy
from wsproc.engine.models.source import Kind, Source

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def ner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline of tok2vec, tagger, ner and sentencizer."""
    folder = tmp_path_factory.mktemp("ner")
    ner_pipeline().to_disk(folder)
    return folder


def _source(location: object, kind: Kind = Kind.FOLDER) -> Source:
    return Source("entities", kind, str(location), "mine")


def _refusal(source: Source) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_spacy(source, CPU, lambda line: None)
    return str(caught.value)


def test_what_entities_do_not_need_is_left_out(ner: Path) -> None:
    """The learned entities are the same without the tagger and its vectors."""
    lines: list[str] = []
    loaded = load_spacy(_source(ner), CPU, lines.append)
    assert loaded.excluded == ("sentencizer", "tagger", "tok2vec")
    assert loaded.nlp.pipe_names == ["ner"]
    whole = spacy.load(ner)(NER_SENTENCE)
    found = loaded.nlp(NER_SENTENCE)
    assert [(e.text, e.label_) for e in found.ents] == [(e.text, e.label_) for e in whole.ents]
    assert [(e.text, e.label_) for e in found.ents] == [("Alice Smith", "PERSON"), ("Paris", "GPE")]
    assert lines == [
        f"loading entities model mine from {ner}",
        "entities model ready: ner on cpu",
    ]


_LISTENER = {"model": {"tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "upstream": "*"}}}


@pytest.mark.parametrize(
    ("components", "left_out"),
    [
        (
            {
                "tok2vec": {"factory": "tok2vec"},
                "parser": {"factory": "parser", **_LISTENER},
                "ner": {"factory": "ner", "model": {"tok2vec": {"@architectures": "x.Own.v1"}}},
            },
            {"tok2vec", "parser"},
        ),
        (
            {
                "transformer": {"factory": "transformer"},
                "lemmatizer": {"factory": "lemmatizer"},
                "ner": {"factory": "ner", **_LISTENER},
            },
            {"lemmatizer"},
        ),
        (
            {"tagger": {"factory": "tagger"}, "rules": {"factory": "entity_ruler"}},
            set(),
        ),
        (
            {
                "tagger": {"factory": "tagger"},
                "ner": {"factory": "ner"},
                "x": {"factory": "my_own"},
            },
            set(),
        ),
        ({"tagger": {"factory": "tagger"}}, set()),
    ],
    ids=["own encoder", "listener", "rules", "unknown component", "no finder"],
)
def test_only_known_bystanders_are_dispensable(
    components: dict[str, dict[str, object]], left_out: set[str]
) -> None:
    """What the finder listens to stays; with rules or anything unknown everything stays."""
    assert dispensable({"components": components}) == left_out


def test_rules_are_kept_whole(tmp_path: Path) -> None:
    """An entity ruler may ask for what other components write."""
    ruler_pipeline().to_disk(tmp_path)
    loaded = load_spacy(_source(tmp_path), CPU, lambda line: None)
    assert loaded.excluded == ()
    assert loaded.nlp.pipe_names == ["sentencizer", "entity_ruler"]


def test_an_installed_package_is_found(
    ner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spaCy package holds its pipeline in a folder with the version in its name."""
    package = tmp_path / "xx_tests_sm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "xx_tests_sm-1.0.0").symlink_to(ner)
    info = tmp_path / "xx_tests_sm-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: xx_tests_sm\nVersion: 1.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = load_spacy(_source("xx_tests_sm", Kind.HUB), CPU, lambda line: None)
    assert loaded.nlp.pipe_names == ["ner"]
    sys.modules.pop("xx_tests_sm")


def test_a_package_that_is_missing_says_how_to_install_it() -> None:
    """SpaCy's own command is the way out."""
    assert _refusal(_source("xx_no_such_sm", Kind.HUB)) == (
        "the entities model xx_no_such_sm is not installed: run"
        " `python -m spacy download xx_no_such_sm`, give --entities a folder, or start with"
        " --models embedded"
    )


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    """A transformers model is the usual mistake."""
    assert _refusal(_source(tmp_path)) == (
        f"the entities model {tmp_path} is no spaCy pipeline ({tmp_path} has no config.cfg): give"
        " --entities a saved pipeline or the name of an installed one, or start with"
        " --models embedded"
    )


def test_a_pipeline_that_finds_no_entities_is_refused(tmp_path: Path) -> None:
    """A pipeline for other things would answer every text with nothing."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    assert _refusal(_source(tmp_path)) == (
        f"the stage entities needs a pipeline that finds entities, but {tmp_path} has only"
        " sentencizer: give --entities another model, or start with --models embedded"
    )


def test_a_damaged_pipeline_is_one_sentence(tmp_path: Path, ner: Path) -> None:
    """A file that cannot be read is named by its error."""
    spacy.load(ner).to_disk(tmp_path)
    (tmp_path / "ner" / "model").write_bytes(b"nothing")
    message = _refusal(_source(tmp_path))
    assert message.startswith(f"the entities model {tmp_path} cannot be read (")
    assert message.endswith(
        "): save or copy it again, give --entities another model, or start with --models embedded"
    )
