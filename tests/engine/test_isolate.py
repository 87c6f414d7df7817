"""Who is to blame: the items that raise alone, and nobody else."""

import logging
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.call import EngineError, InvalidItem, OutOfMemory
from wsproc.engine.isolate import as_engine_error, isolate


@given(st.lists(st.integers(0, 9), max_size=40))
def test_the_items_that_raise_alone_fail_alone(items: list[int]):
    """Results stand where their items stood, and so do errors."""
    logging.disable(logging.CRITICAL)
    try:
        outcome = isolate(_hates_zero, items)
    finally:
        logging.disable(logging.NOTSET)
    assert len(outcome) == len(items)
    for item, one in zip(items, outcome, strict=True):
        if item == 0:
            assert one == EngineError("the model failed on this input (ZeroDivisionError)")
        else:
            assert one == 1 / item


def _hates_zero(items) -> list[float]:
    return [1 / item for item in items]


@given(st.integers(1, 30), st.integers(1, 8))
def test_what_does_not_fit_together_fits_apart(count: int, fits: int):
    """Out of memory for a batch is none for its halves."""

    def work(items):
        if len(items) > fits:
            raise MemoryError
        return list(items)

    assert isolate(work, list(range(count))) == list(range(count))


def test_what_a_failed_batch_held_is_free_when_its_halves_are_tried():
    """Its frames are gone, and with them the memory that was too little for all of it."""
    held = []

    class Tensor:
        """Something of some size on the device."""

    def work(items):
        assert all(ref() is None for ref in held)
        activations = Tensor()
        held.append(weakref.ref(activations))
        if len(items) > 1:
            raise MemoryError
        return list(items)

    assert isolate(work, [1, 2, 3, 4]) == [1, 2, 3, 4]
    assert len(held) == 7


def test_on_a_device_that_is_lost_nothing_more_is_tried():
    """The check after the first exception says so, and nobody is blamed for it."""
    calls = []

    def work(items):
        calls.append(list(items))
        raise RuntimeError("CUDA error: device-side assert triggered")

    def check():
        raise ConnectionError("no device")

    with pytest.raises(ConnectionError):
        isolate(work, [1, 2, 3, 4], check)
    assert calls == [[1, 2, 3, 4]]


def test_nothing_is_no_work():
    """An empty batch is not given to the model."""
    assert isolate(lambda items: pytest.fail("called"), []) == []


def test_a_batch_that_works_is_run_once():
    """Nothing is repeated unless something raised."""
    calls = []

    def work(items):
        calls.append(list(items))
        return items

    isolate(work, [1, 2, 3])
    assert calls == [[1, 2, 3]]


def test_one_in_a_batch_costs_a_logarithm():
    """Of 32 items with one that raises, 10 more batches are tried: two for each halving."""
    calls = []

    def work(items):
        calls.append(len(items))
        if 13 in items:
            raise InvalidItem("13")
        return items

    outcome = isolate(work, list(range(32)))
    assert outcome.index(InvalidItem("13")) == 13
    assert len(calls) == 11


@pytest.mark.parametrize("count", [0, 3])
def test_a_wrong_number_of_results_fails_each_item(count: int, caplog: pytest.LogCaptureFixture):
    """They could not be given to their items; alone each fails, and the log has the numbers."""
    error = EngineError("the model failed on this input (ValueError)")
    assert isolate(lambda items: [0] * count, [1, 2]) == [error, error]
    assert f"{count} results came for 1 items" in caplog.text


def test_a_wrong_number_of_results_for_a_batch_may_be_right_for_its_halves():
    """It is halved like one that raises."""
    assert isolate(lambda items: items[:1], [1, 2, 3]) == [1, 2, 3]


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    ],
)
def test_all_ways_to_run_out_of_memory(error: Exception):
    """Python's, a GPU's, and the two of the CPU allocator."""
    assert as_engine_error(error) == OutOfMemory(
        "the input does not fit into the device's memory; send a shorter one"
    )


def test_an_engine_error_is_kept_and_others_are_logged(caplog: pytest.LogCaptureFixture):
    """Details of an unknown error stay in the log: they may hold a part of somebody's text."""
    own = InvalidItem("text is missing")
    assert as_engine_error(own) is own
    assert not caplog.records
    error = as_engine_error(KeyError("somebody's text"))
    assert error.message == "the model failed on this input (KeyError)"
    assert "somebody's text" in caplog.text
