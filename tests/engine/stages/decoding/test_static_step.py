"""Which sizes a step is computed at, what is captured when, and what follows where that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wsproc.engine.stages.decoding.static_step import StaticStep, doubled


class Captures:
    """Captures by noting; fails after so many."""

    def __init__(self, good: int = 100) -> None:
        self.good = good
        self.count = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return the work itself."""
        if self.count == self.good:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        self.count += 1
        return work


def make(capture: Any) -> tuple[StaticStep, list[tuple[int, ...]]]:
    """Return a step of up to 5 rows and lengths of 8, 16 and 20, and where it notes its sizes."""
    done: list[tuple[int, ...]] = []
    step = StaticStep(lambda *sizes: done.append(sizes), [doubled(1, 5), doubled(8, 20)], capture)
    return step, done


@pytest.mark.parametrize(
    ("least", "most", "sizes"),
    [
        (1, 1, [1]),
        (1, 8, [1, 2, 4, 8]),
        (1, 5, [1, 2, 4, 5]),
        (128, 20, [20]),
        (128, 300, [128, 256, 300]),
    ],
)
def test_sizes_double_up_to_the_greatest(least: int, most: int, sizes: list[int]) -> None:
    """Which is there whatever it is, and nothing is beyond it."""
    assert doubled(least, most) == sizes


def test_a_step_is_taken_at_the_next_larger_sizes() -> None:
    """Each of them is captured once, when it is first needed."""
    capture = Captures()
    step, done = make(capture)
    assert all(step.run(*least) for least in [(1, 1), (3, 9), (4, 16), (5, 17), (1, 8)])
    assert done == [(1, 8), (4, 16), (4, 16), (5, 20), (1, 8)]
    assert capture.count == 3
    assert repr(step) == "<StaticStep 3 captured>"


def test_any_number_of_rows_may_be_captured_in_advance() -> None:
    """With the least length; the others are captured as they come."""
    capture = Captures()
    step, done = make(capture)
    step.prepare()
    assert (capture.count, done) == (4, [])
    assert step.run(3, 5)
    assert step.run(3, 20)
    assert capture.count == 5


def test_once_a_capture_fails_no_step_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Also of those that were captured before: one line says so, and why."""
    step, done = make(Captures(good=1))
    assert step.run(1, 1)
    assert not step.run(2, 1)
    assert not step.run(1, 1)
    step.prepare()
    assert done == [(1, 8)]
    (record,) = caplog.records
    assert record.getMessage() == (
        "decode steps run without captured graphs: RuntimeError: operation not permitted"
    )


def test_what_a_replay_raises_is_raised() -> None:
    """It is a step like any other, and may be halved."""

    def out_of_memory() -> None:
        raise MemoryError

    step, _ = make(lambda work: out_of_memory)
    with pytest.raises(MemoryError):
        step.run(1, 1)
