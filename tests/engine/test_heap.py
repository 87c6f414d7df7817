"""The garbage collector's share in a long-lived process."""

import gc

from wsproc.engine.heap import freeze_heap


def test_what_is_loaded_is_looked_through_no_more():
    """Later collections find what comes later, and nothing of what was there."""
    there = [{} for _ in range(100)]
    try:
        freeze_heap()
        assert gc.get_freeze_count() >= len(there)
        found = {id(one) for one in gc.get_objects()}
        assert found.isdisjoint(map(id, there))
        later: list[dict[str, int]] = [{}]
        assert any(one is later for one in gc.get_objects())
    finally:
        gc.unfreeze()
