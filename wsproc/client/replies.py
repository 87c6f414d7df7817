"""Who waits for which answer: questions in the order they were sent, by their kind.

A question outlives the connection that it was sent on: its message is kept and sent again on the
next one, unless it is of those that must not be acted upon twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from wsproc.client.errors import WsprocError
from wsproc.frames.server import (
    CancelReply,
    InputReply,
    JobsReply,
    Pong,
    Regarding,
    ServerFrame,
)


@dataclass(slots=True)
class _Question:
    number: int
    message: bytes
    repeatable: bool
    answer: asyncio.Future[Any]


class Replies:
    """Answers come in the order of their questions, so each kind of question has one queue."""

    def __init__(self) -> None:
        self._asked: dict[Hashable, deque[_Question]] = {}
        self._count = 0

    def expect(
        self, kind: Hashable, message: bytes, *, repeatable: bool = True
    ) -> asyncio.Future[Any]:
        """Return a future for the next answer of this kind that nobody waits for yet."""
        self._count += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        question = _Question(self._count, message, repeatable, future)
        self._asked.setdefault(kind, deque()).append(question)
        return future

    def answer(self, kind: Hashable, answer: Any) -> None:
        """Hand an answer, or an exception to raise, to the first in line."""
        asked = self._asked.get(kind)
        if asked is None:
            return
        future = asked.popleft().answer
        if not asked:
            del self._asked[kind]
        settle(future, answer)  # a cancelled asker's answer is used up all the same

    def hear(self, frame: ServerFrame, name: Callable[[str], str]) -> None:
        """Take a reply for the answer that it is; what is none is passed over.

        `name` tells what its owner calls a job of the wire, which the answer is to say.
        """
        match frame:
            case CancelReply():
                ids = None if frame.ids is None else [name(one) for one in frame.ids]
                told = frame.model_copy(update={"id": name(frame.id), "ids": ids})
                self.answer(("cancel", frame.id), told)
            case InputReply():
                told_input = frame.model_copy(update={"id": name(frame.id)})
                self.answer((frame.op, frame.id), told_input)
            case JobsReply():
                jobs = [job.model_copy(update={"id": name(job.id)}) for job in frame.jobs]
                self.answer(("jobs", frame.id), jobs)
            case Pong():
                self.answer("ping", frame)
            case _:  # heartbeats; and what later servers may add
                return

    def interrupt(self, error: WsprocError) -> None:
        """Fail what must not be sent twice; drop what nobody waits for. The rest goes on."""
        for kind, asked in list(self._asked.items()):
            for question in asked:
                if not question.repeatable:
                    settle(question.answer, error)
            self._asked[kind] = deque(one for one in asked if not one.answer.done())
            if not self._asked[kind]:
                del self._asked[kind]

    def unanswered(self, kind: Hashable = None) -> list[bytes]:
        """Return the messages of the open questions, of one kind or all, in their order."""
        kinds = self._asked if kind is None else [kind]
        questions = [question for one in kinds for question in self._asked.get(one, ())]
        return [one.message for one in sorted(questions, key=lambda question: question.number)]

    def fail(self, error: WsprocError) -> None:
        """Raise an error to everyone in line."""
        asked, self._asked = self._asked, {}
        for questions in asked.values():
            for question in questions:
                settle(question.answer, error)


def question_of(re: Regarding | None) -> Hashable:
    """Return the kind of question that an `error` is about; None for anything else."""
    if re is None:
        return None
    if re.type in ("cancel", "append", "revise", "jobs"):
        return (re.type, re.id)
    return "ping" if re.type == "ping" else None


def settle(future: asyncio.Future[Any], answer: Any) -> None:
    """Give a future its answer, or its exception, unless its asker went away."""
    if future.done():
        return
    if isinstance(answer, WsprocError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
