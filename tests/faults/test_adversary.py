"""Whatever a client does: what holds for every client holds for one that follows dice.

The seeds are fixed; what a seed does is not quite, since the kernel has its say in when a frame
arrives.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from tests.fakes import FakeEngine, serving
from tests.faults.adversary import Adversary, Player
from tests.waiting import PATIENCE_S, until

OPERATIONS = 150
SMALL = {
    "outbox_bytes": 4_000,
    "max_jobs_per_connection": 12,
    "message_burst": 10_000,
    "messages_per_s": 100_000,
    "drain_s": 0,
}
"""So that every bound is met in a few hundred frames."""

SEEDS = (0, 1, 2, 23, 31)
"""With the last two a server that forgets what it has sent loses an end, and one that sends again
whatever it is asked for repeats tokens of a cancelled job; few others of hundreds show that.
"""

ROOMY, TIGHT = 8 << 20, 1 << 16
"""Bytes of a replay log: the default, and one that holds the results of a few jobs."""


@pytest.mark.parametrize("replay_bytes", [ROOMY, TIGHT])
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_a_client_does_each_job_has_its_one_end_and_all_of_its_text(
    seed: int, replay_bytes: int
) -> None:
    """Invariants 2, 3, 4, 5, 7 and 9, over connections that are lost, reset, left and taken over;
    `Wire` asserts those of each connection. What is kept stays within its bound meanwhile.
    """
    dice = random.Random(seed)
    engine = FakeEngine(slow_to_stop=True)
    async with (
        serving(engine, **SMALL, replay_bytes=replay_bytes) as server,
        AsyncExitStack() as stack,
        asyncio.timeout(4 * PATIENCE_S),
    ):
        playing = asyncio.create_task(Player(engine, dice).play())
        adversary = Adversary(server, dice, stack)
        await adversary.connect()
        for _ in range(OPERATIONS):
            await adversary.act()
            assert server.lobby.budget.size <= replay_bytes
        await adversary.settle()
        await until(lambda: server.admission.live == 0)
        assert_told(adversary)
        assert not adversary.unread
        playing.cancel()


def assert_told(adversary: Adversary) -> None:
    """Assert that each job that the client knows of has ended, and that its text is whole."""
    assert {*adversary.seen} - adversary.repeated <= {*adversary.ends}
    for job, done in adversary.ends.items():
        assert done["seq"] == adversary.seen[job]
        text = adversary.texts.get(job, "")
        whole = (done["result"] if done["status"] == "completed" else {}).get("text")
        if whole is not None and job not in adversary.repeated:
            assert whole == text or (job in adversary.cut and whole.startswith(text))
