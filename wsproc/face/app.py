"""The app: one POST for each form of each task, and a few GETs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import Body, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.models import Example
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from wsproc.auth.grant import Authenticator
from wsproc.config import ServerConfig
from wsproc.face.answers import Answer
from wsproc.face.bodies import body_of, submit
from wsproc.face.endpoints import Endpoint, described, endpoint_of
from wsproc.face.exchange import Desk
from wsproc.face.faults import Refused, finding
from wsproc.face.guard import CLIENT, PEER, Guard, refusal, too_large
from wsproc.face.pages import add_docs
from wsproc.frames.client import Submit
from wsproc.health import Judge

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def make_app(
    desk: Desk,
    config: ServerConfig,
    authenticator: Authenticator | None = None,
    *,
    count: Iterator[int],
    health: Judge,
    ready: Judge,
) -> ASGIApp:
    """Return the ASGI app of a server; `count` numbers its requests."""
    app = FastAPI(
        title="wsproc",
        summary="Text jobs over plain HTTP: the tasks of the WebSocket, without it.",
        version=desk.offer.version,
        docs_url=None,
        redoc_url=None,
        max_body_size=config.max_frame_bytes,
        exception_handlers={
            Refused: _on_refused,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http,
        },
    )
    app.router.route_class = JsonRoute
    # For the page at /docs, which asks for the token then; `Guard` is who judges it.
    token = [] if authenticator is None else [Depends(HTTPBearer(auto_error=False))]
    for name, task in desk.registry.requests.items():
        where = endpoint_of(name)
        endpoint = _endpoint(task, where, desk, config)
        told = described(task, where.form)
        app.post(where.path, name=name, dependencies=token, **told)(endpoint)
    _add_probe(app, "/healthz", "healthy", health)
    _add_probe(app, "/readyz", "ready", ready)
    add_docs(app)
    # Around the app and not in it: FastAPI would write what is refused for its size as plain text.
    return CORSMiddleware(
        Guard(
            app,
            config=config,
            authenticator=authenticator,
            clients=desk.clients,
            tell=desk.offer.tell,
            count=count,
        ),
        allow_origins=config.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization"],
        expose_headers=["Retry-After"],
    )


class JsonRoute(APIRoute):
    """Reads bodies with the reader of the WebSocket side: no NaN, no depth without end."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return FastAPI's handler on such a request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            answer: Response = await handler(_JsonRequest(request.scope, request.receive))
            return answer

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())


def _endpoint(
    task: type[Submit], where: Endpoint, desk: Desk, config: ServerConfig
) -> Callable[..., Any]:
    """Return what FastAPI calls with the request and its body."""

    async def endpoint(request: Request, body: BaseModel) -> Response:
        try:
            job = _traced(submit(task, body), request.headers.get("traceparent"))
        except ValidationError as error:
            raise RequestValidationError(_in_body(error)) from None
        return Answer(
            desk,
            job,
            where.form,
            client=request.scope[CLIENT],
            peer=request.scope[PEER],
            send_timeout_s=config.send_timeout_s,
        )

    tried = {name: Example(value=body) for name, body in where.examples.items()}
    endpoint.__annotations__["body"] = Annotated[body_of(task), Body(openapi_examples=tried)]
    return endpoint


def _traced(job: Submit, traceparent: str | None) -> Submit:
    """Put the header of W3C Trace Context where jobs have it, unless the client gave a `meta`."""
    if "meta" in job.model_fields_set or not _TRACEPARENT.fullmatch(traceparent or ""):
        return job
    return job.model_copy(update={"meta": {"traceparent": traceparent}})


def _add_probe(app: FastAPI, path: str, word: str, judge: Judge) -> None:
    @app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)
    async def probe() -> Response:
        status, body = judge().answer(word)
        return Response(body, status, media_type="application/json")


# --- what can go wrong before a job ---------------------------------------------------------------


def _in_body(error: ValidationError) -> list[dict[str, Any]]:
    """Return pydantic's findings with FastAPI's `loc`, which begins at the body."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [{**one, "loc": ("body", *one["loc"])} for one in found]


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Answer 422 as FastAPI does, without sending the input back."""
    assert isinstance(error, RequestValidationError)
    details = []
    for one in error.errors():
        words = one["msg"].removeprefix("Value error, ")
        if one["type"] == "json_invalid":
            words = f"not JSON: {one['ctx']['error']}"
        elif one["type"] == "model_attributes_type":
            words = "the body must be a JSON object, sent with Content-Type: application/json"
        details.append(finding(one["loc"], words, one["type"]))
    return JSONResponse({"detail": details}, 422)


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return refusal(too_large(request.app.max_body_size))
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
