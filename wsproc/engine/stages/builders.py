"""How the package's own stages are put together: source, device, model, and the size of a step.

Each builder imports what it needs itself, so that a process with entities alone is spared the
seconds and the memory of importing transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from wsproc.engine.call import Item, ModelUnavailable
from wsproc.engine.models.device import (
    resolve_device,
    resolve_dtype,
    tokenize_in_parallel,
    use_threads,
)
from wsproc.engine.models.linear import linear_weights, pack_linears, parameter_count
from wsproc.engine.models.memory import (
    LEAST_CONTEXT,
    CachePlan,
    RowCost,
    cache_budget,
    causal_cost,
    plan_cache,
    seq2seq_cost,
)
from wsproc.engine.models.source import Report, Source
from wsproc.engine.stages.registry import StageSettings
from wsproc.engine.stages.stage import Stage, StepBudget

if TYPE_CHECKING:
    from wsproc.engine.models.load import LoadedModel
    from wsproc.engine.stages.decoding.static_step import Capture

CPU, GPU = "cpu", "gpu"

# On a CPU a batch of more than 200 to 400 tokens gains nothing (measured), so steps are short. The
# figures for a GPU are reasoned and not measured: enough tokens that launching some hundred kernels
# is not all.
BUDGETS: Mapping[tuple[str, str], StepBudget] = {
    ("sentiment", CPU): StepBudget(64, 2048),
    ("sentiment", GPU): StepBudget(128, 16384),
    ("extractive", CPU): StepBudget(16, 4096),
    ("summary", CPU): StepBudget(16, 512),
    ("summary", GPU): StepBudget(64, 16384),
    ("entities", CPU): StepBudget(32, 1000),
    ("entities", GPU): StepBudget(64, 16000),
    ("generation", CPU): StepBudget(72, 256),
    ("generation", GPU): StepBudget(256, 4096),
}
"""Of summaries and generation the rows are the most that pay; fewer where memory is short."""

LAUNCH = {CPU: 48, GPU: 2048}
"""The fixed cost of a forward pass in tokens: on a CPU measured with models of 0.3 to 11 million
weights; on a GPU reasoned, as what it could compute while the kernels are launched."""

MULTIPLE = 8
"""What the length of a classifier's padded batch is rounded up to, on a GPU and for a small model
on a CPU: attention takes odd lengths worst. 39 texts of 45 tokens, 4 heads of 32, took 1.25 ms on
one thread of an AMD EPYC, 39 of 48 tokens take 0.87. Where the linear layers are large, their
padding costs more than that.
"""

_CONTEXT = {CPU: 2048, GPU: 4096}
"""Tokens of prompt and answer for which a row of generation sets memory aside, unless asked."""

_STEP_WORK = 10e9
"""Operations that a step of a classifier may take for each thread of a CPU: about 0.1 s."""

_LEAST_STEP_TOKENS = 256

_LEAST_PROMPT_TOKENS = 128
"""Tokens in a step of generation on a CPU, however large the model."""

_WARM_UP: Mapping[str, Item] = {
    "sentiment": {"text": "The first pass is slow, and nobody should wait for it."},
    "summary": {
        "text": "The first pass is slow. Nobody should wait for it.",
        "min_length": 1,
        "max_length": 8,
    },
    "entities": {"text": "Nobody in Paris should wait for the first pass."},
    "generation": {"prompt": "The first pass", "max_tokens": 4},
}
"""What each stage is tried with: little work, but all of the way through the model."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model runs, and how."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def kind(self) -> str:
        """The row of the tables above."""
        return CPU if self.device.type == "cpu" else GPU


