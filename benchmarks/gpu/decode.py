"""Decode steps beside the time it takes to read the weights once, plain and captured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.decoding import sample_texts
from benchmarks.gpu.bench import Bench, ms
from benchmarks.gpu.limits import Limits
from benchmarks.gpu.models import qwen, tokenizer_of, weight_bytes
from benchmarks.stats import spread
from wsproc.engine.stages.decoding.static_step import Capture
from wsproc.engine.stages.generation import GenerationStage

AIM = "<= 3"
STEPS = 20
"""Steps in one timing."""


def measure(bench: Bench, limits: Limits, captures: dict[str, Capture | None]) -> None:
    """Note the model's pass, and a whole step with choosing and detokenizing, by rows."""
    model, tokenizer = qwen(bench), tokenizer_of("generation")
    bound = weight_bytes(model) / limits.memory
    bench.add(
        "decoder of 0.5 B", f"{weight_bytes(model) / 1e9:.2f} GB", "", "",
        f"read once in {1000 * bound:.2f} ms", "",
    )  # fmt: skip
    for rows in (1, 3) if bench.tiny else (1, 8, 32, 128):
        for name, capture in captures.items():
            stage = GenerationStage(
                model, tokenizer, rows=rows, tokens=4096, context=1024, chat=False, capture=capture
            )
            _measure(bench, bound, stage, f"{rows} rows, {name}")


def _measure(bench: Bench, bound: float, stage: GenerationStage, size: str) -> None:
    rows = stage.budget.rows
    least, most = (20, 24) if bench.tiny else (200, 300)
    texts = sample_texts(stage._tokenizer, rows, least, most)
    runs: Any = stage.begin([{"prompt": text, "max_tokens": 700} for text in texts])
    while any(run.filling for run in runs):
        stage.step(runs)
    model = bench.repeated(partial(_passes, stage, runs))
    whole = bench.repeated(lambda: [stage.step(runs) for _ in range(STEPS)], warm_up=1)
    stage.release(runs)
    for what, seconds, aim in (("the model", model, AIM), ("whole step", whole, "")):
        each = [one / STEPS for one in seconds]
        times = spread([one / bound for one in each], 2)
        bench.add(f"decode, {what}", size, ms(each), "reading the weights", f"{times} times", aim)
    rate = rows / statistics.median([one / STEPS for one in whole])
    bench.add("decode, tokens", size, f"{rate:.0f} a second", "", "", "")


def _passes(stage: GenerationStage, runs: Sequence[Any]) -> None:
    """Take the model's part of a step again and again; it may be repeated."""
    ready = sorted(runs, key=stage._slots.__getitem__)
    for _ in range(STEPS):
        stage._decode(ready)
