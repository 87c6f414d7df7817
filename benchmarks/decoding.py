"""Decoding beside `generate()`: the stages, driven directly, on weights drawn at random.

    python -m benchmarks.decoding summaries [--threads 2] [--rounds 3] [--requests 8] [--profile]
    python -m benchmarks.decoding generation [--rows 1,8,16,32] [--model embedded] [--length 32]

`summaries` has the architecture of bart-large-cnn, `generation` that of Qwen2 0.5B with a smaller
vocabulary, or the embedded model. Random weights hardly ever end a text, so each has `--length`
tokens. All contenders take turns in one process; a ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import profile
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    ContinuousBatchingConfig,
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from wsproc.engine.models.linear import pack_linears
from wsproc.engine.models.source import resolve
from wsproc.engine.stages.generation import GenerationStage
from wsproc.engine.stages.summary_seq2seq import Seq2SeqSummaryStage

ARTICLE = Path(__file__).parent.parent / "examples" / "article.txt"
ALONE, STATIC, OURS = "generate(), one at a time", "generate(), one batch", "wsproc"
PAGED = "continuous batching of transformers"
STEP_TOKENS = 512
"""Tokens that one step of generation may hold, prompts included."""
HEAD = """\
| requests | contender | tokens/s | times the first | equal to `generate()` alone |
|-|-|-|-|-|"""

Decode = Callable[[], list[list[int]]]
"""Decodes all requests and returns their new tokens."""


def main() -> None:
    """Run one of the two benchmarks."""
    options = read_options()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.length} tokens a text")
    with torch.inference_mode():
        (summaries if options.what == "summaries" else generation)(options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["summaries", "generation"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--length", type=int, default=24, help="tokens of each answer")
    parser.add_argument("--requests", type=int, default=8, help="summaries at once")
    parser.add_argument("--rows", default="1,8,16,32", help="texts generated at once")
    parser.add_argument("--model", choices=["full", "embedded"], default="full")
    parser.add_argument("--profile", action="store_true", help="what a step of summaries does")
    return parser.parse_args()


# --- summaries -----------------------------------------------------------------------------------


def summaries(options: argparse.Namespace) -> None:
    """Compare summaries of sources of 150 to 400 tokens."""
    tokenizer = own_tokenizer()
    texts = sample_texts(tokenizer, options.requests, 150, 400)
    model = bart_large(options.length)
    # Of its own, since a stage changes its model; the seed is the same.
    own = bart_large(options.length)
    pack_linears(own)  # as it ships
    stage = Seq2SeqSummaryStage(own, tokenizer, rows=options.requests, tokens=4096, context=512)
    contenders = {
        ALONE: lambda: [one for text in texts for one in batch(model, tokenizer, [text])],
        STATIC: lambda: batch(model, tokenizer, texts),
        OURS: lambda: drive_summaries(stage, texts),
    }
    print(HEAD)
    compare(contenders[ALONE](), contenders, options.rounds)
    time_steps(stage, texts, options.length // 2 - 1, traced=options.profile)


def bart_large(length: int) -> Any:
    """Return the architecture of facebook/bart-large-cnn, with its way of generating."""
    torch.manual_seed(0)
    model: Any = BartForConditionalGeneration(BartConfig(vocab_size=50264))
    model.generation_config = GenerationConfig(
        num_beams=4,
        no_repeat_ngram_size=3,
        length_penalty=2.0,
        early_stopping=True,
        min_length=length // 2,
        max_length=length,
        forced_bos_token_id=0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=2,
        decoder_start_token_id=2,
    )
    return model.eval().requires_grad_(False)


def batch(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the summaries' tokens of `generate()`, without the start token and the padding."""
    inputs = tokenizer(list(texts), return_tensors="pt", padding=True, return_token_type_ids=False)
    rows: list[list[int]] = model.generate(**inputs).tolist()
    return [row[1 : row.index(2, 1) + 1] for row in rows]


def drive_summaries(stage: Seq2SeqSummaryStage, texts: Sequence[str]) -> list[list[int]]:
    """Return the summaries' tokens of the stage."""
    runs: Any = stage.begin([{"text": text} for text in texts])
    drive(stage, runs)
    return [stage._search.answer(run.request) for run in runs]


def time_steps(
    stage: Seq2SeqSummaryStage, texts: Sequence[str], steps: int, *, traced: bool
) -> None:
    """Print what the first step takes, with the encoder, and what a later one takes."""
    for count in sorted({1, len(texts)}):
        runs: Any = stage.begin([{"text": text} for text in texts[:count]])
        times = [timed(partial(stage.step, runs)) for _ in range(steps)]
        later = spread([1000 * seconds for seconds in times[1:]], 0)
        print(f"{count} requests: first step {1000 * times[0]:.0f} ms, a later one {later} ms")
        if traced and count == len(texts):
            with profile() as trace:
                stage.step(runs)
            print(trace.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))
        stage.release(runs)


# --- generation ----------------------------------------------------------------------------------


def generation(options: argparse.Namespace) -> None:
    """Compare greedy texts after prompts of 8 to 48 tokens."""
    tokenizer = own_tokenizer()
    model, paged = causal_model(options.model), causal_model(options.model)
    print(HEAD)
    for rows in map(int, options.rows.split(",")):
        generate_together(model, paged, tokenizer, rows, options)


