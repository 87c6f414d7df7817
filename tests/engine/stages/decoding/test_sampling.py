from __future__ import annotations

import math

import pytest
import torch

from tests.engine.stages.decoding.tiny import causal_model
from wsproc.engine.stages.decoding.sampling import Policy, PolicyMaker, Settings, choose


@pytest.mark.parametrize(
    ("settings", "overrides"),
    [
        (Settings(), {}),
        (Settings(temperature=0.0, top_p=0.5, top_k=3), {"do_sample": False}),
        (Settings(temperature=0.7), {"temperature": 0.7, "do_sample": True}),
        (Settings(top_k=3), {"top_k": 3, "do_sample": True}),
        (Settings(top_p=0.5), {"top_p": 0.5, "do_sample": True}),
        (Settings(repetition_penalty=1.2), {"repetition_penalty": 1.2}),
    ],
)
def test_settings_say_when_to_draw(settings: Settings, overrides: dict[str, object]) -> None:
    """A temperature of 0 is greedy, whatever else is asked; a temperature or a choice among the
    likeliest asks for a draw; nothing asked is the model's own.
    """
    assert settings.overrides() == overrides


def test_rows_choose_in_company_as_alone() -> None:
    """Each row of a batch gets the token it gets alone, by its own generator, whatever the settings
    of its neighbours; rows without usable scores get None and take nothing from the others.
    """
    maker = PolicyMaker(causal_model("llama"))
    kinds = [
        Settings(temperature=0.0),
        Settings(temperature=1.3),
        Settings(temperature=1.3),
        Settings(temperature=0.8, top_k=7, top_p=0.8),
        Settings(temperature=1.0, repetition_penalty=1.5),
    ]
    logits = torch.randn(10, 320, generator=torch.Generator().manual_seed(1)) * 3
    tokens = [[3, 5, at] for at in range(10)]

    def policies() -> list[Policy]:
        return [maker.make(kinds[at % 5], prompt=3, max_length=9, seed=at) for at in range(10)]

    alone = [
        choose(logits[at : at + 1], policies()[at : at + 1], tokens[at : at + 1])[0]
        for at in range(10)
    ]
    assert choose(logits, policies(), tokens) == alone
    spoilt = logits.clone()
    spoilt[1, 7], spoilt[3], spoilt[5, 0] = math.nan, -math.inf, math.inf
    found = choose(spoilt, policies(), tokens)
    assert found == [None if at in (1, 3, 5) else token for at, token in enumerate(alone)]


def test_configs_are_kept_within_bounds() -> None:
    """Clients choose settings freely; what is remembered for them does not grow without end."""
    maker = PolicyMaker(causal_model("llama"))
    for number in range(300):
        maker.config(Settings(temperature=0.5 + number / 1000))
    assert len(maker._configs) <= 256
