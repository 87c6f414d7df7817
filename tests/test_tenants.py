"""Principals beside each other on one server: what is whose, and how much each may have."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.auth.signer import Signer
from tests.fakes import FakeEngine, plausible, serving
from tests.wire import Wire, connected, left

ALICE, ALICES_OTHER, BOB = "alices-token-0001", "alices-token-0002", "bobs-token-00001"
TOKENS = {"alice": [ALICE, ALICES_OTHER], "bob": BOB}
PROMPT = {"type": "generate", "prompt": "Once upon a time", "max_tokens": 9}


def bearer(token: str) -> dict[str, Any]:
    """Return how `connect` gives a token."""
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def rejected(wire: Wire, **frame: Any) -> dict[str, Any]:
    """Submit what is not to be taken; return the error."""
    await wire.send(**frame)
    return (await wire.next("rejected"))["error"]


@pytest.mark.parametrize("shut", [True, False])
async def test_a_session_of_another_principal_is_unknown(shut: bool):
    """To whoever has its secret, too, whether its owner is connected or not; nothing happens to it.
    Its owner comes back to it by any of its tokens.

    Invariant 9.
    """
    engine = FakeEngine()
    async with (
        serving(engine, auth={"tokens": TOKENS}) as server,
        connected(server, **bearer(ALICE)) as wire,
    ):
        session = wire.welcome["session"]
        await wire.send(**PROMPT, id="a")
        call = await engine.calls.get()
        if shut:
            wire.lose()
            await left(server)
        async with connected(server, **bearer(BOB)) as stranger:
            reply = await stranger.resume(session)
            assert (reply["outcome"], "jobs" in reply) == ("unknown_session", False)
            await stranger.send(type="cancel", id="a")
            assert (await stranger.next("reply", op="cancel"))["outcome"] == "unknown"
            await stranger.send(type="jobs")
            assert (await stranger.next("reply", op="jobs"))["jobs"] == []
        async with connected(server, **bearer(ALICES_OTHER)) as again:
            assert (await again.resume(session))["outcome"] == "ok"
            call.finish("one")
            assert (await again.next("done"))["result"]["text"] == "one"


async def test_who_gives_its_token_in_a_frame_has_its_sessions():
    """As by the header."""
    engine = FakeEngine()
    async with serving(engine, auth={"tokens": TOKENS}) as server:
        async with connected(server, **bearer(ALICE)) as wire:
            await wire.send(**PROMPT, id="a")
            await engine.calls.get()
            wire.lose()
            await left(server)
        async with connected(server) as again:
            await again.send(type="auth", token=ALICE)
            await again.next("welcome")
            assert (await again.resume(wire.welcome["session"]))["outcome"] == "ok"


async def test_a_job_outlives_the_token_of_its_connection(tmp_path: Path):
    """The connection is closed at `exp`; with the next token of the same subject it goes on."""
    signer, engine = Signer("ES256", "k"), FakeEngine()
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    async with serving(engine, auth={"jwks_file": jwks, "jwt_leeway_s": 0}) as server:
        now = int(time.time())
        async with connected(server, **bearer(signer.sign(sub="alice", exp=now + 2))) as wire:
            await wire.send(**PROMPT, id="a")
            call = await engine.calls.get()
            call.delta(text="one ")
            assert await wire.closed() == 4401
        assert not call.cancelled.is_set()
        async with connected(server, **bearer(signer.sign(sub="alice", exp=now + 600))) as again:
            await again.resume(wire.welcome["session"])
            call.finish("two")
            assert (await again.next("done"))["result"]["text"] == "one two"


async def test_the_jobs_of_a_principal_are_limited_in_all():
    """Over its connections and over plain HTTP; the others have theirs, and an end makes room."""
    engine = FakeEngine()
    settings = {"auth": {"tokens": TOKENS}, "max_jobs_per_principal": 2, "http_port": 0}
    async with (
        serving(engine, **settings) as server,
        connected(server, **bearer(ALICE)) as first,
        connected(server, **bearer(ALICES_OTHER)) as second,
        connected(server, **bearer(BOB)) as other,
        httpx2.AsyncClient(base_url=server.http_url, headers=_header(ALICE)) as http,
    ):
        for wire in (first, second):
            await wire.send(**PROMPT, id="a")
            await wire.next("accepted")
        for wire in (first, second):
            error = await rejected(wire, **PROMPT, id="b")
            assert (error["code"], error["retryable"]) == ("too_many_jobs", True)
            assert error["message"] == "2 jobs of yours are running in all; wait for one to end"
            assert error["retry_after_ms"] > 0
        answer = await http.post("/generate-stream", json={"prompt": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_jobs")
        await other.send(**PROMPT, id="a")
        await other.next("accepted")
        await second.send(type="cancel", id="a")
        await second.next("done")
        await first.send(**PROMPT, id="b")
        await first.next("accepted")


async def test_a_principal_submits_what_it_may():
    """Its welcome names that alone; anything else is rejected and may never be submitted."""
    auth = {"tokens": TOKENS, "tasks": {"bob": ["process", "batch"], "*": ["generate"]}}
    async with (
        serving(FakeEngine(answers=plausible), auth=auth, http_port=0) as server,
        connected(server, **bearer(ALICE)) as alice,
        connected(server, **bearer(BOB)) as bob,
        httpx2.AsyncClient(base_url=server.http_url, headers=_header(BOB)) as http,
    ):
        assert alice.welcome["tasks"] == ["generate"]
        assert bob.welcome["tasks"] == ["process", "batch"]
        await alice.send(**PROMPT, id="a")
        assert (await alice.next("done"))["status"] == "completed"
        error = await rejected(bob, **PROMPT, id="a")
        assert (error["code"], error["retryable"], error["path"]) == ("forbidden", False, "type")
        answer = await http.post("/generate-stream", json={"prompt": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def _header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