def generate_together(
    model: Any, paged: Any, tokenizer: Any, rows: int, options: argparse.Namespace
) -> None:
    """Compare so many texts at once; `paged` is a copy of the model, whose attention is changed."""
    texts = sample_texts(tokenizer, rows, 8, 48)
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    stage = GenerationStage(model, tokenizer, rows=rows, tokens=STEP_TOKENS, context=256)
    manager = continuous(paged, rows, options.length)
    contenders = {
        STATIC: lambda: static(model, prompts, options.length),
        OURS: lambda: drive_generation(stage, texts, options.length),
        PAGED: lambda: paged_batch(manager, prompts, options.length),
    }
    try:
        wanted = [static(model, [one], options.length)[0] for one in prompts]
        compare(wanted, contenders, options.rounds)
    finally:
        manager.stop(block=True)


def causal_model(name: str) -> Any:
    """Return a decoder that chooses greedily and never ends of itself."""
    torch.manual_seed(0)
    if name == "embedded":
        model: Any = AutoModelForCausalLM.from_pretrained(weights(), dtype=torch.float32)
    else:
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=32000,
                hidden_size=896,
                intermediate_size=4864,
                num_hidden_layers=24,
                num_attention_heads=14,
                num_key_value_heads=2,
                max_position_embeddings=2048,
                tie_word_embeddings=True,
                # Wider than usual, so that rounding decides between two tokens less often.
                initializer_range=0.05,
            )
        )
    model.generation_config = GenerationConfig(do_sample=False, pad_token_id=1)
    model.config.eos_token_id = None
    return model.eval().requires_grad_(False)


def static(model: Any, prompts: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Return the tokens that `generate()` adds to prompts padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[1] * (width - len(one)) + list(one) for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    rows = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=length)
    return [row[width:].tolist() for row in rows]


def drive_generation(stage: GenerationStage, texts: Sequence[str], length: int) -> list[list[int]]:
    """Return the tokens that the stage adds."""
    runs: Any = stage.begin([{"prompt": text, "max_tokens": length} for text in texts])
    drive(stage, runs)
    return [run.tokens[len(run.prompt.tokens) :] for run in runs]


def continuous(model: Any, rows: int, length: int) -> Any:
    """Return a started manager with room for so many rows of 256 tokens."""
    manager = model.init_continuous_batching(
        GenerationConfig(do_sample=False, max_new_tokens=length, pad_token_id=1, eos_token_id=-1),
        ContinuousBatchingConfig(
            page_size=16, num_blocks=16 * rows + 16, max_batch_tokens=STEP_TOKENS
        ),
    )
    manager.start()
    return manager


def paged_batch(manager: Any, prompts: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Return the tokens that the manager adds."""
    names = [
        manager.add_request(list(one), max_new_tokens=length, streaming=True) for one in prompts
    ]
    found: dict[str, list[int]] = {}
    while len(found) < len(names):
        result = manager.get_result(timeout=60)
        if result is None or result.error:
            raise queue.Empty(result and result.error)
        if result.is_finished():
            found[result.request_id] = list(result.generated_tokens)
    return [found[name] for name in names]


# --- both ----------------------------------------------------------------------------------------


def compare(wanted: list[list[int]], contenders: dict[str, Decode], rounds: int) -> None:
    """Let the contenders take turns and print a row for each; `wanted` is what is right."""
    first, *_ = contenders
    equal = {name: matches(decode(), wanted) for name, decode in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, decode in contenders.items():
            seconds[name].append(timed(decode))
    tokens, count = sum(map(len, wanted)), len(wanted)
    for name, own in seconds.items():
        rates = [tokens / each for each in own]
        ratios = [a / b for a, b in zip(seconds[first], own, strict=True)]
        cells = f"{spread(rates, 1)} | {spread(ratios, 2)} | {equal[name]} of {count}"
        print(f"| {count} | {name} | {cells} |", flush=True)


def matches(found: list[list[int]], wanted: list[list[int]]) -> int:
    """Return how many texts are the same, token by token."""
    return sum(a == b for a, b in zip(found, wanted, strict=True))


def drive(stage: Any, runs: Sequence[Any]) -> None:
    """Step runs until all are finished, releasing each when it is."""
    live = list(runs)
    while live:
        told = list(zip(live, stage.step(live), strict=True))
        stage.release([run for run, emission in told if emission.finished])
        live = [run for run, emission in told if not emission.finished]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median and, behind it, the least and the most."""
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def own_tokenizer() -> Any:
    """Return the tokenizer of the embedded language model; its ids exist in all models here."""
    return AutoTokenizer.from_pretrained(weights())


def weights() -> Path:
    source = resolve("generation", "embedded")
    assert source is not None
    return Path(source.location)


def sample_texts(tokenizer: Any, count: int, least: int, most: int) -> list[str]:
    """Return parts of the article of `least` to `most` tokens, each beginning elsewhere."""
    tokens = tokenizer(ARTICLE.read_text(encoding="utf-8"), verbose=False)["input_ids"]
    starts = [index * len(tokens) // count for index in range(count)]
    sizes = [least + (most - least) * index // max(1, count - 1) for index in range(count)]
    parts = [(tokens + tokens)[at : at + size] for at, size in zip(starts, sizes, strict=True)]
    return [tokenizer.decode(part).strip() for part in parts]


if __name__ == "__main__":
    main()
