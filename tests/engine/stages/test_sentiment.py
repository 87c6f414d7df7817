"""The sentiment stage on a tiny checkpoint with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.checkpoints import BOS, EOS, save_classifier
from wsproc.engine.call import EngineError, InvalidItem, Item, ModelUnavailable, Value
from wsproc.engine.models.load import LoadedModel, load_classifier
from wsproc.engine.models.source import Kind, Source
from wsproc.engine.models.unpadded import unpadded
from wsproc.engine.stages.sentiment import SentimentStage
from wsproc.engine.stages.stage import Emission, StepBudget

BODY = 60  # tokens of a window, without its two special tokens
TEXTS = [
    "What a good day!",
    "bad",
    "A slow film, loud and far too long; I want my money back.",
    "",
    "👩‍👩‍👧 \0 שלום",
    "word " * 200,
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """The classifier, on the CPU."""
    folder = save_classifier(tmp_path_factory.mktemp("classifier"))
    source = Source("sentiment", Kind.FOLDER, str(folder), "tiny")
    return load_classifier(source, torch.device("cpu"), torch.float32, lambda line: None)


def _stage(loaded: LoadedModel, **settings: Any) -> SentimentStage:
    return SentimentStage(loaded, **{"rows": 8, "tokens": 512, "launch": 8, **settings})


def _finish(stage: SentimentStage, items: Sequence[Item]) -> list[Value | EngineError]:
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


def _probabilities(loaded: LoadedModel, body: list[int]) -> torch.Tensor:
    """Return what the model alone says of one window."""
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([[BOS, *body, EOS]])).logits
    probabilities: torch.Tensor = logits[0].softmax(0)
    return probabilities


def _ids(loaded: LoadedModel, text: str) -> list[int]:
    ids: list[int] = loaded.tokenizer(text, add_special_tokens=False).input_ids
    return ids


def test_a_text_gets_what_the_model_alone_says(loaded: LoadedModel) -> None:
    """The result is the softmax of the model's logits, under the three names."""
    text = TEXTS[2]
    (result,) = _finish(_stage(loaded), [{"text": text}])
    assert isinstance(result, dict)
    expected = _probabilities(loaded, _ids(loaded, text)).tolist()
    assert list(result["scores"]) == ["NEGATIVE", "NEUTRAL", "POSITIVE"]
    assert list(result["scores"].values()) == pytest.approx(expected, abs=1e-5)
    assert result["confidence"] == max(result["scores"].values())
    assert result["scores"][result["sentiment"]] == result["confidence"]
    assert result["tokens"] == len(_ids(loaded, text))
    assert result["windows"] == 1


def test_results_are_the_same_in_any_company(loaded: LoadedModel) -> None:
    """Neither the neighbours, nor their order, nor padding change a result."""
    stage = _stage(loaded)
    alone = [_finish(stage, [{"text": text}])[0] for text in TEXTS]
    together = _finish(stage, [{"text": text} for text in TEXTS])
    backwards = _finish(stage, [{"text": text} for text in reversed(TEXTS)])[::-1]
    for one, two, three in zip(alone, together, backwards, strict=True):
        assert isinstance(one, dict)
        assert isinstance(two, dict)
        assert isinstance(three, dict)
        assert one["sentiment"] == two["sentiment"] == three["sentiment"]
        assert one["scores"] == pytest.approx(two["scores"], abs=2e-6)
        assert one["scores"] == pytest.approx(three["scores"], abs=2e-6)


