"""One connection: how it is opened, with a token or without, how fast it sends, how it is shown."""

from __future__ import annotations

import asyncio
import logging

import pytest

import wsproc
from tests.client.scripted import PATIENCE_S, WELCOME, Peer, scripted
from tests.fakes import FakeEngine, plausible, serving
from wsproc.client.pace import Pace

SECRET = "a-s3cret-token-0000000001"
AT_ONCE = wsproc.Reconnect(first_delay_s=0.001, max_delay_s=0.01, max_time_s=PATIENCE_S)


@pytest.fixture(autouse=True)
def discreet(caplog):
    """Whatever a test does, no token is logged, at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            assert record.name.startswith("websockets.server") or SECRET not in (
                f"{record.getMessage()} {record.__dict__}"
            )


# --- tokens -------------------------------------------------------------------------------------


async def test_a_token_goes_into_the_header():
    """`token` is presented as a bearer, beside the headers that the caller gave."""

    async def only(peer: Peer) -> None:
        assert peer.authorization == f"Bearer {SECRET}"
        assert peer.socket.request.headers["X-Mine"] == "1"
        await peer.welcome()

    async with scripted(only) as url:
        headers = {"X-Mine": "1"}
        async with wsproc.connect(url, token=SECRET, additional_headers=headers) as client:
            assert SECRET not in repr(client)


async def test_a_server_that_did_not_see_the_header_is_given_it_in_a_frame():
    """A proxy may have dropped it: a server that still asks gets an `auth` frame."""

    async def only(peer: Peer) -> None:
        await peer.send("welcome", auth="required")
        await peer.receive("auth", token=SECRET)
        await peer.welcome()
        await peer.receive("ping")
        await peer.send("pong")

    async with scripted(only) as url, wsproc.connect(url, token=SECRET) as client:
        assert await client.ping() > 0


async def test_a_server_that_asks_for_a_token_of_someone_who_has_none():
    """It is told what to give, and nothing is sent."""

    async def only(peer: Peer) -> None:
        await peer.send("welcome", auth="required")
        assert await peer.closed() in (1000, 1006)

    async with scripted(only) as url:
        with pytest.raises(wsproc.Unauthorized, match="token="):
            await wsproc.connect(url).open()


@pytest.mark.parametrize("way", ["frame", "close"])
async def test_a_refused_auth_frame_is_unauthorized(way):
    """By an error frame or by the close that follows it."""

    async def only(peer: Peer) -> None:
        await peer.send("welcome", auth="required")
        await peer.receive("auth")
        if way == "frame":
            error = {"code": "unauthorized", "message": "it has expired", "retryable": False}
            await peer.send("error", error=error)
        await peer.close(4401, "it has expired")

    async with scripted(only) as url:
        with pytest.raises(wsproc.Unauthorized, match="it has expired") as caught:
            await wsproc.connect(url, token=SECRET).open()
    assert caught.value.close_code == 4401
    assert isinstance(caught.value, wsproc.ConnectFailed)
    assert isinstance(caught.value, wsproc.ConnectionLost)


async def test_a_token_that_expired_is_asked_for_anew():
    """A function is called before each connection, so a 4401 in between is not the end."""
    tokens = iter(["first", "second", "third"])

    async def first(peer: Peer) -> None:
        assert peer.authorization == "Bearer first"
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(4401, "expired")

    async def second(peer: Peer) -> None:
        assert peer.authorization == "Bearer second"
        await peer.resumed(py_1={"last_seq": 1, "recovered": True})
        await peer.complete(2, "done")

    async with (
        scripted(first, second) as url,
        wsproc.connect(url, token=lambda: next(tokens), reconnect=AT_ONCE) as client,
    ):
        assert (await client.generate("Hello").result()).text == "done"


async def test_a_token_that_cannot_be_renewed_ends_the_client():
    """4401 of a fixed token: jobs are lost, calls are unauthorized."""

    async def only(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("generate")
        await peer.accept()
        await peer.close(4401, "expired")

    async with (
        scripted(only) as url,
        wsproc.connect(url, token=SECRET, reconnect=AT_ONCE) as client,
    ):
        with pytest.raises(wsproc.JobLost) as lost:
            await client.generate("Hello").result()
        assert lost.value.close_code == 4401
        with pytest.raises(wsproc.Unauthorized, match="expired"):
            await client.ping()


async def test_a_real_server_takes_the_right_token_and_no_other():
    """An HTTP 401 is Unauthorized too, and says what the server said."""
    settings = {"auth": {"tokens": {"alice": SECRET}}}
    async with serving(FakeEngine(answers=plausible), **settings) as server:
        async with wsproc.connect(server.url, token=SECRET) as client:
            assert (await client.generate("Hello").result()).text
        with pytest.raises(wsproc.Unauthorized, match="refused the token"):
            await wsproc.connect(server.url, token="another-token-000000000001").open()
        with pytest.raises(wsproc.Unauthorized, match="asks for a token"):
            await wsproc.connect(server.url).open()


async def test_a_user_and_password_in_the_address_are_not_shown():
    """Neither in the repr nor in an error."""
    client = wsproc.connect(f"ws://ada:{SECRET}@127.0.0.1:1/")
    assert repr(client).startswith("<Client ws://127.0.0.1:1/ not open")
    with pytest.raises(wsproc.ConnectFailed) as caught:
        await client.open()
    assert SECRET not in str(caught.value)


# --- pace ---------------------------------------------------------------------------------------


async def test_no_more_is_sent_than_the_server_takes():
    """`limits.max_messages_per_s` is kept to: as many at once, then one after the other."""
    loop = asyncio.get_running_loop()
    begun, pace = loop.time(), Pace(50)
    for _ in range(50):
        await pace.wait(100)
    at_once = loop.time() - begun
    for _ in range(5):
        await pace.wait(100)
    assert loop.time() - begun - at_once > 0.05
    await Pace(0).wait(10**9)


async def test_a_burst_of_submits_is_not_refused():
    """More submits than a server takes at once are spread, and each is accepted."""
    settings = {"messages_per_s": 100, "message_burst": 100, "max_jobs_per_connection": 1000}
    async with (
        serving(FakeEngine(answers=plausible), **settings) as server,
        wsproc.connect(server.url) as client,
    ):
        jobs = [client.generate(f"prompt {n}", max_tokens=1).result() for n in range(130)]
        assert len(await asyncio.gather(*jobs)) == 130


@pytest.mark.parametrize("kind", ["generate", "cancel", "jobs", "ping", "append"])
async def test_what_came_too_fast_is_sent_again(kind):
    """`rate_limited` is about the pace and not about the message: its asker just waits longer."""
    limited = {"code": "rate_limited", "message": "", "retryable": True, "retry_after_ms": 1}

    async def only(peer: Peer) -> None:
        await peer.welcome(limits={**WELCOME["limits"], "max_messages_per_s": 1000})
        if kind == "append":
            await peer.receive("process")
            await peer.accept()
        frame = await peer.receive(kind)
        named = {"id": frame["id"]} if "id" in frame else {}
        await peer.send("error", error=limited, re={"type": kind, **named})
        assert await peer.receive(kind) == frame
        if kind == "generate":
            await peer.accept()
        elif kind == "ping":
            await peer.send("pong")
        else:
            rest = {"jobs": []} if kind == "jobs" else named
            await peer.send("reply", op=kind, outcome="unknown" if named else "ok", **rest)

    async with scripted(only) as url, wsproc.connect(url) as client:
        if kind == "generate":
            await client.generate("Hello")
        elif kind == "cancel":
            await client.cancel("x")
        elif kind == "append":
            job = await client.process("One.", open=True)
            with pytest.raises(wsproc.InputRefused):
                await job.append("Two.")
        else:
            await getattr(client, kind)()
