"""The processors of a summariser's `generate()`, for rows of different lengths in one batch.

transformers' processors take rows of one length. The four that Bart-like models use are written
here for a length by row, in float and order as there: no repeated n-gram, minimum length, forced
first token, forced last token. Whatever else a model's generation config asks for is left to
transformers' own, request by request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList
from transformers.generation import logits_process

from wsproc.engine.models.transfer import onto

_KNOWN = (
    logits_process.NoRepeatNGramLogitsProcessor,
    logits_process.MinLengthLogitsProcessor,
    logits_process.ForcedBOSTokenLogitsProcessor,
    logits_process.ForcedEOSTokenLogitsProcessor,
)


def all_known(processors: LogitsProcessorList) -> bool:
    """Whether `LengthRules` does all that these processors do."""
    return all(type(each) in _KNOWN for each in processors)


@dataclass(frozen=True, slots=True)
class LengthRules:
    """What a generation config says about tokens by length; ids of tokens are lists."""

    ngram: int
    ends: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]

    @classmethod
    def of(cls, config: GenerationConfig) -> LengthRules:
        """Read the rules from a generation config."""
        return cls(
            ngram=config.no_repeat_ngram_size or 0,
            ends=_ids(config.eos_token_id),
            first=_ids(config.forced_bos_token_id),
            last=_ids(config.forced_eos_token_id),
        )

    def apply(
        self,
        sequences: Tensor,
        scores: Tensor,
        lengths: Sequence[int],
        min_lengths: Sequence[int],
        max_lengths: Sequence[int],
    ) -> Tensor:
        """Process `scores` `[rows, vocabulary]` of `sequences` `[rows, most]` in place.

        The other three are the tokens that each row has, must have and may have, the start token
        included. Returns `scores`.
        """
        if self.ngram > 0:
            _ban_repeats(sequences, scores, lengths, self.ngram)
        sizes = list(zip(lengths, min_lengths, max_lengths, strict=True))
        _set(scores, _rows(at < least for at, least, _ in sizes), self.ends, -math.inf)
        _force(scores, _rows(at == 1 for at in lengths), self.first)
        _force(scores, _rows(at == most - 1 for at, _, most in sizes), self.last)
        return scores


def _ids(value: int | list[int] | None) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value or ())


def _rows(chosen: Iterable[bool]) -> list[int]:
    """Return the numbers of the rows that are chosen."""
    return [row for row, is_chosen in enumerate(chosen) if is_chosen]


def _set(scores: Tensor, rows: Sequence[int], tokens: Sequence[int], value: float) -> None:
    """Give `tokens` the score `value` in `rows`."""
    if rows and tokens:
        at = onto(rows, scores.device)[:, None]
        scores[at, onto(tokens, scores.device)] = value


def _force(scores: Tensor, rows: Sequence[int], tokens: Sequence[int]) -> None:
    """Leave no choice but `tokens` in `rows`."""
    if rows and tokens:
        scores[onto(rows, scores.device)] = -math.inf
        _set(scores, rows, tokens, 0.0)


def _ban_repeats(sequences: Tensor, scores: Tensor, lengths: Sequence[int], size: int) -> None:
    """Ban each token that would complete an n-gram of `size` that its row has already.

    The last `size - 1` tokens of a row are set against every window of its sequence; where they
    match, the token that follows there is banned.
    """
    longest = max(lengths)
    if longest < size:
        return
    at = onto(lengths, scores.device)[:, None]
    windows = sequences[:, :longest].unfold(1, size, 1)
    behind = torch.arange(1 - size, 0, device=scores.device)
    recent = sequences.gather(1, (at + behind).clamp(min=0))
    inside = torch.arange(windows.shape[1], device=scores.device) + size <= at
    match = (windows[:, :, :-1] == recent[:, None]).all(dim=-1) & inside
    # Windows that do not match, and tokens that have no score, ban a column past the vocabulary.
    vocabulary = scores.shape[1]
    banned = torch.where(match, windows[:, :, -1].clamp(max=vocabulary), vocabulary)
    mask = scores.new_zeros((len(scores), vocabulary + 1), dtype=torch.bool)
    mask.scatter_(1, banned, True)
    scores.masked_fill_(mask[:, :vocabulary], -math.inf)
