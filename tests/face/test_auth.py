"""Tokens and TLS at the HTTP face."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest

from tests.certificates import self_made
from tests.face.test_face import PATHS, TEXT, client
from tests.fakes import FakeEngine, fake_server, plausible, serving
from wsproc.events import Answered, Event, HandshakeRefused

TOKEN, BOB = "alices-s3cret-token-0001", "bobs-s3cret-token-000002"
AUTH = {"tokens": {"alice": TOKEN, "bob": BOB}, "tasks": {"bob": []}}


def bearer(token: str) -> Mapping[str, str]:
    """Return the header with a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", PATHS)
async def test_a_job_needs_a_token_where_one_is_asked_for(path: str, caplog):
    """The same tokens as on the WebSocket side; a refusal says what would be accepted, and the
    token stands in no answer, event or log line.
    """
    caplog.set_level(logging.DEBUG)
    told: list[Event] = []
    engine = FakeEngine(answers=plausible)
    async with (
        fake_server(engine, readers=[told.append], http_port=0, auth=AUTH) as server,
        client(server) as http,
    ):
        body = {"prompt" if "generate" in path else "text": TEXT}
        for headers, status in [
            ({}, 401),
            (bearer("a-s3cret-of-nobody"), 401),
            ({"Authorization": "Bearer"}, 401),
            ({"Authorization": "Basic YTpi"}, 401),
            (bearer(BOB), 403),
            (bearer(TOKEN), 200),
        ]:
            answer = await http.post(path, json=body, headers=headers)
            assert answer.status_code == status
            assert ("www-authenticate" in answer.headers) is (status == 401)
            assert "s3cret" not in answer.text
            if status != 200:
                assert answer.json()["error"]["code"] in ("unauthorized", "forbidden")
        twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {BOB}")]
        assert (await http.post(path, json=body, headers=twice)).status_code == 400
    answered = [one for one in told if isinstance(one, Answered)]
    assert [one.peer.principal for one in answered] == [None] * 5 + ["alice", None]
    refused = [one.code for one in told if isinstance(one, HandshakeRefused)]
    assert refused == [401, 401, 401, 401, 403, 400]
    assert "s3cret" not in repr(told) + caplog.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
async def test_what_is_public_needs_no_token(path: str):
    """Probes come without one, and the pages hold nothing of anybody."""
    async with serving(FakeEngine(), http_port=0, auth=AUTH) as server, client(server) as http:
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(("auth", "asked"), [(AUTH, True), ({}, False)])
async def test_the_docs_ask_for_the_token_where_one_is_needed(auth: dict, asked: bool):
    """The page then has a place for it."""
    async with serving(FakeEngine(), http_port=0, auth=auth) as server, client(server) as http:
        schema = (await http.get("/openapi.json")).json()
        assert ("securitySchemes" in schema["components"]) is asked
        posts = [methods["post"] for methods in schema["paths"].values()]
        assert all(("security" in post) is asked for post in posts)


async def test_the_face_is_encrypted_by_the_same_certificate(tmp_path: Path):
    """Its address says so."""
    made = self_made(tmp_path, "server")
    tls = {"cert": made.cert, "key": made.key}
    async with serving(FakeEngine(answers=plausible), http_port=0, tls=tls) as server:
        assert server.http_url is not None
        assert server.http_url.startswith("https://127.0.0.1:")
        context = made.client_context()
        async with httpx2.AsyncClient(base_url=server.http_url, verify=context) as http:
            answer = await http.post("/generate-stream", json={"prompt": "Once"})
            assert answer.status_code == 200
