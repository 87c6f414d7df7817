"""How many rows of keys and values fit: computed before, and true of what is allocated after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.engine.stages.decoding.tiny import byte_tokenizer, causal_model, seq2seq_model
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models import memory
from wsproc.engine.models.memory import (
    CachePlan,
    RowCost,
    cache_budget,
    causal_cost,
    plan_cache,
    seq2seq_cost,
)
from wsproc.engine.stages.decoding.cache import SlotCache
from wsproc.engine.stages.generation import GenerationStage
from wsproc.engine.stages.summary import Seq2SeqSummaryStage

CPU = torch.device("cpu")
COST = RowCost(fixed=1000, each=10)
"""A row of 99 tokens is 2,000 bytes."""


def allocated(*caches: SlotCache) -> int:
    """Return the bytes of the blocks of some caches."""
    blocks = [block for cache in caches for block in cache._blocks()]
    return sum(block.numel() * block.element_size() for block in blocks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "mistral"])
def test_the_cost_of_a_generation_is_what_it_allocates(family: str, dtype: torch.dtype) -> None:
    """To the byte, whatever heads the architecture groups and whatever its number format."""
    model: Any = causal_model(family).to(dtype)
    cost = causal_cost(model)
    stage = GenerationStage(model, byte_tokenizer(bos=True), rows=3, tokens=8, context=20)
    assert allocated(stage._decoder.cache) == 3 * cost.of(20)


@pytest.mark.parametrize("family", ["bart", "pegasus", "t5"])
def test_the_cost_of_a_summary_is_what_it_allocates(family: str) -> None:
    """Its beams times its length, and once the length of its source."""
    model: Any = seq2seq_model(family)
    tokenizer = byte_tokenizer(pair=True)
    stage = Seq2SeqSummaryStage(model, tokenizer, rows=3, tokens=8, context=20, target=12)
    beams, decoder = stage._search.beams, stage._decoder
    assert beams > 1
    cost = seq2seq_cost(model, beams=beams, target=12)
    assert allocated(decoder.own_cache, decoder.source_cache) == 3 * cost.of(20)


@pytest.mark.parametrize(
    ("budget", "rows", "context"),
    [
        (10**9, 8, 99),  # the device is the limit
        (6000, 3, 99),
        (5999, 2, 99),
        (2000, 1, 99),
        (1999, 1, 98),  # not one whole row: the context gives way
        (1310, 1, 30),
    ],
)
def test_a_plan_is_what_fits(budget: int, rows: int, context: int) -> None:
    """Rows first; the context is cut only when there would be no row."""
    plan = plan_cache("summary", COST, budget=budget, rows=8, context=99, least=30)
    assert (plan.rows, plan.context) == (rows, context)
    assert plan.size == rows * COST.of(context) <= budget


def test_below_the_least_context_it_is_refused_in_words() -> None:
    """The sentence names the stage, the need, the budget and the way out."""
    with pytest.raises(ModelUnavailable) as caught:
        plan_cache("summary", RowCost(0, 10**6), budget=10**7, rows=8, context=99, least=30)
    assert str(caught.value) == (
        "the stage summary needs 31.0 MB for the keys and values of one row of 30 tokens, but has"
        " 10.0 MB: give more by --kv-cache-mb (all stages and workers share it), or choose a"
        " smaller model"
    )


def test_a_model_of_few_positions_has_no_other_least() -> None:
    """A context below the floor is not cut, and not refused either."""
    assert plan_cache("summary", COST, budget=1110, rows=8, context=10) == CachePlan(1, 10, 1110)
    with pytest.raises(ModelUnavailable, match="of 10 tokens"):
        plan_cache("summary", COST, budget=1109, rows=8, context=10)


def test_what_was_asked_for_is_shared() -> None:
    """The setting is of the engine: its stages and workers divide it."""
    assert cache_budget(90, 3, CPU) == 30 * 10**6


def test_by_itself_it_is_a_quarter_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three quarters are for the models, the server and everybody else."""
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * 10**9)
    assert cache_budget(None, 2, CPU) == 10**9


def test_on_cuda_it_is_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the device counts, not that of the machine."""
    asked: list[torch.device] = []

    def mem_get_info(device: torch.device) -> tuple[int, int]:
        asked.append(device)
        return 6 * 10**9, 80 * 10**9

    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    device = torch.device("cuda", 1)
    assert cache_budget(None, 3, device) == 10**9
    assert asked == [device]


def test_a_cache_that_holds_no_keys_costs_nothing() -> None:
    """Such a model is refused where it is decoded, not here."""
    assert memory._held(SimpleNamespace(layers=[SimpleNamespace(state=torch.zeros(3))])) == 0


def test_a_plan_tells_people_what_it_is() -> None:
    """In the words of the setting."""
    facts = CachePlan(rows=3, context=40, size=1_234_567).facts()
    assert facts == {"rows": 3, "context": 40, "kv_cache_mb": 1.2}
