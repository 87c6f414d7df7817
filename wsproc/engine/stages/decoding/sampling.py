"""Choosing the next token as `generate()` does, for many runs at once.

The processors and warpers are transformers' own, built by the model in the order of `generate()`.
Those that look at one row's scores only are applied to all rows of the same settings together; the
others, which read the tokens so far, row by row.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel
from transformers.generation import logits_process

from wsproc.engine.models.transfer import onto

_UNUSABLE = -1
"""Stands among tokens for a row that has none."""

_ROW_BY_ROW = (
    logits_process.TemperatureLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.MinPLogitsWarper,
    logits_process.TypicalLogitsWarper,
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.InfNanRemoveLogitsProcessor,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.LogitNormalization,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an item may ask for; None is the model's own."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None

    def overrides(self) -> dict[str, Any]:
        """Return these settings as `generate()` is given them.

        A temperature of 0 is greedy. Asking for a temperature, or for a choice among the likeliest
        tokens, is asking for sampling.
        """
        given = {"repetition_penalty": self.repetition_penalty}
        shape = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        chosen = {key: value for key, value in given.items() if value is not None}
        if self.temperature == 0.0:
            return {**chosen, "do_sample": False}
        asked = {key: value for key, value in shape.items() if value is not None}
        return {**chosen, **asked, "do_sample": True} if asked else chosen


@dataclass(slots=True, eq=False)
class Policy:
    """How one run chooses: its processors, whether it draws, and by which generator.

    Policies with the same `group` differ in nothing but the generator.
    """

    processors: LogitsProcessorList
    group: object
    reads_tokens: bool
    generator: torch.Generator | None

    def skip(self, count: int, vocabulary: int) -> None:
        """Draw as for so many tokens, in vain: they were drawn before by the same seed."""
        if self.generator is None:
            return
        noise = torch.empty((1, vocabulary), device=self.generator.device)
        for _ in range(count):
            noise.exponential_(generator=self.generator)


class PolicyMaker:
    """Builds policies for one model; what depends on the settings alone is built once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: Any = model
        self._configs: dict[Settings, GenerationConfig] = {}
        ends = self._model.generation_config.eos_token_id
        self.eos: frozenset[int] = frozenset([ends] if isinstance(ends, int) else ends or ())

    def config(self, settings: Settings) -> GenerationConfig:
        """Return the model's generation config under `settings`; not to be changed."""
        if settings not in self._configs:
            if len(self._configs) >= 256:
                self._configs.clear()
            self._configs[settings] = self._prepare(settings)
        return self._configs[settings]

    def _prepare(self, settings: Settings) -> GenerationConfig:
        config: GenerationConfig
        config, _ = self._model._prepare_generation_config(None, **settings.overrides())
        config.num_beams = 1
        # It would run the model a second time for each row, inside a processor.
        config.guidance_scale = None
        self._model._prepare_special_tokens(config, device=self._model.device)
        return config

    def make(self, settings: Settings, *, prompt: int, max_length: int, seed: int | None) -> Policy:
        """Return the policy of a run of `prompt` tokens, `max_length` with the answer.

        Without a seed the run gets a random one.
        """
        config = copy.copy(self.config(settings))
        config.max_length = max_length
        processors = self._model._get_logits_processor(
            generation_config=config, input_ids_seq_length=prompt, device=self._model.device
        )
        reads_tokens = not all(isinstance(each, _ROW_BY_ROW) for each in processors)
        generator = None
        if config.do_sample:
            generator = torch.Generator(device=self._model.device)
            generator.manual_seed(secrets.randbits(63) if seed is None else seed)
        group = object() if reads_tokens else settings
        return Policy(processors, group, reads_tokens, generator)


def choose(
    logits: Tensor, policies: Sequence[Policy], tokens: Sequence[Sequence[int]]
) -> list[int | None]:
    """Choose a token for each row of `logits` `[rows, vocabulary]`, in float32.

    `tokens` are each row's prompt and answer so far. A row whose scores are not numbers, or leave
    no token to choose, gets None; the other rows do not notice.
    """
    scores = _processed(logits, policies, tokens)
    unusable = ~scores.amax(dim=-1).isfinite()
    scores = scores.masked_fill(unusable[:, None], 0.0)
    chosen = scores.argmax(dim=-1)
    drawn = [row for row, policy in enumerate(policies) if policy.generator is not None]
    if drawn:
        at = _index(drawn, chosen)
        chosen[at] = _draw(scores[at].softmax(dim=-1), [policies[row] for row in drawn])
    # One answer for all rows, and for both facts of a row: asking waits for the device.
    told: list[int] = chosen.masked_fill_(unusable, _UNUSABLE).tolist()
    return [None if token == _UNUSABLE else token for token in told]


def _draw(chances: Tensor, policies: Sequence[Policy]) -> Tensor:
    """Draw a token for each row of `chances` `[rows, vocabulary]` by its own generator.

    It is what `torch.multinomial` does with a row, and gives the same: the greatest chance over
    noise that is distributed exponentially. That looks at its rows one by one, on the host.
    """
    noise = torch.empty_like(chances)
    drawn = torch.empty(len(chances), dtype=torch.long, device=chances.device)
    # From here on nothing needs memory: a draw that failed halfway could not be repeated.
    for row, policy in enumerate(policies):
        noise[row : row + 1].exponential_(generator=policy.generator)
    torch.div(chances, noise, out=noise)
    return torch.argmax(noise, dim=-1, out=drawn)


def _processed(
    logits: Tensor, policies: Sequence[Policy], tokens: Sequence[Sequence[int]]
) -> Tensor:
    groups: dict[object, list[int]] = {}
    for row, policy in enumerate(policies):
        groups.setdefault(policy.group, []).append(row)
    scores = logits.clone()
    for rows in groups.values():
        policy = policies[rows[0]]
        if not policy.processors:
            continue
        ids = torch.empty((len(rows), 0), dtype=torch.long, device=logits.device)
        if policy.reads_tokens:
            ids = onto([list(tokens[rows[0]])], logits.device)
        at = _index(rows, scores)
        scores[at] = policy.processors(
            cast("torch.LongTensor", ids), cast("torch.FloatTensor", scores[at])
        )
    return scores


def _index(rows: Sequence[int], whole: Tensor) -> Tensor | slice:
    """Return rows of `whole` as its index; usually they are all there are."""
    return slice(None) if len(rows) == len(whole) else onto(rows, whole.device)
