from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.engine.stages.decoding.driver import Told, drive
from tests.engine.stages.decoding.scarce import starve
from tests.engine.stages.decoding.tape import TapeCapture
from tests.engine.stages.decoding.tiny import (
    LINES,
    VOCABULARY,
    byte_tokenizer,
    lean_to_end,
    seq2seq_model,
)
from wsproc.engine.call import EngineError, InvalidItem
from wsproc.engine.models.extractive import Step, Summary
from wsproc.engine.stages.decoding import encoder_decoder
from wsproc.engine.stages.summary import ExtractiveSummaryStage, Seq2SeqSummaryStage

WORDS = " ".join(LINES).split()
SHORT = [
    "The mill stood still.",
    "Prices rose in March.",
    "She asked for the train.",
    "It did not leave.",
    "The river froze early.",
    "Analysts had a report.",
    "It was winter.",
]
GREEDY = {"num_beams": 1, "early_stopping": False, "length_penalty": 1.0}


def make_stage(
    family: str = "bart",
    *,
    ends: float = 4.0,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Seq2SeqSummaryStage:
    """Return a small stage; `ends` makes the end token likelier, `settings` are for generation."""
    tokenizer = byte_tokenizer(pair=True)
    tokenizer.model_max_length = 48
    model = seq2seq_model(family, seed=4)
    lean_to_end(model, ends)
    model.generation_config.update(**(settings or {}))
    return Seq2SeqSummaryStage(
        model, tokenizer, **{"rows": 4, "tokens": 96, "launch": 3, **options}
    )


def random_item(rng: random.Random) -> dict[str, Any]:
    """Return a short text, in half of the cases with lengths of its own."""
    item: dict[str, Any] = {"text": " ".join(rng.choices(WORDS, k=rng.randint(1, 6)))}
    if rng.random() < 0.5:
        item |= {"min_length": rng.randint(0, 8), "max_length": rng.randint(8, 30)}
    return item


def reference(stage: Seq2SeqSummaryStage, text: str, **lengths: int) -> list[int]:
    """Return the tokens that `generate()` gives for the text alone, the start token left out."""
    inputs = stage._tokenizer(text, return_tensors="pt")
    output = stage._decoder.model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **lengths
    )
    return output[0, 1:].tolist()


def assert_as_alone(stage: Seq2SeqSummaryStage, item: dict[str, Any], told: Told) -> None:
    """Hold what an item gave against `generate()` alone."""
    lengths = {key: value for key, value in item.items() if key != "text"}
    tokens = reference(stage, item["text"], **lengths)
    assert stage._search.answer(told.run.request) == tokens
    text = stage._tokenizer.decode(tokens, skip_special_tokens=True).strip()
    expected = {"summary": text, "windows": 1, "truncated": False, "tokens": len(tokens)}
    assert told.result == expected


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("bart", {}),
        ("bart", {"early_stopping": False, "length_penalty": 0.5, "forced_bos_token_id": None}),
        ("bart", {"early_stopping": "never"}),
        ("bart", GREEDY),
        ("bart", {"repetition_penalty": 1.3, "num_beams": 3, "no_repeat_ngram_size": 0}),
        ("pegasus", {"length_penalty": -1.0, "early_stopping": False}),
        ("t5", {}),
        ("t5", GREEDY),
    ],
)
def test_any_company_gives_what_generate_gives_alone(family: str, settings: dict[str, Any]) -> None:
    """Whatever joins, leaves, is cancelled or left out of a step beside a run, its tokens are those
    of `generate()` alone: beams, greedy, all kinds of early stopping, lengths by item, and
    processors that are not written here.
    """
    stage = make_stage(family, settings=settings)
    assert_company_changes_nothing(stage, random.Random(f"{family} {settings}"))


def assert_company_changes_nothing(stage: Seq2SeqSummaryStage, rng: random.Random) -> None:
    """Run random items that come and go at random; those that finish are as alone."""
    items = [random_item(rng) for _ in range(14)]
    told = drive(stage, items, rng, together=5, cancel=0.01)
    finished = [(item, one) for item, one in zip(items, told, strict=True) if one.result]
    assert len(finished) > 6
    for item, one in finished:
        assert_as_alone(stage, item, one)
    assert len({one.run.tokens for _, one in finished}) > 2
    assert stage._slots.free == 4


