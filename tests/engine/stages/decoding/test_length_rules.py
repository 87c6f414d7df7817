from __future__ import annotations

import random
from itertools import product

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessorList
from transformers.generation import logits_process

from wsproc.engine.stages.decoding.length_rules import LengthRules, all_known


def processors(config: GenerationConfig, least: int, most: int) -> LogitsProcessorList:
    """Return transformers' own processors for one row, in the order of `generate()`."""
    made = LogitsProcessorList()
    if config.no_repeat_ngram_size:
        made.append(logits_process.NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if least > 0:
        made.append(logits_process.MinLengthLogitsProcessor(least, config.eos_token_id))
    if config.forced_bos_token_id is not None:
        made.append(logits_process.ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id))
    if config.forced_eos_token_id is not None:
        made.append(logits_process.ForcedEOSTokenLogitsProcessor(most, config.forced_eos_token_id))
    return made


@pytest.mark.parametrize(
    ("size", "first", "last"), list(product([0, 1, 2, 3], [None, 5], [None, 2]))
)
def test_rows_of_any_length_get_what_transformers_gives_each(
    size: int, first: int | None, last: int | None
) -> None:
    """A batch of rows of different lengths gets the scores that transformers' processors give to
    each row by itself.
    """
    rng = random.Random(size)
    config = GenerationConfig(
        no_repeat_ngram_size=size, eos_token_id=[2, 3], forced_bos_token_id=first,
        forced_eos_token_id=last,
    )  # fmt: skip
    lengths = [1, *(rng.randint(1, 14) for _ in range(40))]
    least = [rng.randint(0, 14) for _ in lengths]
    most = [length + rng.randint(1, 3) for length in lengths]
    sequences = torch.tensor([[rng.randrange(4) for _ in range(15)] for _ in lengths])
    scores = torch.randn(len(lengths), 8, generator=torch.Generator().manual_seed(size))
    expected = torch.cat([
        processors(config, least[row], most[row])(
            sequences[row : row + 1, : lengths[row]], scores[row : row + 1].clone()
        )
        for row in range(len(lengths))
    ])  # fmt: skip
    found = LengthRules.of(config).apply(sequences, scores, lengths, least, most)
    assert torch.equal(found, expected)


def test_only_the_four_are_known() -> None:
    """A processor that is not written here is noticed."""
    known = LogitsProcessorList([logits_process.NoRepeatNGramLogitsProcessor(2)])
    assert all_known(known)
    assert not all_known(LogitsProcessorList([*known, logits_process.LogitNormalization()]))
