"""Where sessions are made, found again and let go of."""

import asyncio
import json

from tests.fakes import FakeEngine
from tests.session.test_session import LIMITS
from tests.test_host import Link
from tests.waiting import until
from wsproc.admission import Admission
from wsproc.config import ServerConfig
from wsproc.frames.client import TASKS
from wsproc.host import TAKEN_OVER, Host
from wsproc.lobby import Lobby
from wsproc.session import Offer, TakeUp
from wsproc.tasks import default_registry


def make(**settings) -> Lobby:
    """Return a lobby of a small server."""
    config = ServerConfig(port=0, **settings)
    offer = Offer("1", "an-epoch", TASKS, LIMITS, 15, resume_s=config.resume_s)
    return Lobby(offer, Admission(9), FakeEngine(), default_registry(), config)


def sent(host: Host) -> list[dict]:
    """Take all that waits for a host's client."""
    return [json.loads(one) for one in iter(host.next_message, None)]


async def test_a_new_connection_has_a_session_with_a_secret_of_its_own():
    """Of 192 bits, behind the epoch; it is greeted."""
    lobby, link = make(), Link()
    hosts = [lobby.open(link) for _ in range(3)]
    tokens = [sent(host)[0]["session"] for host in hosts]
    assert len(set(tokens)) == 3
    assert all(token.startswith("an-epoch.") and len(token) == 41 for token in tokens)
    assert "3, 0 of them without a connection" in repr(lobby)


async def test_an_earlier_session_is_taken_up_and_the_new_one_dropped():
    """Answers that wait for the connection come before that to its resume."""
    lobby, old_link, link = make(), Link(), Link()
    old = lobby.open(old_link, "ada")
    token = sent(old)[0]["session"]
    lobby.leave(old, old_link, clean=False)
    assert lobby.sessions.detached == 1
    new = lobby.open(link, "ada")
    assert lobby.take_up(new, link, TakeUp(token, {})) is old
    assert [frame["type"] for frame in sent(old)] == ["welcome", "reply"]
    assert (len(lobby.sessions), lobby.sessions.detached) == (1, 0)


async def test_a_session_of_somebody_else_is_not_to_be_had():
    """The connection keeps its own, and is told what it would be told of one that never was."""
    lobby, ada, eve = make(), Link(), Link()
    mine = lobby.open(ada, "ada")
    token = sent(mine)[0]["session"]
    hers = lobby.open(eve, "eve")
    sent(hers)
    assert lobby.take_up(hers, eve, TakeUp(token, {})) is hers
    assert sent(hers)[0]["outcome"] == "unknown_session"
    assert (ada.lost, mine.attached) == (None, True)


async def test_a_connection_that_lost_its_session_cannot_take_it_away():
    """Its end comes after the newer one's beginning."""
    lobby, older, newer = make(), Link(), Link()
    host = lobby.open(older)
    token = sent(host)[0]["session"]
    assert lobby.take_up(lobby.open(newer), newer, TakeUp(token, {})) is host
    assert older.lost == TAKEN_OVER
    lobby.leave(host, older, clean=True)
    assert (host.attached, lobby.sessions.detached) == (True, 0)


async def test_those_that_give_way_stop_their_jobs():
    """Where too many were left behind."""
    lobby, link = make(max_detached_sessions=1), Link()
    calls = []
    for _ in range(2):
        host = lobby.open(link)
        job = {"type": "generate", "prompt": "x", "max_tokens": 9, "on_disconnect": "keep"}
        host.receive(json.dumps(job))
        calls.append(await lobby._engine.calls.get())
        lobby.leave(host, link, clean=False)
    await calls[0].cancelled.wait()
    assert not calls[1].cancelled.is_set()
    assert len(lobby.sessions) == 1


async def test_a_session_that_is_over_is_forgotten():
    """Its timer tells."""
    lobby, link = make(resume_s=0), Link()
    lobby.leave(lobby.open(link), link, clean=True)
    async with asyncio.timeout(10):
        await until(lambda: len(lobby.sessions) == 0)


async def test_all_sessions_share_what_may_be_kept():
    """And what waits is counted over all of them."""
    lobby, link = make(), Link()
    hosts = [lobby.open(link) for _ in range(2)]
    assert all(host.session.log._budget is lobby.budget for host in hosts)
    assert lobby.unsent_bytes == sum(host.session.outbox.size for host in hosts) > 0
