"""Which run sits in which row of a cache, with the rows in use always next to each other.

Two kinds of run hold a slot: those still filling (their prompt is being read) and those ready (one
token a step). The ready ones hold slots 0 to `ready - 1`, the filling ones the slots after them, so
that a step over either kind reads its part of the cache as one view, without a copy. This table
decides who sits where and says what has to be copied; it holds no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


class SlotTable(Generic[Owner]):
    """Slots 0 to `capacity - 1` and their owners.

    `move(source, target)` is called to copy a slot's content over one that is free, and
    `swap(a, b)` to exchange the contents of two.
    """

    def __init__(
        self,
        capacity: int,
        *,
        move: Callable[[int, int], None],
        swap: Callable[[int, int], None],
    ) -> None:
        self.capacity = capacity
        self.ready = 0
        self._owners: list[Owner] = []
        self._slot: dict[Owner, int] = {}
        self._move = move
        self._swap = swap

    def __repr__(self) -> str:
        filling = len(self._owners) - self.ready
        return f"<SlotTable {self.ready} ready, {filling} filling, {self.free} free>"

    def __contains__(self, owner: Owner) -> bool:
        return owner in self._slot

    def __getitem__(self, owner: Owner) -> int:
        return self._slot[owner]

    @property
    def free(self) -> int:
        """How many slots have no owner."""
        return self.capacity - len(self._owners)

    def take(self, owner: Owner) -> int:
        """Give `owner` a slot among the filling ones; IndexError when none is free."""
        if not self.free:
            raise IndexError("no slot is free")
        self._owners.append(owner)
        self._slot[owner] = len(self._owners) - 1
        return self._slot[owner]

    def promote(self, owner: Owner) -> None:
        """Make a filling owner a ready one."""
        here, border = self._slot[owner], self.ready
        if here < border:
            raise ValueError("the owner is ready already")
        self._exchange(here, border)
        self.ready += 1

    def demote(self, owner: Owner) -> None:
        """Make a ready owner a filling one."""
        here, border = self._slot[owner], self.ready - 1
        if here > border:
            raise ValueError("the owner is filling already")
        self._exchange(here, border)
        self.ready -= 1

    def drop(self, owner: Owner) -> None:
        """Take the slot from `owner`; whoever sits last of its kind moves into the hole."""
        hole = self._slot.pop(owner)
        if hole < self.ready:
            self.ready -= 1
            hole = self._close(hole, self.ready)
        self._close(hole, len(self._owners) - 1)
        self._owners.pop()

    def _close(self, hole: int, last: int) -> int:
        """Move the owner of slot `last` into the hole and return where the hole is now."""
        if hole != last:
            self._move(last, hole)
            self._seat(self._owners[last], hole)
        return last

    def _exchange(self, here: int, there: int) -> None:
        if here != there:
            self._swap(here, there)
            mover, other = self._owners[here], self._owners[there]
            self._seat(mover, there)
            self._seat(other, here)

    def _seat(self, owner: Owner, slot: int) -> None:
        self._owners[slot] = owner
        self._slot[owner] = slot
