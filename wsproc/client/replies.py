"""Who waits for which answer: questions in the order they were sent, by their kind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Any

from wsproc.client.errors import WsprocError


class Replies:
    """Answers come in the order of their questions, so each kind of question has one queue."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, deque[asyncio.Future[Any]]] = {}

    def __contains__(self, kind: Hashable) -> bool:
        return kind in self._asked

    def expect(self, kind: Hashable) -> asyncio.Future[Any]:
        """Return a future for the next answer of this kind that nobody waits for yet."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(kind, deque()).append(future)
        return future

    def answer(self, kind: Hashable, answer: Any) -> bool:
        """Hand an answer, or an exception to raise, to the first in line; False if none is."""
        asked = self._asked.get(kind)
        if asked is None:
            return False
        future = asked.popleft()
        if not asked:
            del self._asked[kind]
        if future.done():  # its asker was cancelled; the answer is used up all the same
            return False
        _settle(future, answer)
        return True

    def fail(self, error: WsprocError) -> None:
        """Raise an error to everyone in line."""
        asked, self._asked = self._asked, {}
        for futures in asked.values():
            for future in futures:
                if not future.done():
                    _settle(future, error)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if isinstance(answer, WsprocError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
