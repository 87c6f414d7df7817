"""Giving a model an attention function of ours in place of the one that it was loaded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface


def use_attention(
    model: PreTrainedModel, name: str, attend: Callable[..., Any], mask: Callable[..., Any]
) -> None:
    """Register a function of attention and one of masks under `name`, and make `model` use them.

    Raises ValueError for a model that takes no attention function.
    """
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, mask)
    model.set_attn_implementation(name)
    if model.config._attn_implementation != name:
        raise ValueError(f"{type(model).__name__} has an attention of its own, which has to stay")
