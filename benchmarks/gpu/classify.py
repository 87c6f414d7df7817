"""Classification at full batches, as a share of the rate at which the device multiplies."""

from __future__ import annotations

from typing import Any

from benchmarks.decoding import sample_texts
from benchmarks.gpu.bench import Bench, ms
from benchmarks.gpu.limits import Limits
from benchmarks.gpu.models import roberta, tokenizer_of
from benchmarks.stats import spread
from wsproc.engine.models.linear import linear_weights
from wsproc.engine.models.load import LoadedModel
from wsproc.engine.models.source import resolve
from wsproc.engine.stages.builders import BUDGETS, CPU, GPU, LAUNCH, MULTIPLE
from wsproc.engine.stages.sentiment import SentimentStage

AIM = ">= 50 %"


def measure(bench: Bench, limits: Limits) -> None:
    """Note a step of texts of 50, 128 and 500 tokens, as many as its budget holds."""
    stage = _stage(bench)
    for tokens in (20,) if bench.tiny else (50, 128, 500):
        _measure(bench, limits, stage, tokens)


def _stage(bench: Bench) -> SentimentStage:
    source = resolve("sentiment", "embedded")
    assert source is not None
    loaded = LoadedModel(
        source, roberta(bench), tokenizer_of("sentiment"), bench.device, bench.dtype, 512
    )
    kind = CPU if bench.device.type == "cpu" else GPU
    budget = BUDGETS["sentiment", kind]
    return SentimentStage(
        loaded,
        rows=budget.rows,
        tokens=budget.tokens,
        launch=LAUNCH[kind],
        multiple=MULTIPLE,
    )


def _measure(bench: Bench, limits: Limits, stage: SentimentStage, tokens: int) -> None:
    rows = max(1, min(stage.budget.rows, stage.budget.tokens // tokens))
    texts = sample_texts(tokenizer_of("sentiment"), rows, tokens, tokens)
    items = [{"text": text} for text in texts]

    def step() -> None:
        stage.step(stage.begin(items))

    before = stage.counted.computed
    step()
    computed = stage.counted.computed - before
    operations = _operations(stage, computed, computed / rows)
    runs = iter([stage.begin(items) for _ in range(bench.rounds + 2)])
    alone = bench.repeated(lambda: stage.step(next(runs)))
    whole = bench.repeated(step)
    size = f"{rows} texts of {tokens} tokens"
    for what, times, aim in (("tokens given", alone, AIM), ("with tokenizing", whole, "")):
        shares = [100 * operations / seconds / limits.matrix for seconds in times]
        share = f"{spread(shares, 1)} %"
        bench.add(f"classify, {what}", size, ms(times), "matrix rate", share, aim)


def _operations(stage: Any, tokens: int, length: float) -> float:
    """Return what the encoder's matrix products cost for tokens in texts of a length.

    Two operations a weight and token, and in each layer four a number of the hidden state, token
    and token looked at; the head is small.
    """
    body = stage._model.base_model
    config = body.config
    weights = 2.0 * linear_weights(body)
    looks = 4.0 * config.num_hidden_layers * config.hidden_size * length
    return tokens * (weights + looks)
