"""The plain HTTP GETs on the WebSocket's port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files

import orjson
import yaml
from websockets.datastructures import Headers
from websockets.http11 import Response

from wsproc.asyncapi import asyncapi
from wsproc.health import Judge, Verdict
from wsproc.observe import Metrics
from wsproc.schema import json_schema
from wsproc.tasks import TaskRegistry

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What the GETs answer with; `health` and `ready` judge how things stand now."""

    version: str
    registry: TaskRegistry
    metrics: Metrics
    health: Judge
    ready: Judge

    def answer(self, method: str, path: str) -> Response:
        """Return the response to a request that is no WebSocket handshake."""
        route = _ROUTES.get(path.partition("?")[0])
        if route is None:
            known = ", ".join(name for name in _ROUTES if not name.startswith("/console/"))
            return _text(HTTPStatus.NOT_FOUND, f"nothing here; there are {known}\n")
        if method not in ("GET", "HEAD"):
            words = "only GET is answered here\n"
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, words, Allow="GET, HEAD")
        return route(self)

    def _health(self) -> Response:
        return _verdict("healthy", self.health())

    def _readiness(self) -> Response:
        return _verdict("ready", self.ready())

    def _metrics(self) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return _response(HTTPStatus.OK, kind, self.metrics.text())

    def _schema(self) -> Response:
        body = orjson.dumps(json_schema(self.registry.requests), option=orjson.OPT_INDENT_2)
        return _response(HTTPStatus.OK, "application/schema+json", body)

    def _asyncapi(self) -> Response:
        document = asyncapi(self.version, self.registry.requests)
        body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        return _response(HTTPStatus.OK, "application/yaml; charset=utf-8", body.encode())


def _file(name: str, kind: str, **headers: str) -> Callable[[Site], Response]:
    return lambda site: _response(HTTPStatus.OK, kind, _web_file(name), **headers)


FOR_ALL_PAGES = {"Access-Control-Allow-Origin": "*"}
"""What a page of another origin may import. Whether it may also connect, its origin decides."""


_CONSOLE = ("main", "card", "dom", "inspector", "link", "live", "reading", "recipes")
"""The modules of the console page."""

_ROUTES: dict[str, Callable[[Site], Response]] = {
    "/": _file("console/index.html", "text/html; charset=utf-8"),
    "/console/console.css": _file("console/console.css", "text/css; charset=utf-8"),
    **{
        f"/console/{name}.js": _file(f"console/{name}.js", "text/javascript; charset=utf-8")
        for name in _CONSOLE
    },
    "/wsproc.js": _file("wsproc.js", "text/javascript; charset=utf-8", **FOR_ALL_PAGES),
    "/wsproc.d.ts": _file("wsproc.d.ts", "application/typescript; charset=utf-8", **FOR_ALL_PAGES),
    "/healthz": Site._health,
    "/readyz": Site._readiness,
    "/metrics": Site._metrics,
    "/schema.json": Site._schema,
    "/asyncapi.yaml": Site._asyncapi,
}


@cache
def _web_file(name: str) -> bytes:
    return files("wsproc").joinpath("web", *name.split("/")).read_bytes()


def _verdict(word: str, verdict: Verdict) -> Response:
    status, body = verdict.answer(word)
    return _response(HTTPStatus(status), "application/json", body)


def _text(status: HTTPStatus, text: str, **more: str) -> Response:
    return _response(status, "text/plain; charset=utf-8", text.encode(), **more)


def _response(status: HTTPStatus, kind: str, body: bytes, **more: str) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-cache",
            "Connection": "close",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            **more,
        }
    )
    return Response(status, status.phrase, headers, body)
