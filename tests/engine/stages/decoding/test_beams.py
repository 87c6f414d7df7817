from __future__ import annotations

from dataclasses import fields
from typing import Literal

import pytest
import torch

from wsproc.engine.stages.decoding.beams import BeamSettings, BeamState, beam_step

CPU = torch.device("cpu")


@pytest.mark.parametrize("early", [True, False, "never"])
@pytest.mark.parametrize("penalty", [2.0, 0.0, -1.0])
def test_a_request_is_decoded_in_company_as_alone(
    early: bool | Literal["never"], penalty: float
) -> None:
    """Requests of different lengths in one batch get exactly the states that each gets alone."""
    settings = BeamSettings(beams=3, length_penalty=penalty, early_stopping=early, ends=(2,))
    generator = torch.Generator().manual_seed(1)
    alone = [BeamState.start(1, 3, 16, CPU) for _ in range(4)]
    together, lengths, most = list(alone), [1] * 4, [16, 12, 16, 9]
    for turn in range(8):
        who = [at for at in range(4) if (turn + at) % 3 and lengths[at] < most[at]]
        log_probs = torch.randn(len(who), 3, 9, generator=generator).log_softmax(-1)
        sizes, limits = [lengths[at] for at in who], [most[at] for at in who]
        state = BeamState.join([together[at] for at in who])
        step = beam_step(state, log_probs, sizes, limits, settings)
        for row, (at, after) in enumerate(zip(who, step.state.split(), strict=True)):
            part = log_probs[row : row + 1]
            one = beam_step(alone[at], part, sizes[row : row + 1], limits[row : row + 1], settings)
            together[at], alone[at] = after, one.state
            assert torch.equal(step.parents[row], one.parents[0])
            assert bool(step.over[row]) == bool(one.over[0])
            for each in fields(BeamState):
                assert torch.equal(getattr(after, each.name), getattr(one.state, each.name))
            lengths[at] += 1


def test_a_state_is_not_changed_by_a_step() -> None:
    """A step gives new tensors: the state it was given may be stepped again."""
    settings = BeamSettings(beams=2, length_penalty=1.0, early_stopping=True, ends=(2,))
    state = BeamState.start(1, 2, 8, CPU)
    before = {each.name: getattr(state, each.name).clone() for each in fields(state)}
    beam_step(state, torch.randn(1, 2, 9).log_softmax(-1), [1], [8], settings)
    assert all(torch.equal(getattr(state, name), value) for name, value in before.items())


def test_the_start_token_does_not_count_as_length() -> None:
    """A beam that ends with its first token of log probability p has the score p / 1 ** penalty,
    the start token not counted, and the request is over at once where early stopping is set and all
    beams are full.
    """
    settings = BeamSettings(beams=1, length_penalty=2.0, early_stopping=True, ends=(2,))
    log_probs = torch.tensor([[[0.1, 0.2, 0.6, 0.1]]]).log()
    step = beam_step(BeamState.start(1, 1, 8, CPU), log_probs, [1], [8], settings)
    assert torch.equal(step.state.finished_scores, log_probs[0, :, 2:3])
    assert step.state.best() == [1, 2]
    assert step.over.tolist() == [True]
