"""Beam search as `generate()` does it, for requests of different lengths in one batch.

The arithmetic follows transformers' `GenerationMixin._beam_search` at batch size 1, request by
request, with the same numbers in the same order:

- each step keeps `max(2, 1 + number of end tokens) * beams` candidates by accumulated log
  probability, so that `beams` unfinished ones remain even if all others end;
- a candidate that ends, by its token or by the maximum length, is finished if it is among the first
  `beams`, with its score divided by `(tokens without the prompt) ** length_penalty`;
- a request is over when no running beam can improve on the finished ones (see `_hopeful`), when
  `early_stopping` is set and all beams are finished, or when every candidate ends.

States are values: a step returns new ones, so that a step that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import torch
from torch import Tensor

from wsproc.engine.models.transfer import onto

START = 1
"""Length of the decoder's prompt: the start token alone."""

_LEAST = -1.0e9


@dataclass(frozen=True, slots=True)
class BeamSettings:
    """What all requests of a model share."""

    beams: int
    length_penalty: float
    early_stopping: bool | Literal["never"]
    ends: tuple[int, ...]

    @property
    def candidates(self) -> int:
        """How many continuations a step keeps for each request."""
        return max(2, 1 + len(self.ends)) * self.beams


@dataclass(frozen=True, slots=True)
class BeamState:
    """The beams of some requests; the first dimension of every tensor is the request.

    `running` `[requests, beams, most]` and `scores` `[requests, beams]` are the open beams;
    `finished`, `finished_scores`, `finished_lengths` and `is_finished` the best ended ones (the
    flag says which of them have really ended); `hopeful` `[requests, 1]` whether the open ones may
    still win.
    """

    running: Tensor
    scores: Tensor
    finished: Tensor
    finished_scores: Tensor
    finished_lengths: Tensor
    is_finished: Tensor
    hopeful: Tensor

    @classmethod
    def start(cls, token: int, beams: int, most: int, device: torch.device) -> Self:
        """Return the state of one request before its first step.

        All beams but the first start hopelessly low, so that the first step does not take the same
        token for each.
        """
        running = torch.zeros((1, beams, most), dtype=torch.long, device=device)
        running[:, :, 0] = token
        scores = torch.full((1, beams), _LEAST, device=device)
        scores[:, 0] = 0.0
        return cls(
            running=running,
            scores=scores,
            finished=running.clone(),
            finished_scores=torch.full((1, beams), _LEAST, device=device),
            finished_lengths=torch.full((1, beams), START, device=device),
            is_finished=torch.zeros((1, beams), dtype=torch.bool, device=device),
            hopeful=torch.ones((1, 1), dtype=torch.bool, device=device),
        )

    @classmethod
    def join(cls, states: Sequence[BeamState]) -> Self:
        """Return the requests of several states as one."""
        return cls(
            *(torch.cat([getattr(each, one.name) for each in states]) for one in fields(cls))
        )

    def split(self) -> list[BeamState]:
        """Return one state for each request."""
        parts = [getattr(self, one.name).split(1) for one in fields(self)]
        return [BeamState(*of_request) for of_request in zip(*parts, strict=True)]

    def best(self) -> list[int]:
        """Return the tokens of the best finished beam of the only request, start token included."""
        told: list[int] = torch.cat((self.finished_lengths[0, :1], self.finished[0, 0])).tolist()
        length, *tokens = told
        return tokens[:length]