def _sentiment(source: Source, settings: StageSettings, report: Report) -> Stage:
    from wsproc.engine.models.load import load_classifier
    from wsproc.engine.models.precision import is_small, suit_classifier
    from wsproc.engine.stages.sentiment import SentimentStage

    options = _options(source, settings, "label_map", "scale", "normalize")
    if "scale" in options:
        options["scale"] = _scale(options["scale"])
    place = _place(settings)
    suited = suit_classifier(
        load_classifier(source, place.device, place.dtype, report), settings.dtype, report
    )
    loaded = suited.loaded
    budget = _budget("sentiment", place.kind, settings)
    if settings.tokens is None and place.kind == CPU:
        budget = StepBudget(budget.rows, _step_tokens(loaded, place.threads, budget.tokens))
    pads = place.kind == GPU or (is_small(loaded.model) and not suited.apart)
    stage = SentimentStage(
        loaded,
        rows=budget.rows,
        tokens=budget.tokens,
        launch=None if suited.apart else LAUNCH[place.kind],
        multiple=MULTIPLE if pads else 1,
        unpadded=suited.unpadded,
        **options,
    )
    return _with_facts(stage, {**_facts(loaded), **suited.facts})


def _summary(source: Source, settings: StageSettings, report: Report) -> Stage:
    from wsproc.engine.models.load import is_extractive, load_extractive, load_seq2seq
    from wsproc.engine.stages.decoding.summary_config import SummaryConfig
    from wsproc.engine.stages.summary import ExtractiveSummaryStage, Seq2SeqSummaryStage

    place = _place(settings)
    if is_extractive(source, report):
        _options(source, settings)
        budget = _budget("extractive", CPU, settings)
        summarizer = load_extractive(source, report)
        chooser = ExtractiveSummaryStage(summarizer, rows=budget.rows, tokens=budget.tokens)
        return _with_facts(chooser, {"model": source.title, "device": CPU})
    options = _options(source, settings, "context", "target", "max_windows", "graphs")
    capture = _capture(place.device, options)
    loaded = load_seq2seq(source, place.device, place.dtype, report)
    pack_linears(loaded.model)
    budget = _budget("summary", place.kind, settings)
    config = SummaryConfig(loaded.model, target=options.get("target"))
    cost = seq2seq_cost(loaded.model, beams=config.search().beams, target=config.target)
    plan = _plan(loaded, cost, budget.rows, loaded.max_tokens, options, settings)
    report(_held("summary", plan))
    writer = Seq2SeqSummaryStage(
        loaded.model,
        loaded.tokenizer,
        rows=plan.rows,
        tokens=budget.tokens,
        launch=LAUNCH[place.kind],
        capture=capture,
        **options,
    )
    return _with_facts(writer, {**_facts(loaded), **plan.facts()})


def _entities(source: Source, settings: StageSettings, report: Report) -> Stage:
    """Build on the CPU unless the option `gpu` is true: `--device cuda` is for the other stages.

    A small pipeline gains nothing on a GPU, and spaCy needs a package of its own (cupy) for it.
    """
    from wsproc.engine.models.pipeline import load_spacy
    from wsproc.engine.stages.entities import EntitiesStage

    options = _options(source, settings, "piece_characters", "gpu")
    device = resolve_device(settings.device if options.pop("gpu", False) else CPU)
    use_threads(settings.threads)
    loaded = load_spacy(source, device, report)
    budget = _budget("entities", CPU if device.type == CPU else GPU, settings)
    stage = EntitiesStage(loaded, rows=budget.rows, tokens=budget.tokens, **options)
    facts = {"model": source.title, "device": str(device), "components": loaded.nlp.pipe_names}
    return _with_facts(stage, facts)


def _generation(source: Source, settings: StageSettings, report: Report) -> Stage:
    from wsproc.engine.models.load import load_causal_lm
    from wsproc.engine.stages.generation import GenerationStage

    options = _options(source, settings, "context", "chat", "max_tokens", "graphs")
    place = _place(settings)
    capture = _capture(place.device, options)
    loaded = load_causal_lm(source, place.device, place.dtype, report)
    pack_linears(loaded.model)
    budget = _budget("generation", place.kind, settings)
    if settings.tokens is None and place.kind == CPU:
        least, most = _LEAST_PROMPT_TOKENS, budget.tokens
        budget = StepBudget(budget.rows, _step_tokens(loaded, place.threads, most, least))
    cost = causal_cost(loaded.model)
    usual = min(loaded.max_tokens, _CONTEXT[place.kind])
    plan = _plan(loaded, cost, budget.rows, usual, options, settings)
    report(_held("generation", plan))
    stage = GenerationStage(
        loaded.model,
        loaded.tokenizer,
        rows=plan.rows,
        tokens=budget.tokens,
        launch=LAUNCH[place.kind],
        capture=capture,
        **options,
    )
    return _with_facts(stage, {**_facts(loaded), **plan.facts()})


