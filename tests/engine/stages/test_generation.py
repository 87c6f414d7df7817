from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tests.engine.stages.decoding.driver import Told, drive
from tests.engine.stages.decoding.scarce import starve
from tests.engine.stages.decoding.tape import TapeCapture
from tests.engine.stages.decoding.tiny import (
    LINES,
    TEMPLATE,
    byte_tokenizer,
    causal_model,
    lean_to_end,
)
from wsproc.engine.call import EngineError, InvalidItem
from wsproc.engine.stages.decoding import causal
from wsproc.engine.stages.generation import GenerationStage

WORDS = " ".join(LINES).split()


def make_stage(family: str = "llama", *, ends: float = 2.0, **options: Any) -> GenerationStage:
    """Return a small stage; `ends` makes the end token likelier."""
    model = causal_model(family, seed=1)
    lean_to_end(model, ends)
    options = {"rows": 5, "tokens": 24, "launch": 3, **options}
    return GenerationStage(model, byte_tokenizer(bos=True), **options)


def random_item(rng: random.Random) -> dict[str, Any]:
    """Return a prompt with settings of one of several kinds."""
    item: dict[str, Any] = {
        "prompt": " ".join(rng.choices(WORDS, k=rng.randint(1, 10))),
        "max_tokens": rng.randint(1, 14),
    }
    kind = rng.choice(["greedy", "plain", "shaped", "own"])
    if kind == "greedy":
        item["temperature"] = 0
    if kind in ("plain", "shaped"):
        item |= {"temperature": rng.choice([0.5, 1.0, 1.7]), "seed": rng.getrandbits(62)}
    if kind == "shaped":
        item |= {"top_k": rng.choice([0, 5, 40]), "top_p": rng.choice([0.5, 0.9, 1.0])}
    if rng.random() < 0.3:
        item["repetition_penalty"] = 1.4
    return item


def reference(stage: GenerationStage, item: dict[str, Any]) -> list[int]:
    """Return the tokens that `generate()` gives for the item alone."""
    tokenizer, model = stage._tokenizer, stage._decoder.model
    keys = {"top_k", "top_p", "repetition_penalty", "temperature"} & item.keys()
    options = {key: item[key] for key in keys}
    if item.get("temperature") == 0:
        del options["temperature"]
        options["do_sample"] = False
    elif "temperature" in item:
        options["do_sample"] = True
    if "seed" in item:
        torch.manual_seed(item["seed"])
    inputs = tokenizer(item["prompt"], return_tensors="pt").to(model.device)
    output = model.generate(**inputs, max_new_tokens=item["max_tokens"], **options)
    return output[0, inputs["input_ids"].shape[1] :].tolist()


def assert_as_alone(stage: GenerationStage, item: dict[str, Any], told: Told) -> None:
    """Hold what an item gave against `generate()` alone."""
    tokens = reference(stage, item)
    assert told.result is not None
    assert told.run.tokens[len(told.run.prompt.tokens) :] == tokens
    assert told.result["text"] == stage._tokenizer.decode(tokens, skip_special_tokens=True)
    assert told.result["text"] == "".join(told.deltas)
    assert told.result["completion_tokens"] == len(tokens)
    assert told.result["finish_reason"] == ("eos" if tokens[-1] == 2 else "length")


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "mistral"])
def test_any_company_gives_what_generate_gives_alone(family: str) -> None:
    """Whatever joins, leaves, is cancelled or left out of a step beside a run, its tokens and text
    are those of `generate()` alone, greedy and by seed.
    """
    assert_company_changes_nothing(make_stage(family), random.Random(family), 36)


