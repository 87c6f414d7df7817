"""What a sequence-to-sequence model's own configuration says about summaries.

It is read as `generate()` reads it, without sampling. Checkpoints that serve several tasks keep the
settings of each in `task_specific_params`, which transformers 5 carries along but does not read;
those for "summarization" are laid over the generation config here, and their `prefix` is what the
model wants before the text.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

from wsproc.engine.stages.decoding.beams import START, BeamSettings
from wsproc.engine.stages.decoding.length_rules import LengthRules, all_known
from wsproc.engine.stages.decoding.search import BeamSearch, GreedySearch, Search

LEAST_TARGET = 256
"""Tokens there is room for even if the model's own maximum is smaller: items may ask for more."""

MAX_POSITIONS = 2**31 - 1


class SummaryConfig:
    """The generation settings of one model for summaries; lengths include the start token.

    `target` is the most tokens that there is memory for; by default the model's own maximum, or 256
    if that is more, within the decoder's positions.
    """

    def __init__(self, model: PreTrainedModel, *, target: int | None) -> None:
        self._model: Any = model
        task = _task(model)
        self.prefix: str = task.get("prefix") or ""
        config = _prepared(model, task)
        positions: int | None = getattr(model.config, "max_position_embeddings", None)
        own = _own_max_length(model, config, task, positions)
        limits = [target or max(own, LEAST_TARGET), *([positions] if positions else [])]
        self.target = min(limits)
        self._own_max = own
        self.min_length = _own_min_length(config)
        config.min_length, config.max_length = max(1, self.min_length), own
        self._config = config
        self._rules = LengthRules.of(config)
        self._exotic = not all_known(self._processors(config, [0]))

    def max_length_of(self, asked: int | None) -> int:
        """Return the most tokens of a summary, for a wish or for None, the model's own."""
        return max(START + 1, min(self._own_max if asked is None else asked, self.target))

    def search(self) -> Search[Any]:
        """Return how the model wants its tokens chosen."""
        config, device = self._config, self._model.device
        # transformers sets both tensors while it prepares a config, and types neither.
        start_token: Any = config._decoder_start_token_tensor
        end_tokens: Any = config._eos_token_tensor
        start = int(start_token)
        ends: tuple[int, ...] = () if end_tokens is None else tuple(end_tokens.tolist())
        if config.num_beams == 1:
            return GreedySearch(ends, self._rules, start=start)
        settings = BeamSettings(
            beams=config.num_beams,
            length_penalty=config.length_penalty,
            early_stopping=config.early_stopping,
            ends=ends,
        )
        return BeamSearch(settings, self._rules, start=start, most=self.target, device=device)

    def processors(
        self, source: Sequence[int], min_length: int, max_length: int
    ) -> LogitsProcessorList | None:
        """Return transformers' own processors for a request, None where `LengthRules` does all."""
        if not self._exotic:
            return None
        config = copy.copy(self._config)
        config.min_length, config.max_length = min_length, max_length
        return self._processors(config, source)

    def _processors(self, config: GenerationConfig, source: Sequence[int]) -> LogitsProcessorList:
        processors: LogitsProcessorList = self._model._get_logits_processor(
            generation_config=config,
            input_ids_seq_length=START,
            encoder_input_ids=torch.tensor([list(source)], device=self._model.device),
            device=self._model.device,
        )
        return processors


def _task(model: PreTrainedModel) -> Mapping[str, Any]:
    """Return what the checkpoint says about summarization in particular."""
    tasks: Mapping[str, Any] | None = getattr(model.config, "task_specific_params", None)
    return (tasks or {}).get("summarization") or {}


def _prepared(model: Any, task: Mapping[str, Any]) -> GenerationConfig:
    known = set(model.generation_config.to_dict()) | set(vars(GenerationConfig()))
    overrides = {key: value for key, value in task.items() if key in known}
    config: GenerationConfig
    config, _ = model._prepare_generation_config(None, **{**overrides, "do_sample": False})
    config.num_return_sequences = 1
    model._prepare_special_tokens(config, device=model.device)
    return config


def _own_max_length(
    model: PreTrainedModel,
    config: GenerationConfig,
    task: Mapping[str, Any],
    positions: int | None,
) -> int:
    if config.max_new_tokens is not None:
        return int(config.max_new_tokens) + START
    if model.generation_config.max_length is None and "max_length" not in task:
        # `generate()` counts its default from the end of the prompt.
        return min(int(config.max_length) + START, positions or MAX_POSITIONS)
    return int(config.max_length)


def _own_min_length(config: GenerationConfig) -> int:
    if config.min_new_tokens is not None:
        return int(config.min_new_tokens) + START
    return int(config.min_length or 0)
