"""The app's answers, asked without a socket."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import orjson
import pytest

from tests.face.test_exchange import desk
from tests.fakes import FakeEngine, plausible
from wsproc.config import ServerConfig
from wsproc.events import Answered, Event, HandshakeRefused, JobAccepted, JobEnded
from wsproc.face.app import make_app
from wsproc.frames.client import Generate, Submit
from wsproc.frames.server import STATUSES
from wsproc.health import Verdict
from wsproc.tasks import TaskResult

TEXT = "I love this. Ada is great! " * 5 + "I hate that. " * 5


@asynccontextmanager
async def asking(engine: FakeEngine, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client of an app; what happens is told in `client.told`."""
    told: list[Event] = []
    one = settings.pop("desk", None) or desk(engine, told.append)
    config = ServerConfig(**settings)
    app = make_app(
        one,
        config,
        count=itertools.count(1),
        health=Verdict,
        ready=lambda: Verdict(() if engine.stages else ("no models",)),
    )
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        client.told = told  # type: ignore[attr-defined]
        yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an app whose engine answers at once."""
    async with asking(FakeEngine(answers=plausible)) as one:
        yield one


def answers(client) -> list[tuple[str, int]]:
    """Return path and status of each request so far."""
    return [(one.path, one.status) for one in client.told if isinstance(one, Answered)]


# --- the three endpoints --------------------------------------------------------------------------


async def test_process_stream_is_the_original_stream(client):
    """One JSON object a line, keyed by `status`, from `started` to `completed`."""
    answer = await client.post("/process-stream", json={"text": TEXT, "include_entities": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [orjson.loads(one) for one in answer.text.splitlines()]
    statuses = [one["status"] for one in lines]
    assert statuses[:3] == ["started", "chunking", "chunked"]
    assert statuses[-1] == "completed"
    assert set(statuses) <= {*STATUSES, "completed"}
    progress = [one["progress"] for one in lines if one["status"] == "sentiment_progress"]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    complete = next(one for one in lines if one["status"] == "sentiment_complete")
    result = lines[-1]["result"]
    assert result["sentiment"]["overall_sentiment"] == complete["overall_sentiment"]
    assert result["entities"]["total_entities"] == 5
    assert lines[-1]["total_processing_time"] >= 0
    assert [type(event) for event in client.told] == [JobAccepted, JobEnded, Answered]
    assert answers(client) == [("/process-stream", 200)]


async def test_generate_stream_is_plain_text(client):
    """The tokens, and no JSON."""
    answer = await client.post("/generate-stream", json={"prompt": "Once", "max_tokens": 3})
    assert answer.text == " word0 word1 word2"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("body", [{"text": TEXT}, {"texts": [TEXT, TEXT + TEXT]}])
async def test_process_batch_is_one_object(client, body: dict[str, Any]):
    """Of one text or of many."""
    answer = await client.post("/process-batch", json={**body, "meta": {"mine": 1}})
    assert answer.headers["content-type"] == "application/json"
    whole = answer.json()
    assert (whole["status"], whole["meta"]) == ("completed", {"mine": 1})
    if "texts" in body:
        assert whole["result"]["total_texts"] == 2
    else:
        assert whole["result"]["text_length"] == len(TEXT)


SPAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("sent", "meta", "told"),
    [(SPAN, None, SPAN), (SPAN, {"mine": 1}, None), ("nonsense", None, None), (None, None, None)],
)
async def test_a_job_belongs_to_the_span_of_its_request(client, sent, meta, told):
    """By the header of W3C Trace Context, unless the client has its own `meta`."""
    headers = {} if sent is None else {"traceparent": sent}
    body = {"text": TEXT} if meta is None else {"text": TEXT, "meta": meta}
    answer = await client.post("/process-batch", json=body, headers=headers)
    assert answer.json().get("meta") == (meta or ({"traceparent": told} if told else None))
    (ended,) = [event for event in client.told if isinstance(event, JobEnded)]
    assert ended.traceparent == told


async def test_a_task_of_ones_own_has_an_endpoint_too():
    """At /NAME-stream, with its own fields."""

    class Shout(Submit):
        """Say it louder."""

        type: Literal["shout"] = "shout"
        words: str

    async def shout(request: Shout, job):
        yield job.status("shouting", loudness=11)
        yield job.token("A")
        yield TaskResult({"text": request.words.upper()})

    engine = FakeEngine()
    one = desk(engine)
    one.registry.add(Shout, shout)
    async with asking(engine, desk=one) as client:
        answer = await client.post("/shout-stream", json={"words": "oh"})
        assert answer.status_code == 200
        first, token, last = [orjson.loads(one) for one in answer.text.splitlines()]
        assert first == {"status": "shouting", "loudness": 11}
        assert token == {"status": "token", "text": "A"}
        assert last["result"] == {"text": "OH"}
        assert (await client.post("/shout-stream", json={})).status_code == 422


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/process-stream", {}, ["body", "text"]),
        ("/process-stream", {"text": "short"}, ["body", "text"]),
        ("/process-stream", {"text": TEXT, "chunk_size": 501}, ["body", "chunk_size"]),
        ("/process-stream", {"text": TEXT, "chunksize": 200}, ["body", "chunksize"]),
        ("/process-stream", {"text": TEXT, "open": True}, ["body", "open"]),
        ("/process-batch", {"texts": [TEXT, "short"]}, ["body", "texts", 1]),
        ("/process-batch", {"text": TEXT, "texts": [TEXT]}, ["body"]),
        ("/process-batch", {}, ["body"]),
        ("/generate-stream", {"prompt": "x", "temperature": "hot"}, ["body", "temperature"]),
        ("/generate-stream", {"prompt": "x", "max_tokens": 2000}, ["body", "max_tokens"]),
        ("/generate-stream", {"max_tokens": 5}, ["body", "prompt"]),
        ("/process-stream", [], ["body"]),
    ],
)
async def test_a_wrong_field_is_named(client, path: str, body: Any, where: list[Any]):
    """422 with FastAPI's `detail`, whether the body, the frame or the limits object."""
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    (found,) = answer.json()["detail"]
    assert found["loc"] == where
    assert found["msg"]
    assert "input" not in found


