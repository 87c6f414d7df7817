"""Choosing the tokens of encoder-decoder requests: greedily, or by beam search.

Both have the same face: a request is started with a state of its own, and `step` takes the logits
of several requests and says for each what follows. A state is a value; the caller keeps the new one
once the whole step is done. What the host has to know of a step comes in one piece, since asking
for it means waiting for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from wsproc.engine.models.transfer import onto
from wsproc.engine.stages.decoding.beams import START, BeamSettings, BeamState, beam_step
from wsproc.engine.stages.decoding.length_rules import LengthRules

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Request(Generic[State]):
    """One sequence being decoded.

    `length` counts its tokens so far and `min_length` and `max_length` bound them, the start token
    included; `processors` are transformers' own where the model asks for more than `LengthRules`.
    `tokens` is what each beam feeds next; `parents`, beam by beam, is whose past it continues.
    """

    state: State
    length: int
    min_length: int
    max_length: int
    processors: LogitsProcessorList | None
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    over: bool = False


class Search(Protocol[State]):
    """How the next tokens are chosen."""

    beams: int

    def start(
        self, min_length: int, max_length: int, processors: LogitsProcessorList | None
    ) -> Request[State]:
        """Return a new request, at its start token."""
        ...

    def step(
        self, requests: Sequence[Request[State]], logits: Tensor
    ) -> list[Request[State] | None]:
        """Return the requests after one token; None for one whose logits are not numbers.

        `logits` is `[requests * beams, vocabulary]`, in float32.
        """
        ...

    def answer(self, request: Request[State]) -> list[int]:
        """Return the best tokens so far, without the start token."""
        ...


class BeamSearch:
    """`generate()` with `num_beams` above 1."""

    def __init__(
        self,
        settings: BeamSettings,
        rules: LengthRules,
        *,
        start: int,
        most: int,
        device: torch.device,
    ) -> None:
        self.beams = settings.beams
        self._settings = settings
        self._rules = rules
        self._start = start
        self._first = BeamState.start(start, settings.beams, most, device)

    def start(
        self, min_length: int, max_length: int, processors: LogitsProcessorList | None
    ) -> Request[BeamState]:
        """Return a new request, at its start token."""
        beams = tuple(range(self.beams))
        tokens = (self._start,) * self.beams
        return Request(self._first, START, min_length, max_length, processors, tokens, beams)

    def step(
        self, requests: Sequence[Request[BeamState]], logits: Tensor
    ) -> list[Request[BeamState] | None]:
        """Return the requests after one token; see `Search`."""
        state = BeamState.join([request.state for request in requests])
        log_probs = logits.log_softmax(dim=-1)
        log_probs = processed(self._rules, requests, state.running.flatten(0, 1), log_probs)
        lengths = [request.length for request in requests]
        max_lengths = [request.max_length for request in requests]
        shaped = log_probs.unflatten(0, (len(requests), self.beams))
        new = beam_step(state, shaped, lengths, max_lengths, self._settings)
        flags = torch.stack((new.over, usable(logits, self.beams)), dim=1).long()
        told = torch.cat((flags, new.tokens, new.parents), dim=1).tolist()
        facts = zip(requests, new.state.split(), told, strict=True)
        return [self._next(*fact) for fact in facts]

    def _next(
        self, request: Request[BeamState], state: BeamState, told: list[int]
    ) -> Request[BeamState] | None:
        over, fit, *each = told
        if not fit:
            return None
        return replace(
            request,
            state=state,
            length=request.length + 1,
            tokens=tuple(each[: self.beams]),
            parents=tuple(each[self.beams :]),
            over=bool(over),
        )

    def answer(self, request: Request[BeamState]) -> list[int]:
        """Return the tokens of the best finished beam, without the start token."""
        return request.state.best()[START:]


class GreedySearch:
    """`generate()` with one beam and no sampling; a state is the tokens so far."""

    beams = 1

    def __init__(self, ends: Sequence[int], rules: LengthRules, *, start: int) -> None:
        self._ends = frozenset(ends)
        self._rules = rules
        self._start = start

    def start(
        self, min_length: int, max_length: int, processors: LogitsProcessorList | None
    ) -> Request[tuple[int, ...]]:
        """Return a new request, at its start token."""
        tokens = (self._start,)
        return Request(tokens, START, min_length, max_length, processors, tokens, (0,))

    def step(
        self, requests: Sequence[Request[tuple[int, ...]]], logits: Tensor
    ) -> list[Request[tuple[int, ...]] | None]:
        """Return the requests after one token; see `Search`."""
        longest = max(request.length for request in requests)
        padded = [[*request.state, *[0] * (longest - request.length)] for request in requests]
        sequences = onto(padded, logits.device)
        scores = processed(self._rules, requests, sequences, logits.clone())
        fit = usable(logits, 1).long()
        told = torch.stack((scores.argmax(dim=-1), fit), dim=1).tolist()
        facts = zip(requests, told, strict=True)
        return [self._next(request, token) if fit else None for request, (token, fit) in facts]

    def _next(self, request: Request[tuple[int, ...]], token: int) -> Request[tuple[int, ...]]:
        length = request.length + 1
        return replace(
            request,
            state=(*request.state, token),
            length=length,
            tokens=(token,),
            over=token in self._ends or length >= request.max_length,
        )

    def answer(self, request: Request[tuple[int, ...]]) -> list[int]:
        """Return the tokens so far, without the start token."""
        return list(request.state[START:])


def processed(
    rules: LengthRules, requests: Sequence[Request[State]], sequences: Tensor, scores: Tensor
) -> Tensor:
    """Return the scores `[rows, vocabulary]` as `generate()` processes them; may work in place.

    `sequences` is `[rows, most]`, filled up to each request's length; the rows of a request are
    next to each other, one for each beam.
    """
    beams = len(scores) // len(requests)
    if all(request.processors is None for request in requests):
        each = [request for request in requests for _ in range(beams)]
        lengths = [request.length for request in each]
        least = [request.min_length for request in each]
        return rules.apply(sequences, scores, lengths, least, [one.max_length for one in each])
    parts = zip(requests, sequences.split(beams), scores.split(beams), strict=True)
    return torch.cat([_alone(rules, request, ids, part) for request, ids, part in parts])


def _alone(
    rules: LengthRules, request: Request[State], sequences: Tensor, scores: Tensor
) -> Tensor:
    if request.processors is None:
        return processed(rules, [request], sequences, scores)
    tokens = cast("torch.LongTensor", sequences[:, : request.length])
    result: Tensor = request.processors(tokens, cast("torch.FloatTensor", scores))
    return result


def usable(logits: Tensor, beams: int) -> Tensor:
    """Return for each request whether all its rows of logits are numbers with a greatest one."""
    peaks: Tensor = logits.amax(dim=-1).isfinite().unflatten(0, (-1, beams))
    return peaks.all(dim=1)