BUILDERS: Mapping[str, Callable[[Source, StageSettings, Report], Stage]] = {
    "sentiment": _sentiment,
    "summary": _summary,
    "entities": _entities,
    "generation": _generation,
}
"""How each stage of the package is built; all raise `ModelUnavailable`."""


def _place(settings: StageSettings) -> _Place:
    """Return where to run, and let torch use as many threads as the settings say."""
    device = resolve_device(settings.device)
    dtype = resolve_dtype(settings.dtype, device)
    threads = use_threads(settings.threads)
    if device.type != CPU:
        tokenize_in_parallel(threads)
    return _Place(device, dtype, threads)


def _capture(device: torch.device, options: dict[str, Any]) -> Capture | None:
    """Return how decode steps are captured; takes `graphs` from the options, false for not."""
    if not options.pop("graphs", True) or device.type != "cuda":
        return None
    from wsproc.engine.stages.decoding.cuda_graph import CudaCapture

    return CudaCapture(device)


def _budget(stage: str, kind: str, settings: StageSettings) -> StepBudget:
    usual = BUDGETS[stage, kind]
    return StepBudget(settings.rows or usual.rows, settings.tokens or usual.tokens)


def _plan(
    loaded: LoadedModel,
    cost: RowCost,
    rows: int,
    usual: int,
    options: dict[str, Any],
    settings: StageSettings,
) -> CachePlan:
    """Return the rows that fit into memory, and set `context` in the options to what they hold.

    It is `usual` unless one was asked for, which is then not cut.
    """
    asked = options.get("context")
    context = usual if asked is None else min(asked, loaded.max_tokens)
    plan = plan_cache(
        loaded.source.stage,
        cost,
        budget=cache_budget(settings.kv_cache_mb, settings.kv_shares, loaded.device),
        rows=rows,
        context=context,
        least=LEAST_CONTEXT if asked is None else context,
    )
    options["context"] = plan.context
    return plan


def _held(stage: str, plan: CachePlan) -> str:
    size = plan.facts()["kv_cache_mb"]
    return f"{stage} holds {plan.rows} rows of {plan.context} tokens in {size:,} MB"


def _step_tokens(
    loaded: LoadedModel, threads: int, most: int, least: int = _LEAST_STEP_TOKENS
) -> int:
    """Return how many tokens a CPU classifies, or reads of a prompt, in about 0.1 s.

    A token costs two operations for each weight of a matrix product.
    """
    affordable = int(threads * _STEP_WORK / (2 * max(1, linear_weights(loaded.model))))
    return max(least, min(most, affordable))


def _facts(loaded: LoadedModel) -> dict[str, Any]:
    return {
        "model": loaded.source.title,
        "device": str(loaded.device),
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "max_tokens": loaded.max_tokens,
        "parameters": parameter_count(loaded.model),
    }


def _with_facts(stage: Any, facts: Mapping[str, Any]) -> Stage:
    """Let a stage tell people about its model, and the worker what to try it with."""
    stage.facts = facts
    stage.warm_up_item = _WARM_UP[stage.name]
    built: Stage = stage
    return built


def _options(source: Source, settings: StageSettings, *known: str) -> dict[str, Any]:
    """Return the stage's own options; refuse what it does not know."""
    unknown = sorted(set(settings.options) - set(known))
    if unknown:
        raise ModelUnavailable(
            f"the stage {source.stage} with the model {settings.model} has no option"
            f" {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        )
    return dict(settings.options)


def _scale(value: Any) -> tuple[float, float]:
    match value:
        case [int() | float() as low, int() | float() as high]:
            return float(low), float(high)
        case _:
            raise ModelUnavailable(f"option scale: two numbers are needed, not {value!r}")