@pytest.mark.parametrize(
    "body", [b"{", b'{"text": NaN}', b'{"text": "\xff"}', b"[" * 2000, b'{"text": "\\ud800"}']
)
async def test_what_is_no_json_is_refused(client, body: bytes):
    """In words, and without an error of ours; nothing of it is sent back."""
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/process-stream", content=body, headers=headers)
    assert answer.status_code == 422
    assert "not JSON" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_must_say_that_it_is_json(client, kind: str | None):
    """A page of any site could send the others without asking."""
    headers = {} if kind is None else {"Content-Type": kind}
    content = orjson.dumps({"text": TEXT})
    answer = await client.post("/process-stream", content=content, headers=headers)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"][0]["msg"]


async def test_a_text_over_the_limit_is_too_large(client):
    """413, and the field is named."""
    answer = await client.post("/process-stream", json={"text": "x" * 5001})
    assert answer.status_code == 413
    assert answer.json()["detail"][0]["loc"] == ["body", "text"]


async def test_a_body_over_the_limit_is_too_large():
    """413 before it is read, whether its size was announced or not."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1000

    async with asking(FakeEngine(), max_frame_bytes=2000) as client:
        headers = {"Content-Type": "application/json"}
        for content in (b" " * 2001, parts()):
            answer = await client.post("/process-stream", content=content, headers=headers)
            assert answer.status_code == 413
            assert answer.json()["detail"] == "the body may have 2000 bytes at most"
            assert answer.json()["error"]["code"] == "input_too_large"


async def test_a_full_server_says_when_to_come_again():
    """429 with Retry-After, before anything was sent."""
    engine = FakeEngine()
    one = desk(engine, max_jobs=1)
    async with (
        asking(engine, desk=one) as client,
        one.open(Generate(prompt="x"), "somebody else"),
    ):
        for path in ("/process-stream", "/process-batch"):
            answer = await client.post(path, json={"text": TEXT})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert answer.json()["error"]["code"] == "queue_full"


async def test_a_stage_without_a_model_is_unavailable():
    """503, and which one."""
    async with asking(FakeEngine(stages=["sentiment"])) as client:
        answer = await client.post("/generate-stream", json={"prompt": "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "generation" in answer.json()["detail"]


async def test_a_job_that_fails_before_its_first_byte_has_a_status():
    """A deadline is 504 where the answer could still say so, and the last line where not."""
    async with asking(FakeEngine()) as client:
        for path in ("/generate-stream", "/process-batch"):
            body = {"text": TEXT, "timeout_ms": 5}
            answer = await client.post(path, json=body)
            assert answer.status_code == 504
            assert answer.json()["error"]["code"] == "deadline_exceeded"
        answer = await client.post("/process-stream", json=body)
        last = orjson.loads(answer.text.splitlines()[-1])
        assert (answer.status_code, last["status"]) == (200, "error")
        assert last["error"]["code"] == "deadline_exceeded"


# --- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 200),
        ({"Origin": "https://friend.example"}, 200),
        ({"Host": "attacker.example"}, 421),
        ({"Host": "localhost:1"}, 200),
        ([("Host", "127.0.0.1:1"), ("Host", "127.0.0.1:1")], 400),
    ],
)
async def test_origin_and_host_are_checked(headers: Any, status: int):
    """As on the WebSocket's port: its own pages, the configured ones, and no name but its own."""
    engine = FakeEngine(answers=plausible)
    async with asking(engine, origins=("https://friend.example",)) as client:
        answer = await client.post("/process-stream", json={"text": TEXT}, headers=headers)
        assert answer.status_code == status
        refused = [one.code for one in client.told if isinstance(one, HandshakeRefused)]
        assert refused == ([] if status == 200 else [status])
        if status != 200:
            assert answer.json()["detail"]


