"""The entities stage on small pipelines."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span

from tests.engine.checkpoints import NER_SENTENCE, ner_pipeline, ruler_pipeline
from wsproc.engine.call import EngineError, InvalidItem, Item, Value
from wsproc.engine.models.pipeline import LoadedPipeline
from wsproc.engine.models.source import Kind, Source
from wsproc.engine.stages.entities import EntitiesStage
from wsproc.engine.stages.stage import StepBudget

SOURCE = Source("entities", Kind.FOLDER, "/pipelines/mine", "mine")


def _stage(nlp: Language, **options: Any) -> EntitiesStage:
    return EntitiesStage(LoadedPipeline(SOURCE, nlp, ()), rows=8, tokens=2000, **options)


@pytest.fixture(scope="module")
def ruler() -> EntitiesStage:
    """A stage with fixed phrases for entities."""
    return _stage(ruler_pipeline())


def _finish(stage: EntitiesStage, items: Sequence[Item]) -> list[Value | EngineError]:
    """Run the items together to their ends and return what each ended with."""
    ends: list[Any] = list(stage.begin(items))
    live = [index for index, run in enumerate(ends) if not isinstance(run, EngineError)]
    runs = dict(zip(live, (ends[index] for index in live), strict=True))
    while live:
        emissions = stage.step([runs[index] for index in live])
        for index, emission in zip(live, emissions, strict=True):
            if emission.finished:
                ends[index] = emission.result or emission.error
        live = [index for index in live if ends[index] is runs[index]]
    return ends


def _entities(stage: EntitiesStage, text: str) -> list[dict[str, Any]]:
    (result,) = _finish(stage, [{"text": text}])
    assert isinstance(result, dict)
    entities: list[dict[str, Any]] = result["entities"]
    assert all(text[one["start"] : one["end"]] == one["text"] for one in entities)
    return entities


def test_an_entity_has_its_place_and_its_meaning(ruler: EntitiesStage) -> None:
    """Offsets are code points; the description is spaCy's, or the label where it has none."""
    assert _entities(ruler, "A zebra in Paris!") == [
        {"text": "zebra", "label": "ODDITY", "description": "ODDITY", "start": 2, "end": 7},
        {
            "text": "Paris",
            "label": "GPE",
            "description": "Countries, cities, states",
            "start": 11,
            "end": 16,
        },
    ]


def test_a_learned_pipeline_gives_what_it_gives_alone() -> None:
    """The stage adds nothing to the pipeline's own entities and takes nothing away."""
    nlp = ner_pipeline()
    stage = _stage(nlp)
    entities = _entities(stage, NER_SENTENCE)
    assert [(one["text"], one["label"]) for one in entities] == [
        (entity.text, entity.label_) for entity in nlp(NER_SENTENCE).ents
    ]
    assert [(one["text"], one["label"]) for one in entities] == [
        ("Alice Smith", "PERSON"),
        ("Paris", "GPE"),
    ]


def test_a_long_text_takes_a_step_a_piece(ruler: EntitiesStage) -> None:
    """Pieces end with sentences; offsets are those of the whole text."""
    text = "Alice Smith came to Paris with a zebra. " * 100
    (run,) = ruler.begin([{"text": text}])
    assert not isinstance(run, EngineError)
    emissions = [ruler.step([run])[0] for _ in range(4)]
    assert [emission.finished for emission in emissions] == [False, False, False, True]
    result = emissions[-1].result
    assert result is not None
    assert result["pieces"] == 4
    found = [(one["start"], one["text"]) for one in result["entities"]]
    places = [(40 * n + at, name) for n in range(100) for at, name in _IN_SENTENCE]
    assert found == places


_IN_SENTENCE = [(0, "Alice Smith"), (20, "Paris"), (33, "zebra")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("   \n\t ", []),
        ("\0Paris\0 Paris \0", ["Paris"]),
        ("👩‍👩‍👧 Paris 👩‍🚀 Acme Corporation", ["Paris", "Acme Corporation"]),
        ("\u202eשלם Paris עולם\u202c", ["Paris"]),
        (unicodedata.normalize("NFD", "café à Paris"), ["Paris"]),
        ("x" * 100_000 + " Paris", ["Paris"]),
        (" " * 100_000 + "Paris" + "\n" * 100_000, ["Paris"]),
    ],
    ids=["empty", "blank", "nul", "zwj", "rtl", "combining", "one token", "spaces"],
)
def test_hostile_texts_are_read(ruler: EntitiesStage, text: str, found: list[str]) -> None:
    """Whatever the text, the offsets are right and nothing breaks."""
    assert [one["text"] for one in _entities(ruler, text)] == found


