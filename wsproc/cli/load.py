"""Load on a server: clients that send one job after the other, and what they saw."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wsproc.client import Client, Ended, JobRejected, connect
from wsproc.frames.server import Cancelled, Completed, JobFrame, SentimentProgress, Token

LONGEST_PAUSE_S = 1.0
"""How long a refused client waits at most before it tries again, whatever the server asks."""


@dataclass(frozen=True, slots=True)
class Work:
    """What each client sends again and again: a task with its fields.

    Of `cancel_every` jobs one is cancelled behind its first result; 0 cancels none.
    """

    task: str
    fields: dict[str, Any]
    cancel_every: int = 0


@dataclass
class Seen:
    """What all clients saw. Times are in ms; results are chunk sentiments or tokens.

    `first` is from the submit to the first result, `whole` to the end, of completed jobs; `stops`
    are the engine's own measure of cancelled ones. `ends` counts jobs by outcome, refused ones by
    their code.
    """

    results: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """Return the figures as a JSON object; null where nothing was seen."""
        return {
            "seconds": round(self.seconds, 2),
            "jobs": dict(self.ends),
            "results_per_s": round(self.results / self.seconds, 1) if self.seconds else 0.0,
            "first_result_ms": quantiles(self.first),
            "job_ms": quantiles(self.whole),
            "stop_ms": quantiles(self.stops),
        }


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Return the median, the 99th percentile (nearest rank) and the greatest of some values."""
    if not values:
        return None
    ordered = sorted(values)
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 2)
        for name, share in ranks.items()
    }


async def run_load(url: str, work: Work, *, clients: int, seconds: float, **options: Any) -> Seen:
    """Keep so many clients, each on its own connection, busy for so long; return what they saw.

    Jobs that run at the end are cancelled and not counted. `options` go to `wsproc.connect`. Raises
    what the client raises where a connection cannot be had, is lost, or a job is refused for good.
    """
    seen = Seen()
    sessions = [connect(url, **options) for _ in range(clients)]
    try:
        async with asyncio.TaskGroup() as opening:
            for session in sessions:
                opening.create_task(session.open())
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as running:
                for session in sessions:
                    running.create_task(_client(session, work, seen))
        except TimeoutError:
            seen.seconds = time.perf_counter() - began
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the others have most likely met the same
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
    return seen


async def _client(session: Client, work: Work, seen: Seen) -> None:
    for number in range(1, 1 << 62):
        leave = work.cancel_every > 0 and number % work.cancel_every == 0
        try:
            await _job(session, work, seen, leave=leave)
        except JobRejected as rejected:
            seen.ends[rejected.code.value] += 1
            if not rejected.retryable:
                raise
            pause_ms = rejected.retry_after_ms or 100
            await asyncio.sleep(min(LONGEST_PAUSE_S, pause_ms / 1000))


async def _job(session: Client, work: Work, seen: Seen, *, leave: bool) -> None:
    began = time.perf_counter()
    first = 0.0
    async with await session.submit(work.task, **work.fields) as job:
        async for event in job:
            if not _is_result(event):
                continue
            seen.results += 1
            if first == 0.0:
                first = 1000 * (time.perf_counter() - began)
                if leave:
                    await job.cancel()
        _count(await job.wait(), seen, first, 1000 * (time.perf_counter() - began))


def _is_result(event: JobFrame) -> bool:
    return isinstance(event, SentimentProgress | Token)


def _count(done: Ended, seen: Seen, first_ms: float, whole_ms: float) -> None:
    if isinstance(done, Completed):
        seen.ends["completed"] += 1
        seen.whole.append(whole_ms)
        if first_ms:
            seen.first.append(first_ms)
    elif isinstance(done, Cancelled):
        seen.ends["cancelled"] += 1
        seen.stops.append(done.timing_ms.stop or 0.0)
    else:
        seen.ends[done.error.code.value] += 1
