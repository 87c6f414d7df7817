"""Who may come in, from a real browser: what a page learns of why it may not."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.auth.signer import Signer
from tests.certificates import self_made
from tests.fakes import FakeEngine, plausible, serving
from tests.web.test_page import static
from wsproc.auth.bearer import disguise
from wsproc.cli.panel import browser_address

TOKEN = "alices-s3cret-token-0001"

KNOCK = """async ([url, protocols, first]) => {
    const frames = [];
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => { if (first) socket.send(JSON.stringify(first)); };
    return await new Promise((resolve) => {
        const tell = (event) => resolve({
            frames, protocol: socket.protocol, code: event.code, reason: event.reason,
        });
        socket.onclose = tell;
        socket.onmessage = (event) => {
            frames.push(JSON.parse(event.data));
            if (frames.at(-1).session) tell({});
        };
    });
}"""
"""Connect, send a first frame if there is one; tell what came up to the welcome or the close."""


@pytest.fixture
def jwks(tmp_path: Path) -> tuple[Signer, Path]:
    """An identity provider and its published keys."""
    signer = Signer("ES256", "k")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [signer.public]}))
    return signer, file


async def test_a_page_of_the_server_comes_in_with_a_token(open_page):
    """Beside the subprotocol, which alone is answered, or in the first frame."""
    async with serving(FakeEngine(answers=plausible), auth={"tokens": {"alice": TOKEN}}) as server:
        page = (await open_page(f"http://127.0.0.1:{server.port}/schema.json")).page
        names = ["wsproc.v1", disguise(TOKEN)]
        seen = await page.evaluate(KNOCK, [server.url, names, None])
        assert seen["protocol"] == "wsproc.v1"
        assert [frame["type"] for frame in seen["frames"]] == ["welcome"]
        auth = {"type": "auth", "token": TOKEN}
        seen = await page.evaluate(KNOCK, [server.url, ["wsproc.v1"], auth])
        asked, welcome = seen["frames"]
        assert asked == {"type": "welcome", "auth": "required"}
        assert welcome["protocol"] == "wsproc.v1"


async def test_a_page_learns_why_its_token_is_refused(open_page, jwks):
    """Row A5: wrong or expired, in the handshake or in the frame: 4401 and words, not a bare 1006.

    Row A5.
    """
    signer, file = jwks
    expired = signer.sign(sub="alice", exp=int(time.time()) - 60)
    async with serving(FakeEngine(), auth={"jwks_file": file}) as server:
        page = (await open_page(f"http://127.0.0.1:{server.port}/schema.json")).page
        for token, reason in [
            ("a-s3cret-of-nobody", "the token is not known here"),
            (expired, "the token has expired; get a new one"),
        ]:
            names = ["wsproc.v1", disguise(token)]
            seen = await page.evaluate(KNOCK, [server.url, names, None])
            assert (seen["code"], seen["reason"], seen["frames"]) == (4401, reason, [])
            auth = {"type": "auth", "token": token}
            seen = await page.evaluate(KNOCK, [server.url, [], auth])
            assert (seen["code"], seen["reason"]) == (4401, reason)
            assert seen["frames"][-1]["error"]["code"] == "unauthorized"


async def test_a_page_that_shows_no_token_is_told_so(open_page):
    """After the time that it has, by 4408."""
    auth = {"tokens": {"alice": TOKEN}, "auth_timeout_s": 0.2}
    async with serving(FakeEngine(), auth=auth) as server:
        page = (await open_page(f"http://127.0.0.1:{server.port}/schema.json")).page
        seen = await page.evaluate(KNOCK, [server.url, [], None])
        assert (seen["code"], seen["reason"]) == (4408, "no auth frame came in time")


async def test_a_page_is_told_when_its_token_expires(open_page, jwks):
    """The connection that was let in is closed with 4401."""
    signer, file = jwks
    async with serving(FakeEngine(), auth={"jwks_file": file, "jwt_leeway_s": 0}) as server:
        page = (await open_page(f"http://127.0.0.1:{server.port}/schema.json")).page
        token = signer.sign(sub="alice", exp=int(time.time()) + 2)
        closed = """async ([url, names]) => await new Promise((resolve) => {
            new WebSocket(url, names).onclose = (event) => resolve([event.code, event.reason]);
        })"""
        async with asyncio.timeout(20):
            seen = await page.evaluate(closed, [server.url, ["wsproc.v1", disguise(token)]])
        assert seen == [4401, "the token has expired; get a new one"]


async def test_a_page_from_elsewhere_stays_outside_with_a_good_token(open_page, tmp_path: Path):
    """Row A5: its origin is looked at first, whatever it has stolen."""
    (tmp_path / "page.html").write_text("<!doctype html><title>elsewhere</title>")
    auth = {"tokens": {"alice": TOKEN}}
    with static(tmp_path) as origin:
        async with serving(FakeEngine(), auth=auth) as server:
            page = (await open_page(f"{origin}/page.html")).page
            for token in (TOKEN, "a-s3cret-of-nobody"):
                names = ["wsproc.v1", disguise(token)]
                seen = await page.evaluate(KNOCK, [server.url, names, None])
                assert (seen["code"], seen["frames"]) == (4403, [])
                assert "origin" in seen["reason"]


async def test_the_console_page_works_over_tls(open_page, tmp_path: Path):
    """It is served by https:// and connects by wss://, with the policy that it has."""
    made = self_made(tmp_path, "server")
    tls = {"cert": made.cert, "key": made.key}
    async with serving(FakeEngine(answers=plausible), tls=tls) as server:
        address = browser_address(server.url)
        watched = await open_page(address, ignore_https_errors=True)
        seen = await watched.page.evaluate(KNOCK, [server.url, ["wsproc.v1"], None])
        assert [frame["type"] for frame in seen["frames"]] == ["welcome"]
        await watched.page.wait_for_function("document.body.innerText.includes('connected')")
        assert watched.errors == []