def test_a_million_characters_are_bounded_steps(ruler: EntitiesStage) -> None:
    """SpaCy refuses more than a million at once; the stage never hands it more than a piece."""
    text = "Paris. " + "a" * 1_000_000
    assert len(text) > 1_000_000
    (result,) = _finish(_stage(ruler_pipeline(), piece_characters=10_000), [{"text": text}])
    assert isinstance(result, dict)
    assert [one["text"] for one in result["entities"]] == ["Paris"]
    assert result["pieces"] > 100


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["Paris", " ", "zebra", ".", "\n", "é", "👩‍🚀", "\0"]), max_size=40)
)
def test_offsets_hold_for_any_cut(parts: list[str]) -> None:
    """However small the pieces, each entity is where it says it is."""
    _entities(_TINY_PIECES, "".join(parts))


_TINY_PIECES = _stage(ruler_pipeline(), piece_characters=7)


def test_results_are_the_same_in_any_company(ruler: EntitiesStage) -> None:
    """A text's entities do not depend on the texts beside it."""
    texts = ["zebra", "", "Alice Smith in Paris. " * 90, "nothing", "Acme Corporation"]
    alone = [_finish(ruler, [{"text": text}])[0] for text in texts]
    assert _finish(ruler, [{"text": text} for text in texts]) == alone


def test_an_item_that_cannot_be_read_fails_alone(ruler: EntitiesStage) -> None:
    """Its neighbours get their results."""
    bad, good = _finish(ruler, [{"text": None}, {"text": "Paris"}])
    assert bad == InvalidItem("text must be a string")
    assert isinstance(good, dict)
    assert len(good["entities"]) == 1


@Language.component("tests_choke")
def _choke(doc: Doc) -> Doc:
    """Fail on one word; leave white space around another."""
    if "poison" in doc.text:
        raise ValueError("cannot swallow")
    doc.ents = [Span(doc, 0, len(doc), "ALL")] if len(doc) else []
    return doc


def _choking() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("tests_choke")
    return nlp


def test_a_text_that_breaks_the_pipeline_fails_alone() -> None:
    """The others of the step are read again, one by one."""
    texts = ["fine", "poison", "good"]
    fine, poison, good = _finish(_stage(_choking()), [{"text": text} for text in texts])
    assert poison == EngineError("the pipeline failed on this text (ValueError)")
    assert isinstance(fine, dict)
    assert isinstance(good, dict)
    assert good["entities"][0]["text"] == "good"


def test_white_space_around_an_entity_is_not_part_of_it() -> None:
    """Some pipelines take a line break into an entity."""

    @Language.component("tests_wide")
    def wide(doc: Doc) -> Doc:
        doc.ents = [Span(doc, 1, 4, "X"), Span(doc, 5, 6, "Y")]
        return doc

    nlp = spacy.blank("en")
    nlp.add_pipe("tests_wide")
    text = "a \n b \n c \n\n d"
    words = [token.text for token in nlp.make_doc(text)]
    assert words == ["a", "\n ", "b", "\n ", "c", "\n\n ", "d"]
    assert [(one["text"], one["start"]) for one in _entities(_stage(nlp), text)] == [("b", 4)]


def test_weighing_is_by_the_piece(ruler: EntitiesStage) -> None:
    """A step reads no more than a piece of an item, so it weighs no more."""
    assert ruler.budget == StepBudget(8, 2000)
    assert ruler.weigh({"text": "x" * 40}) == 12
    assert ruler.weigh({"text": "x" * 10**6}) == 250
    assert ruler.weigh({}) == 1


def test_pieces_must_hold_something() -> None:
    """No piece is empty, or the stage would never end."""
    with pytest.raises(ValueError, match="piece_characters must be at least 1, not 0"):
        _stage(spacy.blank("en"), piece_characters=0)


def test_a_run_that_is_let_go_leaves_the_others(ruler: EntitiesStage) -> None:
    """A cancel between two pieces changes nothing in the neighbours."""
    long, short = ruler.begin([{"text": "Paris. " * 900}, {"text": "zebra"}])
    assert not isinstance(long, EngineError)
    assert not isinstance(short, EngineError)
    ruler.step([long])
    ruler.release([long])
    result = ruler.step([short])[0].result
    assert result is not None
    assert [one["text"] for one in result["entities"]] == ["zebra"]
