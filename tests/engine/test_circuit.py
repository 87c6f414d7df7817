"""Backoff and circuit of one worker's place, on a clock of the test's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.circuit import DEATHS, FIRST_PAUSE_S, LONGEST_PAUSE_S, WINDOW_S, Circuit


class Longest(random.Random):
    """Chance that always gives nearly 1: the longest pauses."""

    def random(self) -> float:
        """Return the largest number below 1."""
        return 1 - 2**-53


def test_the_fifth_death_within_a_minute_opens_it():
    """The first four do not, and it says so from the fifth on."""
    circuit = Circuit()
    states = []
    for now in (0, 10, 20, 30, 59):
        circuit.died(now)
        states.append(circuit.open)
    assert states == [False] * 4 + [True]


def test_deaths_spread_over_more_than_a_minute_do_not_open_it():
    """However many there are in all."""
    circuit = Circuit()
    for now in range(0, 600, 15):
        circuit.died(now)
        assert not circuit.open


def test_it_stays_open_until_a_worker_serves():
    """Deaths that are long past close nothing: a worker that cannot be started may die rarely."""
    circuit = Circuit()
    for now in range(DEATHS):
        circuit.died(now)
    circuit.died(10 * WINDOW_S)
    assert circuit.open
    circuit.serves()
    assert not circuit.open


def test_a_death_soon_after_it_closed_opens_it_again():
    """Serving for a moment makes up for none of the deaths; a minute of it for all."""
    circuit = Circuit()
    for now in range(DEATHS):
        circuit.died(now)
    circuit.serves()
    circuit.died(DEATHS)
    assert circuit.open
    circuit.serves()
    circuit.died(DEATHS + WINDOW_S)
    assert not circuit.open


def test_pauses_double_up_to_the_longest():
    """Each death doubles the pause before the next start."""
    circuit = Circuit(jitter=Longest())
    pauses = []
    for _ in range(9):
        circuit.died(0.0)
        pauses.append(circuit.pause_s(0.0))
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_pauses_are_short_again_after_a_quiet_minute():
    """Deaths count for a minute."""
    circuit = Circuit(jitter=Longest())
    for _ in range(9):
        circuit.died(0.0)
    circuit.died(WINDOW_S)
    assert circuit.pause_s(WINDOW_S) == pytest.approx(FIRST_PAUSE_S)


@given(st.lists(st.floats(0, 100), max_size=20), st.integers())
def test_half_of_a_pause_is_chance(gaps: list[float], seed: int):
    """So that places which died together do not start together; never more than the longest."""
    circuit, longest = Circuit(jitter=random.Random(seed)), Circuit(jitter=Longest())
    now = 0.0
    for gap in gaps:
        now += gap
        circuit.died(now)
        longest.died(now)
    pause, most = circuit.pause_s(now), longest.pause_s(now)
    assert most / 2 <= pause * (1 + 1e-9)
    assert pause <= most <= LONGEST_PAUSE_S
