from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.stages.decoding.slots import SlotTable


def make_table(capacity: int) -> tuple[SlotTable[int], list[int | None]]:
    """Return a table and the memory that its moves and swaps work on."""
    memory: list[int | None] = [None] * capacity

    def move(source: int, target: int) -> None:
        assert memory[target] is None
        memory[target], memory[source] = memory[source], None

    def swap(a: int, b: int) -> None:
        memory[a], memory[b] = memory[b], memory[a]

    return SlotTable(capacity, move=move, swap=swap), memory


@given(st.lists(st.tuples(st.sampled_from("tpmd"), st.integers(0, 3)), min_size=30, max_size=90))
def test_contents_follow_their_owners_and_rows_stay_together(orders: list[tuple[str, int]]) -> None:
    """After any joins, leaves and changes of kind each owner's content is in its slot, the ready
    ones come first, and the slots in use have no hole.
    """
    table, memory = make_table(4)
    kinds: dict[int, bool] = {}
    for order, owner in orders:
        if order == "t" and owner not in kinds and table.free:
            memory[table.take(owner)] = owner
            kinds[owner] = False
        elif order == "p" and kinds.get(owner) is False:
            table.promote(owner)
            kinds[owner] = True
        elif order == "m" and kinds.get(owner):
            table.demote(owner)
            kinds[owner] = False
        elif order == "d" and owner in kinds:
            memory[table[owner]] = None
            table.drop(owner)
            del kinds[owner]
        assert all(memory[table[one]] == one for one in kinds)
        assert table.ready == sum(kinds.values())
        assert {table[one] for one, ready in kinds.items() if ready} == set(range(table.ready))
        assert sorted(table[one] for one in kinds) == list(range(4 - table.free))
        assert set(kinds) == {one for one in range(4) if one in table}


def test_what_makes_no_sense_is_refused() -> None:
    """A full table gives no slot, and nobody is made ready or filling twice."""
    table, _ = make_table(1)
    table.take(1)
    with pytest.raises(IndexError):
        table.take(2)
    with pytest.raises(ValueError, match="filling already"):
        table.demote(1)
    table.promote(1)
    with pytest.raises(ValueError, match="ready already"):
        table.promote(1)
    assert repr(table) == "<SlotTable 1 ready, 0 filling, 0 free>"