def test_a_long_text_is_the_average_of_its_windows(loaded: LoadedModel) -> None:
    """Windows overlap by an eighth, and each counts by its tokens; one is read in each step."""
    text = "A good film, a bad film, and the 3 films between them. " * 6
    ids = _ids(loaded, text)
    stride = BODY - BODY // 8
    windows = [ids[start : start + BODY] for start in range(0, len(ids) - BODY // 8, stride)]
    assert len(windows) > 2
    assert len(windows[-1]) < BODY
    total = sum(len(window) * _probabilities(loaded, window) for window in windows)
    assert isinstance(total, torch.Tensor)
    expected = (total / sum(map(len, windows))).tolist()

    stage = _stage(loaded)
    (run,) = stage.begin([{"text": text}])
    assert not isinstance(run, EngineError)
    emissions = [stage.step([run])[0] for _ in windows]
    assert [emission.finished for emission in emissions] == [False] * (len(windows) - 1) + [True]
    result = emissions[-1].result
    assert result is not None
    assert list(result["scores"].values()) == pytest.approx(expected, abs=1e-5)
    assert result["tokens"] == len(ids)
    assert result["windows"] == len(windows)


@pytest.mark.parametrize(("tokens", "windows"), [(BODY - 1, 1), (BODY, 1), (BODY + 1, 2)])
def test_a_text_that_just_fits_is_one_window(
    loaded: LoadedModel, tokens: int, windows: int
) -> None:
    """One token too many takes a second window; none is cut off."""
    text = "x" * tokens
    assert len(_ids(loaded, text)) == tokens
    (result,) = _finish(_stage(loaded), [{"text": text}])
    assert isinstance(result, dict)
    assert (result["tokens"], result["windows"]) == (tokens, windows)


@pytest.mark.parametrize("text", ["good day, " * 2_000, "x" * 3_000, "y " + "é" * 2_000 + " z"])
def test_a_very_long_text_is_tokenized_bit_by_bit(loaded: LoadedModel, text: str) -> None:
    """The beginning is not held up by the rest, and no token is lost where sections meet."""
    stage = _stage(loaded)
    (run,) = stage.begin([{"text": text}])
    assert not isinstance(run, EngineError)
    assert run.at <= 8 * BODY
    (result,) = _finish(stage, [{"text": text}])
    assert isinstance(result, dict)
    assert result["tokens"] == len(_ids(loaded, text))


def test_a_long_blank_costs_one_token(loaded: LoadedModel) -> None:
    """White space without end says nothing, and is not read."""
    (result,) = _finish(_stage(loaded), [{"text": " \n" * 500_000}])
    assert isinstance(result, dict)
    assert (result["tokens"], result["windows"]) == (1, 1)


def test_an_item_that_cannot_be_read_fails_alone(loaded: LoadedModel) -> None:
    """Its neighbours get their results."""
    items: list[Item] = [{"text": "good"}, {"text": 5}, {}, {"text": "\ud800"}, {"text": "bad"}]
    good, number, nothing, half, bad = _finish(_stage(loaded), items)
    assert number == nothing == InvalidItem("text must be a string")
    assert isinstance(half, InvalidItem)
    assert isinstance(good, dict)
    assert isinstance(bad, dict)
    assert _stage(loaded).begin([]) == []


def test_weighing_is_cheap_and_never_raises(loaded: LoadedModel) -> None:
    """An item weighs at most one window, and one that is no item weighs 1."""
    stage = _stage(loaded)
    assert stage.budget == StepBudget(8, 512)
    assert stage.weigh({"text": "x" * 40}) == 12
    assert stage.weigh({"text": "x" * 10**6}) == BODY
    assert stage.weigh({}) == 1


def test_padding_is_counted(loaded: LoadedModel) -> None:
    """Like lengths share a batch, so that the padded tokens stay near the useful ones."""
    stage = _stage(loaded)
    _finish(stage, [{"text": "x" * length} for length in (3, 50, 4, 50)])
    assert stage.counted.useful == 3 + 50 + 4 + 50 + 4 * 2
    assert stage.counted.computed == stage.counted.useful + 1
    wasteful = _stage(loaded, launch=1000)
    _finish(wasteful, [{"text": "x" * length} for length in (3, 50, 4, 50)])
    assert wasteful.counted.computed == 4 * 52


def test_lengths_are_rounded_up_as_far_as_the_model_reads(loaded: LoadedModel) -> None:
    """A batch is as long as the next multiple, or as the model's input; no result feels it."""
    items: list[Item] = [{"text": "x" * length} for length in (3, 50, 4, 60)]
    exact, rounded = _stage(loaded, launch=0), _stage(loaded, launch=0, multiple=24)
    expected, found = _finish(exact, items), _finish(rounded, items)
    assert rounded.counted.computed == 2 * 24 + 2 * (BODY + 2)
    for one, other in zip(expected, found, strict=True):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert other["scores"] == pytest.approx(one["scores"], abs=2e-6)


def test_a_step_keeps_to_its_token_budget(loaded: LoadedModel) -> None:
    """Where the estimates were too low, the rows are computed in more than one batch."""
    stage = _stage(loaded, tokens=60, launch=1000)
    _finish(stage, [{"text": "x" * length} for length in (3, 50, 4, 50)])
    assert stage.counted.computed == stage.counted.useful + 1


class _SmallDevice:
    """A model on a device that holds a few rows only, or gives no numbers."""

    def __init__(self, model: Any, rows: int, *, broken: bool = False) -> None:
        self.config = model.config
        self._model = model
        self._rows = rows
        self._broken = broken

    def __call__(self, **inputs: torch.Tensor) -> Any:
        if len(inputs["input_ids"]) > self._rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        output = self._model(**inputs)
        if self._broken:
            output.logits = output.logits * float("nan")
        return output


def test_a_step_that_raises_changes_no_run(loaded: LoadedModel) -> None:
    """The loop takes it again in halves, until it fits; the results are the same."""
    items: list[Item] = [{"text": text} for text in TEXTS]
    whole = _finish(_stage(loaded, launch=1000), items)
    stage = _stage(replace(loaded, model=_SmallDevice(loaded.model, 1)), launch=1000)
    runs = stage.begin(items)
    with pytest.raises(torch.OutOfMemoryError):
        stage.step(runs)
    for run, expected in zip(runs, whole, strict=True):
        emission = Emission()
        while not emission.finished:
            (emission,) = stage.step([run])
        assert emission.result is not None
        assert emission.result["scores"] == pytest.approx(expected["scores"], abs=2e-6)
        assert emission.result["tokens"] == expected["tokens"]


def test_texts_that_may_not_share_a_batch_with_padding(loaded: LoadedModel) -> None:
    """Without a launch cost only texts of equal length go together."""
    stage = _stage(loaded, launch=None)
    _finish(stage, [{"text": text} for text in ("abc", "de", "fgh", "i" * 20)])
    assert stage.counted.computed == stage.counted.useful


def test_no_number_is_no_result(loaded: LoadedModel) -> None:
    """NaN, as from an overflow in float16, is an error and never a sentiment."""
    stage = _stage(replace(loaded, model=_SmallDevice(loaded.model, 9, broken=True)))
    assert _finish(stage, [{"text": "good"}]) == [
        EngineError("the model gave no number (NaN) for this text")
    ]


def test_models_for_tweets_get_names_and_links_replaced(loaded: LoadedModel) -> None:
    """They are trained so; other models get the text as it is, unless an option says otherwise."""
    text = "@alice.b: see https://example.org/x?y=1 and mail a@b.c @ home"
    plain = "@user see http and mail a@b.c @ home"
    tweets = replace(loaded, source=replace(loaded.source, location="cardiffnlp/twitter-roberta-x"))
    for stage, tokens in [
        (_stage(tweets), plain),
        (_stage(loaded, normalize=True), plain),
        (_stage(loaded), text),
        (_stage(tweets, normalize=False), text),
    ]:
        (result,) = _finish(stage, [{"text": text}])
        assert isinstance(result, dict)
        assert result["tokens"] == len(_ids(loaded, tokens))


def test_a_label_map_turns_the_result(loaded: LoadedModel) -> None:
    """The option is applied to the checkpoint's own labels."""
    turned = {"negative": "POSITIVE", "neutral": "NEUTRAL", "positive": "NEGATIVE"}
    (one,) = _finish(_stage(loaded), [{"text": "good"}])
    (two,) = _finish(_stage(loaded, label_map=turned), [{"text": "good"}])
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert one["scores"]["NEGATIVE"] == two["scores"]["POSITIVE"]


def test_labels_without_a_sentiment_are_refused(tmp_path: Path) -> None:
    """The stage is not built for a checkpoint that it cannot read."""
    folder = save_classifier(tmp_path, ("spam", "ham"))
    source = Source("sentiment", Kind.FOLDER, str(folder), "tiny")
    other = load_classifier(source, torch.device("cpu"), torch.float32, lambda line: None)
    with pytest.raises(ModelUnavailable, match="has the labels spam, ham, which say nothing"):
        _stage(other)


def test_rows_may_be_padded_on_the_left(loaded: LoadedModel) -> None:
    """A tokenizer that pads on the left, as decoders' do, gets it so; multiples pad further."""
    stage = _stage(loaded)
    stage._multiple = 8
    pad = loaded.tokenizer.pad_token_id
    loaded.tokenizer.padding_side = "left"
    try:
        ids, mask = stage._batch([[7, 8, 9], [6]])
    finally:
        loaded.tokenizer.padding_side = "right"
    assert ids.tolist() == [[*[pad] * 5, 7, 8, 9], [*[pad] * 7, 6]]
    assert mask.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]]
    ids, mask = stage._batch([[7, 8, 9], [6]])
    assert ids.tolist() == [[7, 8, 9, *[pad] * 5], [6, *[pad] * 7]]
    assert mask.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]