@pytest.mark.parametrize(
    ("family", "settings"), [("bart", {}), ("bart", GREEDY), ("pegasus", {}), ("t5", {})]
)
def test_captured_steps_give_what_generate_gives_alone(
    family: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do steps that are captured once at a few sizes and replayed: what differs from step to
    step is in their tensors, and requests that take no part leave no trace.
    """
    monkeypatch.setattr(encoder_decoder, "LEAST_TARGET", 8)
    monkeypatch.setattr(encoder_decoder, "LEAST_SOURCE", 16)
    capture = TapeCapture()
    stage = make_stage(family, settings=settings, capture=capture)
    assert_company_changes_nothing(stage, random.Random(f"{family} {settings}"))
    assert capture.captured >= 6
    assert capture.replayed > 20


def test_steps_that_cannot_be_captured_are_taken_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line in the log says so, and the tokens are what they are."""

    def failing(work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    assert_company_changes_nothing(make_stage(capture=failing), random.Random(1))
    assert [record.getMessage() for record in caplog.records] == [
        "decode steps run without captured graphs: RuntimeError: operation not permitted when"
        " stream is capturing"
    ]


@pytest.mark.parametrize(
    ("settings", "capture"),
    [({}, None), (GREEDY, None), ({}, TapeCapture())],
    ids=["beams", "greedy", "captured beams"],
)
def test_memory_may_run_out_at_any_moment(
    settings: dict[str, Any], capture: TapeCapture | None
) -> None:
    """Wherever in a step it does, also as beams are moved, the step can be taken again, and every
    run goes on as if nothing had been.
    """
    stage, rng = make_stage(settings=settings, capture=capture), random.Random(2)
    items = [{**random_item(rng), "min_length": 2, "max_length": 11} for _ in range(4)]
    scarce = starve(stage)
    told = drive(stage, items, rng, together=4)
    assert scarce.raised > 100
    for item, one in zip(items, told, strict=True):
        assert_as_alone(stage, item, one)


def test_scores_that_are_no_numbers_fail_their_run_alone() -> None:
    """A run whose logits are NaN fails; its neighbours and the next owner of its slot do not
    notice.
    """
    stage, rng = make_stage(rows=3), random.Random(3)
    items = [random_item(rng) for _ in range(9)]
    (token,) = stage._tokenizer("@", add_special_tokens=False)["input_ids"]
    texts = [f"@{i['text']}" if at % 3 == 0 else i["text"] for at, i in enumerate(items)]
    wanted = [reference(stage, item["text"]) for item in items]

    def poison(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        output.last_hidden_state[(kwargs["input_ids"] == token).any(dim=1)] = float("nan")
        return output

    stage._decoder.model.get_encoder().register_forward_hook(poison, with_kwargs=True)
    for at, one in enumerate(drive(stage, [{"text": text} for text in texts], rng, together=4)):
        if at % 3 == 0:
            assert type(one.error) is EngineError
        else:
            assert stage._search.answer(one.run.request) == wanted[at]


def test_a_long_text_is_read_in_windows_at_sentence_ends() -> None:
    """A text beyond the encoder's limit is divided at sentence ends, each window is summarised as
    `generate()` would alone, and the summaries are joined in order.
    """
    stage, rng = make_stage(), random.Random(4)
    text = " ".join(SHORT)
    (run,) = stage.begin([{"text": text}])
    assert not isinstance(run, EngineError)
    windows = [stage._tokenizer.decode(ids, skip_special_tokens=True) for ids in run.windows]
    assert len(windows) > 1
    assert " ".join(windows) == text
    assert all(window.endswith(".") for window in windows)
    tokens = [reference(stage, window) for window in windows]
    summaries = [stage._tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in tokens]
    long, *_ = drive(stage, [{"text": text}, random_item(rng), random_item(rng)], rng)
    assert long.result == {
        "summary": " ".join(filter(None, summaries)),
        "windows": len(windows),
        "truncated": False,
        "tokens": sum(map(len, tokens)),
    }


def test_lengths_asked_for_count_for_the_whole_text() -> None:
    """Lengths are shared by the windows, so that the whole summary keeps the maximum."""
    stage, rng = make_stage(ends=-9.0), random.Random(5)
    (run,) = stage.begin([{"text": " ".join(LINES), "min_length": 21}])
    assert not isinstance(run, EngineError)
    assert run.min_length == 21 // len(run.windows)
    (one,) = drive(stage, [{"text": " ".join(LINES), "max_length": 40}], rng)
    assert one.result is not None
    assert one.result["windows"] > 1
    assert one.result["tokens"] <= 40


def test_what_is_beyond_the_last_window_is_not_read() -> None:
    """Of a text with more windows than the stage allows, the result says that it was truncated."""
    stage, rng = make_stage(max_windows=1), random.Random(6)
    (one,) = drive(stage, [{"text": " ".join(LINES)}], rng)
    assert one.result is not None
    assert (one.result["windows"], one.result["truncated"]) == (1, True)


def test_only_what_is_final_is_told() -> None:
    """Greedy decoding tells the summary so far as it grows; beams tell nothing before the end of a
    window, since they may still change every word.
    """
    rng = random.Random(7)
    items = [{"text": " ".join(LINES)}] * 2
    for settings in (GREEDY, {}):
        stage = make_stage(settings=settings, ends=-9.0)
        for one in drive(stage, items, rng):
            assert one.result is not None
            assert (len(one.deltas) > one.result["windows"]) == (settings == GREEDY)
            told = [*one.deltas, one.result["summary"]]
            assert all(later.startswith(told.strip()) for told, later in pairwise(told))


def test_a_blank_text_has_an_empty_summary() -> None:
    """Nothing is made up for a text without words; the model is not asked."""
    stage, rng = make_stage(), random.Random(8)
    for one in drive(stage, [{"text": ""}, {"text": " \n\t "}], rng):
        assert one.result == {"summary": "", "windows": 0, "truncated": False, "tokens": 0}


def test_settings_for_summarization_are_laid_over_the_models_own() -> None:
    """`task_specific_params` of a checkpoint that serves several tasks are followed, its prefix
    included, as older transformers did.
    """
    model, tokenizer = seq2seq_model("t5", seed=4), byte_tokenizer(pair=True)
    tokenizer.model_max_length = 48
    model.generation_config.update(num_beams=1, max_length=None, min_length=None)
    params = {"num_beams": 3, "max_length": 15, "min_length": 5, "length_penalty": 0.7}
    model.config.task_specific_params = {"summarization": {**params, "prefix": "sum: "}}
    stage = Seq2SeqSummaryStage(model, tokenizer, rows=2, tokens=64)
    (one,) = drive(stage, [{"text": "The river froze."}], random.Random(9))
    tokens = reference(stage, "sum: The river froze.", **params)
    assert stage._search.answer(one.run.request) == tokens


def test_a_model_without_lengths_gets_those_of_generate() -> None:
    """Where neither item nor model names a length, it is the one `generate()` falls back on."""
    stage = make_stage(settings={"max_length": None, "min_length": None}, ends=-9.0)
    (one,) = drive(stage, [{"text": "The river froze."}], random.Random(10))
    with pytest.warns(UserWarning, match="model-agnostic default"):
        tokens = reference(stage, "The river froze.")
    assert stage._search.answer(one.run.request) == tokens


def test_newcomers_share_the_encoder_within_the_budget() -> None:
    """The encoder reads as many newcomers at once as fit in a step's tokens, and at least one."""
    stage = make_stage(rows=4, tokens=20)
    runs = stage.begin([{"text": "one two"}, {"text": "a tree"}, {"text": " ".join(LINES)[:90]}])
    sizes = [len(run.window) for run in runs if not isinstance(run, EngineError)]
    assert sizes[2] > 20
    stage.step(runs)
    begun = [not isinstance(run, EngineError) and run.request is not None for run in runs]
    assert begun == [True, 2 * max(sizes[:2]) <= 20, False]
    stage.step(runs[2:])
    assert not isinstance(runs[2], EngineError)
    assert runs[2].request is not None


@pytest.mark.parametrize("launch", [1, 1000])
def test_windows_of_like_length_are_read_together(launch: int) -> None:
    """Padding is computed only where it costs less than another pass, and it is counted."""
    stage = make_stage(rows=3, tokens=300, launch=launch)
    runs = stage.begin([{"text": text} for text in ("a bush", "a lake", " ".join(LINES)[:40])])
    sizes = [len(run.window) for run in runs if not isinstance(run, EngineError)]
    stage.step(runs)
    beams = 3 * stage._search.beams
    assert stage.counted.useful == sum(sizes) + beams
    alone = sizes[0] * 2 + sizes[2]
    assert sizes[0] == sizes[1] < sizes[2]
    assert stage.counted.computed == beams + (alone if launch == 1 else 3 * sizes[2])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"text": 5}, "text must be a string"),
        ({}, "text must be a string"),
        ({"text": "\udfff"}, "lone surrogate"),
        ({"text": "a", "max_length": 0}, "max_length"),
        ({"text": "a", "min_length": -1}, "min_length"),
        ({"text": "a", "min_length": 1.5}, "min_length"),
        ({"text": "a", "min_length": 9, "max_length": 8}, "min_length must not be more"),
    ],
)
def test_an_unreadable_item_is_refused_in_words(item: dict[str, Any], words: str) -> None:
    """A field of the wrong type or range comes back as `InvalidItem` that names it, from both
    kinds of summary.
    """
    for stage in (make_stage(rows=1), ExtractiveSummaryStage(Pieces([]))):
        bad, good = stage.begin([item, {"text": "B"}])
        assert isinstance(bad, InvalidItem)
        assert words in bad.message
        assert not isinstance(good, EngineError)
        assert stage.weigh(item) >= 1


