"""An engine without models: its calls are answered by the test, or by fixed rules.

`FakeEngine` has the face that the server and the tasks use of `wsproc.engine.Engine`, and hands out
real `CallStream`s; so everything between the socket and the engine is real.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from wsproc.config import ServerConfig
from wsproc.engine import (
    Call,
    CallStream,
    Delta,
    End,
    EndReason,
    Engine,
    EngineError,
    Failure,
    Item,
    ModelUnavailable,
    Result,
    WorkerState,
)
from wsproc.engine.tally import StageTally
from wsproc.events import Reader
from wsproc.server import Server
from wsproc.tasks import TaskRegistry

STAGES = ("sentiment", "summary", "entities", "generation")


class FakeCall:
    """One call in the hands of a test, which feeds its outcomes by hand."""

    def __init__(self, stream: CallStream) -> None:
        self.stream = stream
        self.stage = stream.call.stage
        self.items = stream.call.items
        self.cancelled = asyncio.Event()
        self.said: list[str] = []

    def delta(self, item: int = 0, **value: Any) -> None:
        """Give a part of an item's result."""
        self.said.append(value.get("text", ""))
        self.stream.feed(Delta(self.stream.call.id, item, value))

    async def say(self, *words: str) -> None:
        """Give the parts of a generation one by one, to a reader that keeps up."""
        for word in words:
            self.delta(text=word)
            while self.stream._waiting:  # noqa: ASYNC110  # it tells what comes, not what is taken
                await asyncio.sleep(0)

    def result(self, item: int = 0, **value: Any) -> None:
        """Give an item's result."""
        self.stream.feed(Result(self.stream.call.id, item, value))

    def fail(self, error: EngineError, item: int = 0) -> None:
        """Let an item fail."""
        self.stream.feed(Failure(self.stream.call.id, item, error))

    def finish(self, *words: str) -> None:
        """Say the rest of a generation and end; its tokens joined are its text."""
        for word in words:
            self.delta(text=word)
        tokens = {"prompt_tokens": 4, "completion_tokens": len(self.said)}
        self.result(text="".join(self.said), finish_reason="eos", **tokens)
        self.end()

    def end(self, reason: EndReason = EndReason.COMPLETED) -> None:
        """End the call."""
        self.stream.feed(End(self.stream.call.id, reason, 0.1, 0.2))


class FakeEngine:
    """An engine that a test plays. `answers` gives a call's outcomes at once; without it every
    call waits in `calls` for the test. A cancelled call ends at once unless `slow_to_stop`.
    """

    def __init__(
        self,
        *,
        stages: Iterable[str] = STAGES,
        answers: Callable[[FakeCall], None] | None = None,
        slow_to_stop: bool = False,
    ) -> None:
        self.stages = tuple(stages)
        self.down: tuple[str, ...] = ()
        self.facts: dict[str, Mapping[str, Any]] = {
            stage: {"model": f"fake {stage}", "device": "cpu"} for stage in self.stages
        }
        self.calls: asyncio.Queue[FakeCall] = asyncio.Queue()
        self.tally: dict[str, StageTally] = {}
        self.workers = {"fake": WorkerState(serving=True, calls=0, deaths=0)}
        self.answers = answers
        self._slow_to_stop = slow_to_stop
        self._open: dict[int, FakeCall] = {}
        self._made = 0

    @property
    def open_calls(self) -> list[FakeCall]:
        """The calls that have not ended."""
        return [call for call in self._open.values() if call.stream.end is None]

    async def start(self, report: Callable[[str], None] | None = None) -> None:
        """Load nothing."""
        if report is not None:
            for stage in self.stages:
                report(f"loading fake {stage}")

    async def close(self) -> None:
        """End what is open, as an engine does that is shut down."""
        for call in self._open.values():
            if call.stream.end is None:
                call.end(EndReason.CANCELLED)

    def kill(self) -> None:
        """There is no process."""

    def unavailable(self, stage: str) -> str | None:
        """Say why a stage cannot be called, as the engine does."""
        served = ", ".join(self.stages) or "none"
        has = stage in self.stages
        return None if has else f"this server has no {stage} model; it serves {served}"

    def call(
        self,
        stage: str,
        items: Iterable[Item],
        *,
        owner: str = "",
        priority: int = 5,
        deadline: float | None = None,
    ) -> CallStream:
        """Open a call."""
        reason = self.unavailable(stage)
        if reason is not None:
            raise ModelUnavailable(reason)
        self._made += 1
        wanted = Call(self._made, stage, tuple(items), owner, priority, deadline)
        stream = CallStream(wanted, self._cancel)
        call = self._open[self._made] = FakeCall(stream)
        if self.answers is not None:
            self.answers(call)
        else:
            self.calls.put_nowait(call)
        return stream

    def probe(self, worker: str, deadline: float) -> CallStream | None:
        """There is nothing to try this engine with."""
        return None

    def _cancel(self, call_id: int) -> None:
        call = self._open[call_id]
        call.cancelled.set()
        if not self._slow_to_stop:
            call.end(EndReason.CANCELLED)