def test_release_asks_nothing_of_a_run(loaded: LoadedModel) -> None:
    """A run that was cancelled between its windows can be let go, and the others go on."""
    stage = _stage(loaded)
    long, short = stage.begin([{"text": "word " * 200}, {"text": "good"}])
    assert not isinstance(long, EngineError)
    assert not isinstance(short, EngineError)
    assert not stage.step([long])[0].finished
    stage.release([long])
    assert stage.step([short])[0].result == _finish(stage, [{"text": "good"}])[0]


def test_without_padding_a_text_gets_the_same(loaded: LoadedModel) -> None:
    """Texts of any length share a step, long ones in windows, and no padding is counted."""
    padded = _finish(_stage(loaded), [{"text": text} for text in TEXTS])
    probes = [[BOS, *_ids(loaded, text), EOS] for text in TEXTS[:3]]
    row = unpadded(loaded.model, probes)
    assert row is not None
    stage = _stage(loaded, unpadded=row)
    results = _finish(stage, [{"text": text} for text in TEXTS])
    assert stage.counted.useful == stage.counted.computed > 0
    for result, expected in zip(results, padded, strict=True):
        assert isinstance(result, dict)
        assert isinstance(expected, dict)
        assert result["scores"] == pytest.approx(expected["scores"], abs=1e-5)
        assert result["windows"] == expected["windows"]