def test_release_may_be_repeated() -> None:
    """Releasing a run twice, or one that never stepped, changes nothing for the others."""
    stage = make_stage(rows=2)
    runs = stage.begin([{"text": "A"}, {"text": "B"}])
    stage.step(runs[:1])
    stage.release(runs)
    stage.release(runs)
    assert stage._slots.free == 2


class Pieces:
    """Stands for an `ExtractiveSummarizer`: gives out the steps it was made with."""

    def __init__(self, steps: list[Step]) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._steps = steps

    def steps(self, text: str, least: int | None, most: int | None) -> Any:
        """Yield the steps and return what they say together."""
        self.told.append((text, least, most))
        yield from self._steps
        parts = "".join(step.delta for step in self._steps)
        return Summary(parts, tuple(step.span for step in self._steps if step.span))


def test_chosen_sentences_are_told_one_by_one() -> None:
    """Each step does one piece; the deltas are the summary so far, the result the whole of it."""
    pieces = Pieces([Step(), Step("One.", (0, 4)), Step(), Step(" Two.", (9, 13))])
    stage = ExtractiveSummaryStage(pieces)
    (one,) = drive(stage, [{"text": "...", "min_length": 2, "max_length": 30}], random.Random(1))
    assert pieces.told == [("...", 2, 30)]
    assert one.deltas == ["One.", "One. Two."]
    assert one.result == {
        "summary": "One. Two.", "spans": [[0, 4], [9, 13]], "truncated": False, "windows": 1,
    }  # fmt: skip


def test_a_cancelled_choice_is_dropped() -> None:
    """Release ends the work of a run wherever it stands, as often as it is called."""
    stage = ExtractiveSummaryStage(Pieces([Step("One.", (0, 4))] * 3))
    runs = stage.begin([{"text": "..."}, {"text": "..."}])
    stage.step(runs)
    stage.release(runs[:1])
    stage.release(runs[:1])
    (emission,) = stage.step(runs[1:])
    assert emission.deltas == ({"text": "One.One."},)


def test_vocabulary_matches_the_models() -> None:
    """The tests' tokenizer has no token that the tests' models do not know."""
    assert len(byte_tokenizer()) <= VOCABULARY