async def test_a_page_of_a_configured_origin_may_read_the_answer():
    """Preflight and answer say so; for any other they do not."""
    friend = {"Origin": "https://friend.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-y"}
    asked["Access-Control-Request-Headers"] = "content-type, authorization"
    async with asking(FakeEngine(), origins=("https://friend.example",)) as client:
        preflight = await client.options("/process-stream", headers={**friend, **asked})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://friend.example"
        answer = await client.post("/process-stream", json={}, headers=friend)
        assert answer.status_code == 422
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        other = {"Origin": "https://elsewhere.example"}
        refused = await client.options("/process-stream", headers={**other, **asked})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


# --- the pages ------------------------------------------------------------------------------------


async def test_openapi_describes_every_endpoint(client):
    """Path, body with its limits, and the kind of the answer."""
    schema = (await client.get("/openapi.json")).json()
    assert set(schema["paths"]) == {"/process-stream", "/process-batch", "/generate-stream"}
    post = schema["paths"]["/process-stream"]["post"]
    assert set(post["responses"]) >= {"200", "413", "422", "429", "503"}
    assert set(post["responses"]["200"]["content"]) == {"application/x-ndjson"}
    body = schema["components"]["schemas"]["ProcessBody"]
    assert body["required"] == ["text"]
    assert body["properties"]["chunk_size"]["maximum"] == 500
    assert "open" not in body["properties"]


async def test_every_example_of_the_docs_can_be_tried(client):
    """As it stands there."""
    schema = (await client.get("/openapi.json")).json()
    for path, methods in schema["paths"].items():
        content = methods["post"]["requestBody"]["content"]["application/json"]
        assert content["examples"]
        for example in content["examples"].values():
            assert (await client.post(path, json=example["value"])).status_code == 200


async def test_the_docs_page_asks_nobody_else(client):
    """Script and style come from this server, and the policy allows no other."""
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/assets/{name}" in page.text
        assert (await client.get(f"/docs/assets/{name}")).status_code == 200


async def test_probes(client):
    """For balancers that look here."""
    assert (await client.get("/healthz")).json()["healthy"]
    assert (await client.get("/readyz")).json()["ready"]
    assert (await client.head("/readyz")).status_code == 200
    assert answers(client) == [("/healthz", 200), ("/readyz", 200), ("/readyz", 200)]
    async with asking(FakeEngine(stages=[])) as other:
        answer = await other.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["no models"])


async def test_unknown_paths_and_methods_are_no_errors_of_ours(client):
    """404 and 405, as anywhere."""
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.get("/process-stream")).status_code == 405
    assert answers(client) == [("other", 404), ("/process-stream", 405)]
