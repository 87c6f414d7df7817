"""Ray Serve with `@serve.batch`: a text a request, its chunks batched with those of all texts.

The batches are formed in the replica that streams the answer, which saves the hop between two
deployments, and computed in a thread, so that its event loop stays free.

    python -m benchmarks.peers.ray_app 8000
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from benchmarks.peers.lines import LAST, chunks_of, line
from benchmarks.peers.model import ROWS, Classifier

WORKERS = int(os.environ.get("PEER_WORKERS", "1"))


@serve.deployment(
    num_replicas=WORKERS, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1}
)
class Sentiment:
    """One replica."""

    def __init__(self) -> None:
        self._classify = Classifier()

    @serve.batch(max_batch_size=ROWS, batch_wait_timeout_s=0.005)
    async def classify(self, texts: list[str]) -> list[tuple[str, float]]:
        """Classify a batch."""
        return await asyncio.to_thread(self._classify, texts)

    async def lines(self, chunks: list[str]) -> AsyncIterator[str]:
        """Yield one JSON line a chunk, in order."""
        tasks = [asyncio.ensure_future(self.classify(chunk)) for chunk in chunks]
        try:
            for number, task in enumerate(tasks, 1):
                label, confidence = await task
                yield line(number, len(chunks), label, confidence)
            yield LAST
        finally:
            for task in tasks:
                task.cancel()

    async def __call__(self, request: Request) -> Response:
        """Stream the chunks' sentiments."""
        if request.method == "GET":
            return PlainTextResponse("ok")
        chunks = chunks_of(await request.json())
        return StreamingResponse(self.lines(chunks), media_type="application/x-ndjson")


def main() -> None:
    """Serve on loopback until the process is ended."""
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        ray.init(
            num_cpus=max(2, WORKERS),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )
        signal.signal(signal.SIGTERM, lambda *_: over.set())  # behind ray, which sets its own
        serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
        serve.run(Sentiment.bind(), name="sentiment", route_prefix="/")
        over.wait()
        ray.shutdown()


if __name__ == "__main__":
    main()