@dataclass(frozen=True, slots=True)
class BeamStep:
    """What a step gives: the new state, where each beam comes from, and who is over.

    `tokens` and `parents` are `[requests, beams]`: each beam's new token and the number of the beam
    that it continues; `over` is `[requests]`.
    """

    state: BeamState
    tokens: Tensor
    parents: Tensor
    over: Tensor


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What the lengths of requests mean for a step, on the device; `[requests, 1]` each.

    `at` is where the new token goes; `last` whether it is the last that the request may have;
    `penalties` are what the score of a sequence with it is divided by, `final` what the best open
    beam's is for `_hopeful`.
    """

    at: Tensor
    last: Tensor
    penalties: Tensor
    final: Tensor

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        max_lengths: Sequence[int],
        settings: BeamSettings,
        device: torch.device,
    ) -> Self:
        """Compute them on the host, so that they travel together."""
        grown = [size + 1 for size in lengths]
        to_the_end = settings.early_stopping == "never" and settings.length_penalty > 0.0
        final = max_lengths if to_the_end else grown
        full = [int(size >= most) for size, most in zip(grown, max_lengths, strict=True)]
        at, last = onto([list(lengths), full], device)[:, :, None]
        divisors = [_penalties(grown, settings), _penalties(final, settings)]
        penalties, finals = onto(divisors, device, torch.float)[:, :, None]
        return cls(at, last.bool(), penalties, finals)


def _penalties(tokens: Sequence[int], settings: BeamSettings) -> list[float]:
    """Return what the scores of sequences of so many tokens are divided by."""
    return [float((size - START) ** settings.length_penalty) for size in tokens]


def beam_step(
    state: BeamState,
    log_probs: Tensor,
    lengths: Sequence[int],
    max_lengths: Sequence[int],
    settings: BeamSettings,
) -> BeamStep:
    """Add a token to the beams of each request.

    `log_probs` is `[requests, beams, vocabulary]`, processed; `lengths` are the tokens of each
    request so far, `max_lengths` the most it may have, start token included.
    """
    sizes = _Sizes.of(lengths, max_lengths, settings, log_probs.device)
    vocabulary = log_probs.shape[-1]
    accumulated = (log_probs + state.scores[:, :, None]).flatten(1)
    top, index = accumulated.topk(settings.candidates)
    parents, tokens = index // vocabulary, index % vocabulary
    sequences = _grown(state.running, parents, tokens, sizes)
    ended = _ended(tokens, sizes, settings)

    open_scores = top + ended.float() * _LEAST
    chosen = open_scores.topk(settings.beams)[1]
    finished = _finish(state, sequences, top, ended, sizes, settings)
    new = replace(
        finished, running=_gather(sequences, chosen), scores=open_scores.gather(1, chosen)
    )
    new = replace(new, hopeful=_hopeful(new, sizes))
    over = _over(new, ended, settings)
    return BeamStep(new, tokens.gather(1, chosen), parents.gather(1, chosen), over)


def _gather(sequences: Tensor, beams: Tensor) -> Tensor:
    """Return the rows `beams` `[requests, n]` of `[requests, beams, most]`."""
    return sequences.gather(1, beams[:, :, None].expand(-1, -1, sequences.shape[2]))


def _grown(running: Tensor, parents: Tensor, tokens: Tensor, sizes: _Sizes) -> Tensor:
    """Return the candidates' sequences: their parents' with one token more."""
    at = sizes.at[:, :, None].expand(*tokens.shape, 1)
    return _gather(running, parents).scatter_(2, at, tokens[:, :, None])


def _ended(tokens: Tensor, sizes: _Sizes, settings: BeamSettings) -> Tensor:
    """Return which candidates `[requests, candidates]` end by their token or by their length."""
    ended = sizes.last.expand_as(tokens)
    for end in settings.ends:
        ended = ended | (tokens == end)
    return ended


def _finish(
    state: BeamState,
    sequences: Tensor,
    top: Tensor,
    ended: Tensor,
    sizes: _Sizes,
    settings: BeamSettings,
) -> BeamState:
    """Return the state with the candidates that have just ended among the finished beams."""
    ended = ended & (torch.arange(settings.candidates, device=top.device) < settings.beams)
    scores = top / sizes.penalties
    if settings.early_stopping is True:
        scores = scores + state.is_finished.all(dim=1, keepdim=True).float() * _LEAST
    scores = scores + (~state.hopeful).float() * _LEAST
    scores = scores + (~ended).float() * _LEAST
    merged = torch.cat((state.finished_scores, scores), dim=1)
    best = merged.topk(settings.beams)[1]
    lengths = (sizes.at + 1).expand_as(top)
    return replace(
        state,
        finished=_gather(torch.cat((state.finished, sequences), dim=1), best),
        finished_scores=merged.gather(1, best),
        finished_lengths=torch.cat((state.finished_lengths, lengths), dim=1).gather(1, best),
        is_finished=torch.cat((state.is_finished, ended), dim=1).gather(1, best),
    )


def _hopeful(state: BeamState, sizes: _Sizes) -> Tensor:
    """Return whether the best open beam may still beat the worst finished one, `[requests, 1]`.

    Its score is taken at the present length, or, for `early_stopping` "never" and a penalty that
    favours length, at the greatest one.
    """
    best = state.scores[:, :1] / sizes.final
    least = state.finished_scores.amin(dim=1, keepdim=True)
    worst = torch.where(state.is_finished, least, _LEAST)
    return state.hopeful & (best > worst).any(dim=1, keepdim=True)


def _over(state: BeamState, ended: Tensor, settings: BeamSettings) -> Tensor:
    """Return which requests `[requests]` have nothing more to find."""
    over = ~state.hopeful[:, 0] | ended.all(dim=1)
    if settings.early_stopping is True:
        over |= state.is_finished.all(dim=1)
    return over
