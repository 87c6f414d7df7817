"""In which precision a classifier runs on a CPU: int8 where it pays and the results are kept.

Whether they are kept is seen at load: the sentences below go through the model in both precisions,
one by one. What is known of int8's speed: a classifier of 85 million weights runs 2.4 to 3 times as
fast as in float32, one of 0.2 million no faster (`benchmarks/README.md`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from wsproc.engine.models.linear import (
    has_fast_int8,
    linear_weights,
    pack_linears,
    quantize_linears,
)
from wsproc.engine.models.load import LoadedModel
from wsproc.engine.models.source import Report
from wsproc.engine.models.unpadded import Unpadded, unpadded

INT8 = "int8"

LEAST_WEIGHTS = 5_000_000
"""Weights of linear layers from which on int8 pays; between the models above lies nothing that was
measured.
"""

LEAST_AGREEMENT = 0.95
"""Share of the sentences whose label must stay what it is in float32."""

MOST_CHANGE = 0.1
"""How far the probability of a label may move on any of the sentences."""

SENTENCES = (
    "The soup was cold, the waiter was rude, and nobody apologised.",
    "What a lovely surprise, this is the best present I have ever had!",
    "The meeting has been moved to Thursday at ten.",
    "I would not recommend this hotel to anyone.",
    "It does what it says, no more and no less.",
    "After two hours of waiting the train finally left, and it broke down again outside the city.",
    "Her new album is full of warmth, and I have been listening to it all week.",
    "The report covers the years from 2010 to 2019.",
    "Thank you so much for your help, it works perfectly now.",
    "The battery lasts an hour at best, which makes the phone useless on a journey.",
    "Water boils at a lower temperature in the mountains.",
    "I am not sure what to think of the ending.",
    "They promised a refund in March and I am still waiting for it.",
    "We won! I cannot believe it, what a match!",
    "The library is open every day except Sunday.",
    "The acting is fine, but the story is as thin as paper.",
    "A small, quiet place with honest food and friendly people.",
    "The update deleted all my notes.",
    "She works as an engineer at a company in Leeds.",
    "Worse than I feared, and I feared the worst.",
    "The instructions are clear, the parts fit, and it took me twenty minutes.",
    "Prices rose by two percent in the last quarter.",
    "My order came a day early and was packed with care.",
    "I have had enough of these excuses.",
)


@dataclass(frozen=True, slots=True)
class Suited:
    """A classifier as it is to run; `facts` are for people.

    `unpadded` is how to run it without padding, where that is known to give the same and to pay.
    `apart` is whether only texts of equal length may share a padded batch: in int8 the last bit of
    an input decides how it is rounded, and padding would reach that bit.
    """

    loaded: LoadedModel
    facts: Mapping[str, Any] = field(default_factory=dict)
    apart: bool = False
    unpadded: Unpadded | None = None


def suit_classifier(loaded: LoadedModel, asked: str, report: Report) -> Suited:
    """Return a classifier as it runs best on its device; `asked` is the setting `dtype`.

    On a CPU `int8` is always obeyed and `auto` tries it; other formats are left as they are.
    """
    if loaded.device.type != "cpu" or loaded.dtype is not torch.float32:
        return Suited(loaded)
    if asked == INT8 or (asked == "auto" and _pays(loaded.model)):
        small = _quantized(loaded)
        agreement, change = compare(loaded, small)
        kept = agreement >= LEAST_AGREEMENT and change <= MOST_CHANGE
        words = (
            f"{agreement:.0%} of {len(SENTENCES)} labels kept, probabilities within {change:.3f}"
        )
        if kept or asked == INT8:
            report(f"{loaded.source.stage} runs in int8: {words}")
            facts = {"dtype": INT8, "agreement": round(agreement, 3), "change": round(change, 4)}
            return Suited(small, facts, apart=True, unpadded=_without_padding(small))
        report(f"{loaded.source.stage} stays in float32, int8 changes too much: {words}")
    pack_linears(loaded.model)
    return Suited(loaded, unpadded=_without_padding(loaded))


def is_small(model: nn.Module) -> bool:
    """Whether a model's products are so small that what stands around them is what costs."""
    return linear_weights(model) < LEAST_WEIGHTS


@torch.inference_mode()
def compare(one: LoadedModel, other: LoadedModel) -> tuple[float, float]:
    """Return the share of equal labels and the largest change of a probability."""
    equal, largest = 0, 0.0
    for sentence in SENTENCES:
        first, second = _probabilities(one, sentence), _probabilities(other, sentence)
        equal += int(first.argmax() == second.argmax())
        change = float((first - second).abs().max())
        largest = float("inf") if math.isnan(change) else max(largest, change)
    return equal / len(SENTENCES), largest


def _pays(model: nn.Module) -> bool:
    return has_fast_int8() and not is_small(model)


def _without_padding(loaded: LoadedModel) -> Unpadded | None:
    """Return how to run a model without padding; a small one computes its padding sooner."""
    if is_small(loaded.model):
        return None
    texts = loaded.tokenizer(list(SENTENCES), truncation=True, max_length=64)["input_ids"]
    return unpadded(loaded.model, sorted(texts, key=len))


def _quantized(loaded: LoadedModel) -> LoadedModel:
    """Return a copy whose body is in int8; the classifier's head is small and stays as it is."""
    model = copy.deepcopy(loaded.model)
    quantize_linears(model.base_model)
    pack_linears(model)
    return replace(loaded, model=model)


def _probabilities(loaded: LoadedModel, text: str) -> Tensor:
    inputs = loaded.tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
    wanted = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    logits: Tensor = loaded.model(**wanted).logits[0].float()
    return logits.softmax(-1) if len(logits) > 1 else logits.sigmoid()
