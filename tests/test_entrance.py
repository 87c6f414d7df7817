"""Who may come in, over real sockets: each way with a token, and each refusal."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.auth.signer import Signer
from tests.fakes import FakeEngine, plausible, serving
from tests.wire import Wire, connected, http
from wsproc.auth.bearer import disguise
from wsproc.auth.tokens import line_of
from wsproc.files import BadFile
from wsproc.server import Server

ALICE, BOB, WRONG = (
    "alices-s3cret-token-0001",
    "bobs-s3cret-token-000002",
    "a-s3cret-token-of-nobody",
)
TOKENS = {"alice": ALICE, "bob": BOB}
BROWSER = {"User-Agent": "Mozilla/5.0", "Origin": "http://127.0.0.1"}


def bearer(token: str) -> dict[str, Any]:
    """Return how `connect` gives a token in the header."""
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def beside(token: str, name: str = "wsproc.v1") -> dict[str, Any]:
    """Return how `connect` gives a token beside the subprotocol."""
    return {"subprotocols": [name, disguise(token)]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that knows two principals."""
    async with serving(FakeEngine(answers=plausible), auth={"tokens": TOKENS}) as one:
        yield one


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture):
    """Whatever a test does, no token is logged, at any level; and no exception is."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            said = f"{record.getMessage()} {record.__dict__}"
            ours = record.name.startswith("wsproc")
            assert not ours or "s3cret" not in said, said
            assert not ours or disguise(ALICE) not in said, said
            assert record.exc_info is None, said


async def job_runs(wire: Wire) -> None:
    """See a job through."""
    await wire.send(type="generate", id="g", prompt="Once")
    assert (await wire.next("done"))["status"] == "completed"


# --- ways in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [bearer(ALICE), beside(ALICE), {**bearer(ALICE), **beside(BOB)}]
)
async def test_a_token_in_the_handshake_opens(server: Server, options: dict):
    """The first frame is the welcome, and the token is not among the subprotocols of the answer."""
    async with connected(server, **options) as wire:
        assert "auth" not in wire.frames[0]
        assert wire.socket.subprotocol in (None, "wsproc.v1")
        assert disguise(ALICE) not in repr(wire.socket.response)
        await job_runs(wire)


async def test_the_auth_frame_opens(server: Server):
    """Asked for first, then welcomed; what came right behind the token is done too."""
    async with connected(server) as wire:
        assert wire.frames == [{"type": "welcome", "auth": "required"}]
        await wire.send(type="auth", token=ALICE)
        await wire.send(type="generate", id="g", prompt="Once")
        welcome = await wire.receive()
        assert (welcome["type"], welcome["protocol"]) == ("welcome", "wsproc.v1")
        assert (await wire.next("done"))["status"] == "completed"


async def test_other_frames_before_the_token_are_answered(server: Server):
    """Each by one `error`; then the token still opens."""
    async with connected(server) as wire:
        await wire.send(type="process", id="p", text="This is not read yet.")
        assert (await wire.next("error"))["error"]["code"] == "unauthorized"
        assert wire.frames[-1]["re"] == {"type": "process", "id": "p"}
        await wire.socket.send("no JSON")
        assert (await wire.next("error"))["error"]["code"] == "bad_json"
        await wire.send(type="auth", token=BOB)
        await wire.next("welcome")
        await job_runs(wire)


async def test_an_auth_frame_too_many_is_harmless(server: Server):
    """Answered by an `error`; the connection goes on, whether a token was asked for or not."""
    async with connected(server, **bearer(ALICE)) as wire:
        await wire.send(type="auth", token=ALICE)
        assert (await wire.next("error"))["error"]["code"] == "bad_frame"
        await job_runs(wire)
    async with (
        serving(FakeEngine(answers=plausible)) as open_server,
        connected(open_server) as wire,
    ):
        await wire.send(type="auth", token=WRONG)
        assert (await wire.next("error"))["error"]["code"] == "bad_frame"
        await job_runs(wire)


async def test_where_no_token_is_asked_for_none_is_looked_at():
    """A client that sends one anyway comes in."""
    async with serving(FakeEngine(answers=plausible)) as server:
        for options in (bearer(WRONG), beside(WRONG)):
            async with connected(server, **options) as wire:
                await job_runs(wire)


# --- refusals -------------------------------------------------------------------------------------


async def refused_by_status(server: Server, **options: Any) -> tuple[int, str, str | None]:
    """Connect; return the status, the body and the challenge of the refusal."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.url, **options)
    response = caught.value.response
    assert response.body is not None
    return response.status_code, response.body.decode(), response.headers.get("WWW-Authenticate")


async def refused_by_close(server: Server, **options: Any) -> tuple[int, str]:
    """Connect; return the code and the reason of the close, before which nothing was sent."""
    async with connect(server.url, **options) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_reason is not None
        return socket.close_code or 0, socket.close_reason


