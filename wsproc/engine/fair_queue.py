"""Whose ticket is next: deficit round-robin between owners, with new owners first. Pure.

The rules are those of FQ-CoDel's scheduler (RFC 8290, section 4.2), without its dropping:

- An owner's first tickets stand among the new owners', who go before the old ones, so that a short
  job beside many long ones is served at once. It may spend one quantum there.
- Whoever has spent its quantum gets another and goes to the end of the old owners' round. The last
  ticket of a turn may cost more than is left; that is a debt, and further turns pay it off.
- An owner without tickets keeps its place until its turn comes and its debt is paid, so that coming
  in pieces gains nothing. Once nobody waits, all is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wsproc.engine.call import Call, Item

QUANTUM = 64
"""Tokens that an owner may spend in one turn: about one chunk of 200 characters."""

LEAST_COST = 4
"""What a ticket costs its owner however light it is: it takes a row of a step, and many in a row
would make the turns of the others rare.
"""


@dataclass(eq=False, slots=True)
class Ticket:
    """One item of a call on its way through the device; compared by identity.

    `weight` is in tokens, `arrived` in seconds.
    """

    call: Call
    index: int
    weight: int
    arrived: float

    @property
    def item(self) -> Item:
        """The item that the stage reads."""
        return self.call.items[self.index]


@dataclass(eq=False, slots=True)
class _Owner:
    """One owner's waiting tickets, first in, first out, and what it may still spend."""

    tickets: deque[Ticket] = field(default_factory=deque)
    credit: int = QUANTUM


class FairQueue:
    """The waiting tickets of one priority; they are added in the order of their arrival."""

    def __init__(self) -> None:
        self._new: OrderedDict[str, _Owner] = OrderedDict()
        self._old: OrderedDict[str, _Owner] = OrderedDict()
        self._waiting: OrderedDict[Ticket, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Ticket]:
        for owner in (*self._new.values(), *self._old.values()):
            yield from owner.tickets

    def add(self, ticket: Ticket) -> None:
        """Put a ticket behind its owner's others."""
        name = ticket.call.owner
        owner = self._new.get(name) or self._old.get(name)
        if owner is None:
            owner = self._new[name] = _Owner()
        owner.tickets.append(ticket)
        self._waiting[ticket] = None

    def oldest(self) -> float:
        """Return when the ticket that waits longest arrived; one must be waiting."""
        return next(iter(self._waiting)).arrived

    def head(self) -> Ticket:
        """Return the ticket whose turn it is; one must be waiting."""
        while True:
            turns = self._new or self._old
            name, owner = next(iter(turns.items()))
            if owner.credit > 0 and owner.tickets:
                return owner.tickets[0]
            del turns[name]
            self._end_turn(name, owner, was_new=turns is self._new)

    def _end_turn(self, name: str, owner: _Owner, *, was_new: bool) -> None:
        """Send an owner to the end of the round, unless it has neither tickets nor a debt."""
        if owner.credit <= 0:
            owner.credit += QUANTUM
            self._old[name] = owner
        elif was_new:
            self._old[name] = owner

    def take(self, ticket: Ticket) -> None:
        """Remove the ticket that `head` returned; its owner pays for it."""
        name = ticket.call.owner
        owner = self._new.get(name) or self._old[name]
        owner.tickets.popleft()
        owner.credit -= max(LEAST_COST, ticket.weight)
        self._left([ticket])

    def drop(self, tickets: set[Ticket]) -> None:
        """Remove tickets wherever they stand; nobody pays."""
        for name in {ticket.call.owner for ticket in tickets}:
            owner = self._new.get(name) or self._old.get(name)
            if owner is not None:
                gone = [one for one in owner.tickets if one in tickets]
                owner.tickets = deque(one for one in owner.tickets if one not in tickets)
                self._left(gone)

    def _left(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            del self._waiting[ticket]
        if not self._waiting:
            self._new.clear()
            self._old.clear()
