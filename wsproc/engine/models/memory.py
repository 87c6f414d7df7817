"""How many rows of keys and values a decoding stage may hold, decided before they are allocated.

A row costs `fixed` bytes and `each` bytes for every position of its context. A stage gets as many
rows as fit into its budget, within what its device computes well; where not even one fits, the
context is cut to what does, down to a floor. The budget is what the user gave, or by itself:

- on CUDA half of the memory that is free once the weights are there; the rest is for activations
  and for the weights of stages that are built later. Reasoned, not measured;
- elsewhere a quarter of the memory that is available (see `engine.machine`).

All stages and workers that decode share it equally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.machine import available_memory

MB = 10**6
LEAST_CONTEXT = 128
"""Tokens below which a context is of no use to anybody, unless the model's own is smaller."""

_CPU_SHARE = 0.25
_CUDA_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RowCost:
    """Bytes of keys and values: `fixed` for a row, and `each` for every position of its context.

    A row has one position beyond its context, where what nobody reads is written.
    """

    fixed: int
    each: int

    def of(self, context: int) -> int:
        """Return the bytes of a row."""
        return self.fixed + self.each * (context + 1)

    def context_in(self, budget: int) -> int:
        """Return the longest context of a row in `budget` bytes, at least 0."""
        return max(0, (budget - self.fixed) // max(1, self.each) - 1)


@dataclass(frozen=True, slots=True)
class CachePlan:
    """Rows of `context` tokens, and the bytes of all of them together."""

    rows: int
    context: int
    size: int

    def facts(self) -> dict[str, Any]:
        """Return what people are told of it."""
        return {"rows": self.rows, "context": self.context, "kv_cache_mb": round(self.size / MB, 1)}


@torch.inference_mode()
def causal_cost(model: Any) -> RowCost:
    """Return what a row of a causal language model costs, told by one token in a forward pass.

    The keys and values of a pass tell it for any architecture: grouped heads, layers of different
    sizes, values narrower than keys.
    """
    output = model(input_ids=_a_token(model), use_cache=True)
    return RowCost(fixed=0, each=_held(output.past_key_values))


@torch.inference_mode()
def seq2seq_cost(model: Any, *, beams: int, target: int) -> RowCost:
    """Return what a row of an encoder-decoder model costs: `beams` times `target` positions of its
    own, and one beyond them, and, for each token of its source, one that its beams share.
    """
    token = _a_token(model)
    cache = model(input_ids=token, decoder_input_ids=token, use_cache=True).past_key_values
    own, source = _held(cache.self_attention_cache), _held(cache.cross_attention_cache)
    return RowCost(fixed=own * beams * (target + 1), each=source)


def plan_cache(
    stage: str, cost: RowCost, *, budget: int, rows: int, context: int, least: int = LEAST_CONTEXT
) -> CachePlan:
    """Return as many rows as fit into `budget` bytes, at most `rows`, at best of `context` tokens.

    A context is cut to no less than `least`. Raises `ModelUnavailable` when no row fits even so.
    """
    fitting = min(rows, budget // max(1, cost.of(context)))
    if fitting >= 1:
        return CachePlan(fitting, context, fitting * cost.of(context))
    shorter, floor = cost.context_in(budget), min(least, context)
    if shorter < floor:
        raise ModelUnavailable(
            f"the stage {stage} needs {_mb(cost.of(floor))} MB for the keys and values of one row"
            f" of {floor} tokens, but has {_mb(budget)} MB: give more by --kv-cache-mb (all"
            " stages and workers share it), or choose a smaller model"
        )
    return CachePlan(1, shorter, cost.of(shorter))


def cache_budget(asked_mb: float | None, shares: int, device: torch.device) -> int:
    """Return the bytes of one stage in one worker: its share of what was asked for or is there."""
    if asked_mb is not None:
        whole = int(asked_mb * MB)
    elif device.type == "cuda":
        whole = int(torch.cuda.mem_get_info(device)[0] * _CUDA_SHARE)
    else:
        whole = int(available_memory() * _CPU_SHARE)
    return whole // shares


def _a_token(model: Any) -> Tensor:
    return torch.zeros((1, 1), dtype=torch.long, device=model.device)


def _held(cache: Any) -> int:
    """Return the bytes of all keys and values in a cache that holds one position of one row."""
    states = [
        part
        for layer in cache.layers
        for part in (getattr(layer, "keys", None), getattr(layer, "values", None))
    ]
    return sum(part.numel() * part.element_size() for part in states if part is not None)


def _mb(size: int) -> str:
    return f"{size / MB:,.1f}"