@pytest.mark.parametrize("options", [bearer(WRONG), beside(WRONG), bearer("two words")])
async def test_a_wrong_token_is_a_401_to_those_who_can_read_it(server: Server, options: dict):
    """Row A5: with the challenge of RFC 6750; the token stands nowhere in it."""
    status, body, challenge = await refused_by_status(server, **options)
    assert status == 401
    assert challenge is not None
    assert challenge.startswith('Bearer realm="wsproc", error="invalid_token", error_description="')
    assert "s3cret" not in body + challenge


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (beside(WRONG), 4401),
        (beside("bad"), 4401),
        (beside(ALICE, "wsproc.v2"), 4406),
        ({"origin": "http://evil.example", **beside(ALICE)}, 4403),
    ],
)
async def test_a_browser_is_refused_by_a_close(server: Server, options: dict, code: int):
    """It cannot read a status."""
    headers = {"Origin": options.get("origin", f"http://127.0.0.1:{server.port}")}
    given = {"subprotocols": options["subprotocols"], "additional_headers": headers}
    seen, reason = await refused_by_close(server, **given, user_agent_header="Mozilla/5.0 (X11)")
    assert seen == code
    assert "s3cret" not in reason


async def test_a_wrong_origin_is_a_403_to_those_who_can_read_it(server: Server):
    """Row A5: A tool that sends an Origin, as wscat does by -o."""
    options = {**bearer(ALICE), "origin": "http://evil.example"}
    status, body, _ = await refused_by_status(server, **options)
    assert (status, body) == (403, "this origin may not connect; see --origin\n")


async def test_a_token_without_the_subprotocol_cannot_be_answered(server: Server):
    """It would have to be echoed."""
    status, body, _ = await refused_by_status(server, subprotocols=[disguise(ALICE)])
    assert (status, body) == (400, "offer wsproc.v1 beside the token\n")


async def test_a_token_in_the_query_is_not_looked_at(server: Server):
    """It would stand in every log on the way."""
    async with connect(f"{server.url}?token={ALICE}") as socket:
        assert json.loads(await socket.recv()) == {"type": "welcome", "auth": "required"}


async def test_a_wrong_auth_frame_is_told_and_closed(server: Server):
    """At once: nobody tries tokens on one connection."""
    async with connected(server) as wire:
        await wire.send(type="auth", token=WRONG)
        error = await wire.next("error")
        assert error["error"]["code"] == "unauthorized"
        assert await wire.closed() == 4401
        assert wire.socket.close_reason == error["error"]["message"]
        assert "s3cret" not in repr(wire.frames)


async def test_nobody_waits_for_a_token_for_ever():
    """A client that sends none in time is closed with 4408, whatever else it sends."""
    auth = {"tokens": TOKENS, "auth_timeout_s": 0.2}
    async with serving(FakeEngine(), auth=auth) as server, connected(server) as wire:
        await wire.send(type="ping")
        assert await wire.closed() == 4408


async def test_a_stranger_is_answered_a_bounded_number_of_times(server: Server):
    """Ten messages that are no token are the last."""
    async with connected(server) as wire:
        for _ in range(20):
            await wire.send(type="jobs")
        assert await wire.closed() == 4400
        assert [frame["type"] for frame in wire.frames[1:]] == ["error"] * 10


async def test_strangers_do_not_fill_the_house():
    """Over the limit they are told to come again; who shows a token at the door comes in."""
    auth = {"tokens": TOKENS, "max_strangers": 1}
    async with (
        serving(FakeEngine(answers=plausible), auth=auth) as server,
        connected(server) as first,
    ):
        refused = await refused_by_close(server)
        assert refused == (1013, "too many connections without a token")
        async with connected(server, **bearer(ALICE)) as wire:
            await job_runs(wire)
        await first.send(type="auth", token=BOB)
        await first.next("welcome")
        async with connected(server) as second:
            assert second.frames == [{"type": "welcome", "auth": "required"}]


async def test_a_principal_has_so_many_connections():
    """Others have their own; one that ends makes room."""
    settings = {"auth": {"tokens": TOKENS}, "max_connections_per_principal": 1}
    async with serving(FakeEngine(answers=plausible), **settings) as server:
        async with connected(server, **bearer(ALICE)):
            code, reason = await refused_by_close(server, **bearer(ALICE))
            assert (code, reason) == (1013, "this principal has too many connections")
            async with connected(server, **bearer(BOB)) as wire:
                await job_runs(wire)
        async with asyncio.timeout(10):
            while True:  # the server sees the close a moment after the client
                async with connect(server.url, **bearer(ALICE)) as socket:
                    if await _welcomed(socket):
                        break


async def _welcomed(socket: ClientConnection) -> bool:
    try:
        return json.loads(await socket.recv())["type"] == "welcome"
    except ConnectionClosed:
        return False


async def test_a_header_that_decides_comes_once(server: Server):
    """Two tokens could be read as one here and as the other at a proxy."""
    headers = [("Authorization", f"Bearer {ALICE}"), ("Authorization", f"Bearer {WRONG}")]
    status, body, _ = await refused_by_status(server, additional_headers=headers)
    assert status == 400
    assert "s3cret" not in body


