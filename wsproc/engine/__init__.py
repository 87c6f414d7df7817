"""The engine: models behind calls, batched over all callers, cancellable at every step.

Usable as a plain library, with no server:

    async with Engine(EngineConfig()) as engine:
        async with engine.call("sentiment", [{"text": "What a day!"}]) as outcomes:
            async for outcome in outcomes:
                print(outcome.value["sentiment"])

Importing this loads no model library; the models live in worker processes.
"""

from wsproc.engine.call import (
    Call,
    DeadlineExceeded,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    InvalidItem,
    Item,
    ModelUnavailable,
    Outcome,
    OutOfMemory,
    Result,
    WorkerLost,
)
from wsproc.engine.config import EngineConfig
from wsproc.engine.pool import Engine, WorkerState
from wsproc.engine.sentences import sentence_spans
from wsproc.engine.settled import SettledSentences
from wsproc.engine.stream import CallStream

__all__ = [
    "Call",
    "CallStream",
    "DeadlineExceeded",
    "Delta",
    "End",
    "EndReason",
    "Engine",
    "EngineConfig",
    "EngineError",
    "Failure",
    "InvalidItem",
    "Item",
    "ModelUnavailable",
    "OutOfMemory",
    "Outcome",
    "Result",
    "SettledSentences",
    "WorkerLost",
    "WorkerState",
    "sentence_spans",
]
