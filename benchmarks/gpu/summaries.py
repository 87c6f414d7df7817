"""Summaries of many clients and of one beside `generate()`, one text at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from benchmarks.decoding import drive_summaries, matches, sample_texts
from benchmarks.gpu.bench import Bench, ms
from benchmarks.gpu.limits import Limits
from benchmarks.gpu.models import bart, tokenizer_of, weight_bytes
from benchmarks.stats import ratios, spread
from wsproc.engine.stages.decoding.static_step import Capture
from wsproc.engine.stages.summary_seq2seq import Seq2SeqSummaryStage

ALONE = 3
"""Texts that `generate()` is given in each round; its time is taken by the text."""

AIMS = {1: ">= 2", 32: ">= 10"}


def measure(bench: Bench, limits: Limits, captures: dict[str, Capture | None]) -> None:
    """Note both at 32 clients and at one, and a step beside the time to read the weights once."""
    length = 8 if bench.tiny else 96
    tokenizer, model = tokenizer_of("generation"), bart(bench, length)
    clients = max(AIMS)
    short, long = (20, 40) if bench.tiny else (200, 800)
    texts = sample_texts(tokenizer, clients, short, long)
    read = weight_bytes(model.get_decoder(), model.get_output_embeddings())
    bound = read / limits.memory
    bench.add(
        "decoder of bart-large", f"{read / 1e9:.2f} GB", "", "",
        f"read once in {1000 * bound:.2f} ms", "",
    )  # fmt: skip
    chosen = texts[:: clients // ALONE][:ALONE]
    wanted = [generated(model, tokenizer, text) for text in chosen]
    alone = bench.repeated(lambda: [generated(model, tokenizer, text) for text in chosen], 0)
    alone = [seconds / ALONE for seconds in alone]
    bench.add("summary by `generate()`", f"{length} tokens", f"{ms(alone)} each", "", "", "")
    for name, capture in captures.items():
        # Of its own, since a stage changes its model's attention; the seed is the same.
        stage = Seq2SeqSummaryStage(
            bart(bench, length), tokenizer, rows=clients, tokens=16384, capture=capture
        )
        same = matches(drive_summaries(stage, chosen), wanted)
        for count, aim in AIMS.items():
            own = bench.repeated(partial(drive_summaries, stage, texts[:count]))
            each = [seconds / count for seconds in own]
            times = spread(ratios(alone, each), 1)
            size = f"{count} clients, {name}"
            bench.add("summary", size, f"{ms(each)} each", "`generate()`", f"{times} times", aim)
            _measure_step(bench, bound, stage, texts[:count], size)
        bench.add("summaries alike", name, f"{same} of {ALONE}", "`generate()`", "", "")


def generated(model: Any, tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a text's summary by `generate()`, without the start token."""
    ids = torch.tensor([tokenizer(text)["input_ids"]], device=model.device)
    output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))
    tokens: list[int] = output[0, 1:].tolist()
    return tokens


def _measure_step(
    bench: Bench, bound: float, stage: Seq2SeqSummaryStage, texts: list[str], size: str
) -> None:
    """Note the model's part of a step in the middle of its summaries, and the whole of it."""
    runs: Any = stage.begin([{"text": text} for text in texts])
    while any(run.request is None for run in runs):
        stage.step(runs)
    ready = sorted(runs, key=stage._slots.__getitem__)
    requests = [run.request for run in ready]
    model = bench.repeated(lambda: stage._advance(ready, requests))
    whole = [bench.seconds(lambda: stage.step(runs)) for _ in range(3)]
    stage.release(runs)
    for what, seconds, aim in (
        ("summary step, the model", model, "<= 3"),
        ("summary step, whole", whole, ""),
    ):
        times = spread([one / bound for one in seconds], 2)
        bench.add(what, size, ms(seconds), "reading the weights", f"{times} times", aim)