async def test_subprotocols_that_cannot_be_read_are_not_repeated(server: Server):
    """The error is answered without the header, in which a token may stand."""
    answer = await http(
        server,
        "/",
        Connection="Upgrade",
        Upgrade="websocket",
        **{
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": f"wsproc.v1, {disguise(ALICE)}, @;{ALICE}",
        },
    )
    assert answer[0] == 400
    assert "s3cret" not in answer[2].decode()
    assert disguise(ALICE) not in answer[2].decode()


@pytest.mark.parametrize("path", ["/", "/metrics"])
async def test_bytes_that_are_no_text_are_a_wrong_token(path: str, tmp_path: Path):
    """Whatever kind of tokens is asked for."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [Signer("ES256", "k").public]}))
    auth = {"tokens": TOKENS, "jwks_file": jwks, "metrics_token": "own"}
    async with serving(FakeEngine(), auth=auth) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        upgrade = "" if path == "/metrics" else "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}Authorization: Bearer "
        writer.write(head.encode() + b"\xff\xfe.e30.e30\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()


# --- as time passes -------------------------------------------------------------------------------


async def test_a_connection_ends_when_its_token_expires(tmp_path: Path):
    """It is closed with 4401 at `exp`; until then it works. An expired one does not open."""
    signer = Signer("ES256", "k")
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    auth = {"jwks_file": jwks, "jwt_leeway_s": 0}
    async with serving(FakeEngine(answers=plausible), auth=auth) as server:
        expiry = int(time.time()) + 2
        async with connected(server, **bearer(signer.sign(sub="alice", exp=expiry))) as wire:
            await job_runs(wire)
            assert await wire.closed() == 4401
            assert time.time() >= expiry
            assert wire.socket.close_reason == "the token has expired; get a new one"
        status, body, _ = await refused_by_status(
            server, **bearer(signer.sign(sub="alice", exp=expiry))
        )
        assert (status, body) == (401, "the token has expired; get a new one\n")


async def test_files_are_read_again_without_a_restart(tmp_path: Path, caplog):
    """Who was added comes in, who is still there goes on, who was taken out is shown out; a bad
    file is told of in one sentence and changes nothing.
    """
    listed = tmp_path / "tokens"
    carol = "carols-s3cret-token-0003"
    listed.write_text(f"{line_of('alice', ALICE)}\n{line_of('carol', carol)}\n")
    async with serving(FakeEngine(answers=plausible), auth={"token_file": listed}) as server:
        async with (
            connected(server, **bearer(ALICE)) as wire,
            connected(server, **bearer(carol)) as still_there,
        ):
            listed.write_text(f"{line_of('bob', BOB)}\n{line_of('carol', carol)}\n")
            server.reload()
            assert (await refused_by_status(server, **bearer(ALICE)))[0] == 401
            async with connected(server, **bearer(BOB)) as other:
                await job_runs(other)
            assert await wire.closed() == 4401
            assert wire.socket.close_reason == "the token is no longer taken"
            await job_runs(still_there)
        listed.write_text("bob\n")
        server.reload()
        assert "tokens: line 1: write it as principal:sha256$HASH" in caplog.text
        assert "what was read before stays in use" in caplog.text
        async with connected(server, **bearer(BOB)) as wire:
            await job_runs(wire)


async def test_a_server_with_a_bad_file_does_not_start(tmp_path: Path):
    """Before any model is loaded."""
    with pytest.raises(BadFile, match=r"auth\.token_file"):
        async with serving(FakeEngine(), auth={"token_file": tmp_path / "none"}):
            pytest.fail("it started")


async def test_a_shutdown_waits_for_no_stranger():
    """Who has not shown a token is sent away as all are."""
    async with (
        serving(FakeEngine(), auth={"tokens": TOKENS}) as server,
        connected(server) as wire,
        asyncio.timeout(10),
    ):
        closing = asyncio.create_task(server.close())
        assert await wire.closed() == 1012
        await closing


# --- plain HTTP -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/schema.json", "/wsproc.js"])
async def test_what_is_public_needs_no_token(server: Server, path: str):
    """Probes come without one, and the page and the schema hold nothing of anybody."""
    assert (await http(server, path))[0] == 200


async def test_the_metrics_need_a_token_where_one_is_asked_for(server: Server):
    """A neighbour's load is nobody else's business."""
    status, headers, body = await http(server, "/metrics")
    assert (status, body) == (401, b"give a token: Authorization: Bearer\n")
    assert headers["www-authenticate"].startswith("Bearer")
    assert (await http(server, "/metrics", Authorization=f"Bearer {WRONG}"))[0] == 401
    assert (await http(server, "/metrics?x", Authorization=f"Bearer {ALICE}"))[0] == 200


async def test_the_metrics_may_have_a_token_of_their_own():
    """Then no other reads them, and it opens nothing else."""
    auth = {"tokens": TOKENS, "metrics_token": "a-s3cret-of-prometheus"}
    async with serving(FakeEngine(), auth=auth) as server:
        own = {"Authorization": "Bearer a-s3cret-of-prometheus"}
        assert (await http(server, "/metrics", **own))[0] == 200
        assert (await http(server, "/metrics", Authorization=f"Bearer {ALICE}"))[0] == 401
        assert (await refused_by_status(server, additional_headers=own))[0] == 401
