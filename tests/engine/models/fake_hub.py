"""A Hub on this machine: serves repositories from memory, or whatever a test wants to go wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """The files of each repository; `status` and `code` answer everything with that error.

    `asked` are the requests so far. While `silent` is not set, no request is answered.
    """

    files: Mapping[str, Mapping[str, bytes]]
    status: int = 200
    code: str = ""
    asked: list[str] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    address: str = ""


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve the hub at `hub.address` for the time of the context."""
    hub.silent.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            hub.silent.wait()
            data = b"" if hub.status != 200 else _find(hub, self.path)
            status = hub.status if data is not None else 404
            self.send_response(status)
            if status != 200:
                self.send_header("X-Error-Code", hub.code or "RepoNotFound")
            self.send_header("X-Repo-Commit", SHA)
            self.send_header("ETag", f'"{sha1(data or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if body and data:
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    return Handler


def _find(hub: FakeHub, path: str) -> bytes | None:
    """Return the answer to a request: a model's facts, its tree or a file."""
    path = path.partition("?")[0]
    for name, files in hub.files.items():
        listing = [{"type": "file", "path": p, "oid": p, "size": len(b)} for p, b in files.items()]
        if path.startswith(f"/api/models/{name}/tree/"):
            return json.dumps(listing).encode()
        if path in (f"/api/models/{name}", f"/api/models/{name}/revision/main"):
            siblings = [{"rfilename": p, "size": len(b)} for p, b in files.items()]
            return json.dumps({"id": name, "sha": SHA, "siblings": siblings}).encode()
        prefix = f"/{name}/resolve/{SHA}/"
        if path.startswith(prefix):
            return files.get(path.removeprefix(prefix))
    return None