UNENDING = "unending"
"""A text with this word in it is never answered to the end by `plausible`."""


def plausible(call: FakeCall) -> None:
    """Answer a call the way small models would: by word lists, first sentences and capitals.

    Of an `UNENDING` prompt three words come, of such a text the first chunk; then the call waits to
    be cancelled.
    """
    texts = [item.get("text") or item.get("prompt", "") for item in call.items]
    if any(UNENDING in text for text in texts):
        if call.stage == "generation":
            for word in (" one", " two", " three"):
                call.delta(text=word)
        elif call.stage == "sentiment":
            _sentiment(call, 0, call.items[0])
        return
    for index, item in enumerate(call.items):
        _ANSWERS[call.stage](call, index, item)
    call.end()


def _sentiment(call: FakeCall, index: int, item: Item) -> None:
    good = len(re.findall(r"good|love|great|lovely", item["text"].lower()))
    bad = len(re.findall(r"bad|hate|awful|slow", item["text"].lower()))
    kind = "NEUTRAL" if good == bad else "POSITIVE" if good > bad else "NEGATIVE"
    call.result(index, sentiment=kind, confidence=0.9)


def _summary(call: FakeCall, index: int, item: Item) -> None:
    first = item["text"].partition(".")[0] + "."
    call.result(index, summary=first, truncated=False, windows=1)


def _entities(call: FakeCall, index: int, item: Item) -> None:
    entities = [
        {
            "text": found[0],
            "label": "PERSON",
            "description": "People",
            "start": found.start(),
            "end": found.end(),
        }
        for found in re.finditer(r"Ada|Grace|Zoë", item["text"])
    ]
    call.result(index, entities=entities)


def _generation(call: FakeCall, index: int, item: Item) -> None:
    words = [f" word{n}" for n in range(min(item["max_tokens"], 5))]
    for word in words:
        call.delta(index, text=word)
    call.result(
        index,
        text="".join(words),
        finish_reason="length",
        prompt_tokens=len(item["prompt"].split()),
        completion_tokens=len(words),
    )


_ANSWERS: dict[str, Callable[[FakeCall, int, Item], None]] = {
    "sentiment": _sentiment,
    "summary": _summary,
    "entities": _entities,
    "generation": _generation,
}


def fake_server(
    engine: FakeEngine,
    *,
    registry: TaskRegistry | None = None,
    readers: Iterable[Reader] = (),
    **settings: Any,
) -> Server:
    """Return a server, on a free port unless one is given, whose engine is the test's."""
    config = ServerConfig(**{"port": 0, **settings})
    return Server(config, registry=registry, engine=cast("Engine", engine), readers=readers)


@asynccontextmanager
async def serving(engine: FakeEngine, **settings: Any):
    """Run such a server for the length of a block."""
    async with fake_server(engine, **settings) as server:
        yield server