def assert_company_changes_nothing(stage: GenerationStage, rng: random.Random, count: int) -> None:
    """Run so many random items that come and go at random; those that finish are as alone."""
    items = [random_item(rng) for _ in range(count)]
    told = drive(stage, items, rng, cancel=0.02)
    finished = [(item, one) for item, one in zip(items, told, strict=True) if one.result]
    assert len(finished) > count // 2
    for item, one in finished:
        assert_as_alone(stage, item, one)
    assert {one.result["finish_reason"] for _, one in finished if one.result} == {"eos", "length"}
    assert stage._slots.free == 5


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "mistral"])
def test_captured_steps_give_what_generate_gives_alone(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do steps that are captured once at a few sizes and replayed: what differs from step to
    step is in their tensors, and rows that take no part leave no trace.
    """
    monkeypatch.setattr(causal, "LEAST_LENGTH", 16)
    capture = TapeCapture()
    stage = make_stage(family, capture=capture)
    assert_company_changes_nothing(stage, random.Random(family), 20)
    assert 6 <= capture.captured <= 4 * 4
    assert capture.replayed > 20


@pytest.mark.parametrize("good", [0, 5])
def test_steps_that_cannot_be_captured_are_taken_all_the_same(
    good: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From the first one on, or from any later one: a line in the log says so, and the tokens are
    what they are.
    """
    monkeypatch.setattr(causal, "LEAST_LENGTH", 16)
    capture = TapeCapture()

    def failing(work: Callable[[], None]) -> Callable[[], None]:
        if capture.captured == good:
            raise RuntimeError("operation not permitted when stream is capturing")
        return capture(work)

    stage = make_stage(capture=failing)
    assert_company_changes_nothing(stage, random.Random(7), 16)
    assert [record.getMessage() for record in caplog.records] == [
        "decode steps run without captured graphs: RuntimeError: operation not permitted when"
        " stream is capturing"
    ]


def test_eager_attention_gives_the_same() -> None:
    """A model that runs without `sdpa` gets masks that are added to its scores."""
    model = causal_model("llama", seed=1)
    model.set_attn_implementation("eager")
    stage = GenerationStage(model, byte_tokenizer(bos=True), rows=3, tokens=24)
    rng = random.Random(1)
    items = [random_item(rng) for _ in range(6)]
    for item, one in zip(items, drive(stage, items, rng), strict=True):
        assert_as_alone(stage, item, one)


@pytest.mark.parametrize("capture", [None, TapeCapture()], ids=["plain", "captured"])
def test_memory_may_run_out_at_any_moment(capture: TapeCapture | None) -> None:
    """Wherever in a step it does, the step can be taken again, and every run goes on as if nothing
    had been: no token is doubled or lost, and no draw is drawn twice.
    """
    stage, rng = make_stage(capture=capture), random.Random(2)
    items = [{**random_item(rng), "max_tokens": 3} for _ in range(9)]
    scarce = starve(stage)
    told = drive(stage, items, rng)
    assert scarce.raised > 100
    for item, one in zip(items, told, strict=True):
        assert_as_alone(stage, item, one)


@pytest.mark.parametrize("capture", [None, TapeCapture()], ids=["plain", "captured"])
def test_scores_that_are_no_numbers_fail_their_run_alone(capture: TapeCapture | None) -> None:
    """A run whose logits are NaN fails; its neighbours and the next owner of its slot do not
    notice.
    """
    stage, rng = make_stage(rows=3, capture=capture), random.Random(3)
    poison = "@"
    (token,) = stage._tokenizer(poison, add_special_tokens=False)["input_ids"]
    embedding = stage._decoder.model.get_input_embeddings().weight.data
    # The model that the answers are compared with never sees the poisoned token.
    items = [{**random_item(rng), "temperature": 0} for _ in range(12)]
    texts = [f"{poison}{item['prompt']}" if at % 3 == 0 else item["prompt"]
             for at, item in enumerate(items)]  # fmt: skip
    wanted = [reference(stage, {**item, "temperature": 0}) for item in items]
    embedding[token] = float("nan")
    told = drive(stage, [{**i, "prompt": t} for i, t in zip(items, texts, strict=True)], rng)
    for at, one in enumerate(told):
        if at % 3 == 0:
            assert type(one.error) is EngineError
        else:
            assert one.run.tokens[len(one.run.prompt.tokens) :] == wanted[at]


def test_stop_strings_end_the_text_before_them() -> None:
    """The text ends before the first stop string, which no delta gives away even in part, and the
    run ends with the token that completed it.
    """
    stage, rng = make_stage(ends=-9.0), random.Random(4)
    items = [{**random_item(rng), "temperature": 0, "max_tokens": 14} for _ in range(8)]
    texts = [one.result["text"] for one in drive(stage, items, rng) if one.result]
    stops = [text[len(text) // 2 :][:2] for text in texts]
    asked = [
        {**item, "stop": [stop, "never this"]} for item, stop in zip(items, stops, strict=True)
    ]
    for one, text, stop in zip(drive(stage, asked, rng), texts, stops, strict=True):
        assert one.result is not None
        assert one.result["finish_reason"] == "stop"
        assert one.result["text"] == text[: text.index(stop)] == "".join(one.deltas)
        assert one.result["completion_tokens"] <= 14


def test_a_seedless_draw_differs_from_run_to_run() -> None:
    """Without a seed each run draws by a random one of its own."""
    stage, rng = make_stage(ends=-9.0), random.Random(5)
    item = {"prompt": "The river", "max_tokens": 12, "temperature": 1.5}
    told = drive(stage, [item] * 4, rng)
    assert len({one.result["text"] for one in told if one.result}) > 1


def test_a_prompt_beyond_the_context_keeps_its_end() -> None:
    """Of a prompt that is too long the end is read, behind the beginning-of-sequence token; the
    result says so, and prompt and answer fit the context together.
    """
    stage, rng = make_stage(ends=-9.0, context=40), random.Random(6)
    prompt = " ".join(LINES)
    item = {"prompt": prompt, "max_tokens": 100, "temperature": 0}
    (one,) = drive(stage, [item], rng)
    ids = stage._tokenizer(prompt)["input_ids"]
    assert one.result is not None
    assert one.result["prompt_truncated"] is True
    assert one.run.prompt.tokens == (ids[0], *ids[-29:])
    assert one.result["prompt_tokens"] == 30
    assert one.result["completion_tokens"] == 10
    (short,) = drive(stage, [{"prompt": "The", "max_tokens": 100, "temperature": 0}], rng)
    assert short.result is not None
    assert short.result["prompt_truncated"] is False
    assert short.result["prompt_tokens"] + short.result["completion_tokens"] == 40


def test_a_chat_model_is_asked_in_its_template() -> None:
    """The prompt of a model with a chat template is one user turn, unless that is switched off."""
    model, tokenizer = causal_model("llama", seed=1), byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    for chat, text in ((True, "<s>user: Hello\nassistant:"), (False, "Hello")):
        stage = GenerationStage(model, tokenizer, rows=2, tokens=16, chat=chat)
        (run,) = stage.begin([{"prompt": "Hello"}])
        assert not isinstance(run, EngineError)
        assert list(run.prompt.tokens) == tokenizer(text)["input_ids"]


def test_what_an_item_leaves_open_is_the_models_own() -> None:
    """An item without settings gets those of the model's generation config; a config without a
    length gets the stage's.
    """
    stage = make_stage(ends=-9.0, max_tokens=7)
    (run,) = stage.begin([{"prompt": "The river", "temperature": None, "stop": None}])
    assert not isinstance(run, EngineError)
    assert run.limit == 7
    assert run.policy.generator is None

    model = causal_model("llama", seed=1)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=9, repetition_penalty=1.2, max_length=30,
        eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    stage = GenerationStage(model, byte_tokenizer(), rows=2, tokens=16)
    (run,) = stage.begin([{"prompt": "The river", "seed": 5}])
    assert not isinstance(run, EngineError)
    torch.manual_seed(5)
    inputs = stage._tokenizer("The river", return_tensors="pt")
    wanted = model.generate(**inputs)[0].tolist()
    while not stage.step([run])[0].finished:
        assert run.generated < 30
    assert run.tokens == wanted


def test_a_step_is_bounded_and_prompts_share_it() -> None:
    """A step reads no more prompt than the budget leaves, in equal parts, so that a short prompt
    does not wait for a long one; runs that decode go on meanwhile.
    """
    stage = make_stage(ends=-9.0, rows=4, tokens=12)
    first, *_ = stage.begin([{"prompt": "So", "max_tokens": 30, "temperature": 0}])
    assert not isinstance(first, EngineError)
    stage.step([first])
    long, short = stage.begin([{"prompt": " ".join(LINES)[:150]}, {"prompt": "A tree"}])
    assert not isinstance(long, EngineError)
    assert not isinstance(short, EngineError)
    before = first.generated
    stage.step([first, long, short])
    assert first.generated == before + 1
    assert (long.cached, short.cached) == (5, min(5, len(short.prompt.tokens)))
    while short.filling:
        stage.step([first, long, short])
    assert long.filling
    assert short.generated == 1
    assert sorted(map(stage._slots.__getitem__, (first, short))) == [0, 1]


def test_a_short_answer_begins_beside_64_long_ones() -> None:
    """With a slot free, its prompt is read within three steps."""
    stage = make_stage(ends=-100.0, rows=72, tokens=256)
    long = stage.begin([{"prompt": "a", "max_tokens": 60, "seed": n} for n in range(64)])
    while any(run.filling for run in long):
        stage.step(long)
    (short,) = stage.begin([{"prompt": " ".join(WORDS)[:40], "max_tokens": 2, "seed": 1}])
    for _ in range(3):
        assert not any(emission.finished for emission in stage.step([*long, short])[:-1])
    assert short.generated > 0
    stage.release([*long, short])


@pytest.mark.parametrize("launch", [1, 1000])
def test_prompts_of_like_length_are_read_together(launch: int) -> None:
    """Padding is computed only where it costs less than another pass, and it is counted."""
    stage = make_stage(rows=3, tokens=300, launch=launch)
    runs = stage.begin([{"prompt": text} for text in ("ab", "cd", "efghijkl")])
    sizes = [len(run.prompt.tokens) for run in runs if not isinstance(run, EngineError)]
    assert sizes[0] == sizes[1] < sizes[2]
    stage.step(runs)
    assert stage.counted.useful == sum(sizes)
    assert stage.counted.computed == (sum(sizes) if launch == 1 else 3 * sizes[2])


def test_a_run_goes_on_where_another_broke_off() -> None:
    """With what the deltas so far said of their tokens, and behind any of them, a new run gives
    the deltas that would have followed and the same result: greedy, by seed, with penalties, stop
    strings, held back text and a prompt that had to be cut.
    """
    stage, rng = make_stage(ends=-1.0, context=48), random.Random(12)
    items = [{**random_item(rng), "max_tokens": 12, "stop": ["e", "zzz"]} for _ in range(12)]
    items += [{**items[0], "prompt": " ".join(LINES * 2)}]
    whole = [deltas_of(stage, item) for item in items]
    assert max(len(deltas) for deltas, _ in whole) > 6
    for item, (deltas, result) in zip(items, whole, strict=True):
        for at in range(1, len(deltas) + (result["finish_reason"] == "eos")):
            known = [delta["resume"] for delta in deltas[:at]]
            assert deltas_of(stage, {**item, "resume": known}) == (deltas[at:], result)


def deltas_of(stage: GenerationStage, item: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return all deltas of an item that runs alone, and its result."""
    (run,) = stage.begin([item])
    deltas: list[Any] = []
    result = None
    while result is None:
        (emission,) = stage.step([run])
        deltas += emission.deltas
        result = emission.result
    stage.release([run])
    return deltas, result


def test_runs_beyond_the_rows_wait_for_a_slot() -> None:
    """More runs than rows may be begun; those without a slot give nothing until one is free."""
    stage, rng = make_stage(rows=2), random.Random(8)
    items = [random_item(rng) for _ in range(9)]
    for item, one in zip(items, drive(stage, items, rng, together=6), strict=True):
        assert_as_alone(stage, item, one)


def test_release_may_be_repeated() -> None:
    """Releasing a run twice, or one that never stepped, changes nothing for the others."""
    stage = make_stage(rows=2)
    runs = stage.begin([{"prompt": "A"}, {"prompt": "B"}])
    stage.step(runs[:1])
    stage.release(runs)
    stage.release(runs)
    assert stage._slots.free == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": None}, "prompt must be a string"),
        ({"prompt": "\ud800"}, "lone surrogate"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"resume": [1, 2]}, "resume must be a list of lists"),
        ({"resume": [[1, 99_999]]}, "resume must hold tokens"),
        ({"resume": [[3] * 9], "max_tokens": 9}, "resume must have fewer tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": 2.0}, "top_k"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"stop": [""]}, "stop"),
        ({"stop": [3]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
    ],
)
def test_an_unreadable_item_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    """A field of the wrong type or range comes back as `InvalidItem` that names it, and the items
    beside it are read.
    """
    stage = make_stage(rows=2)
    bad, good = stage.begin([{"prompt": "A", **change}, {"prompt": "B"}])
    assert isinstance(bad, InvalidItem)
    assert words in bad.message
    assert not isinstance(good, EngineError)


def test_a_prompt_without_tokens_is_refused() -> None:
    """There is nothing to continue in an empty prompt where the tokenizer adds no token."""
    stage = GenerationStage(causal_model("llama"), byte_tokenizer(), rows=1, tokens=8)
    assert isinstance(stage.begin([{"prompt": ""}])[0], InvalidItem)


def test_weigh_reads_anything() -> None:
    """`weigh` gives the prompt's estimated tokens within a step, and 1 for what is no prompt."""
    stage = make_stage(tokens=20)
    weights = [stage.weigh({"prompt": prompt}) for prompt in ("word " * 8, "x" * 999, None, 7)]
    assert weights == [12, 20, 1, 1]
