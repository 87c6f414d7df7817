"""LitServe in three modes, each a fair way to serve this work with it.

- `chunk`: a chunk a request, batched dynamically; the client splits its text and sends all chunks
  at once.
- `stream`: a text a request, its chunks in one batch, streamed back.
- `loop`: a text a request; the continuous batching loop takes chunks of all texts for each step.

    python -m benchmarks.peers.litserve_app chunk 8000
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import litserve
from litserve.loops.continuous_batching_loop import ContinuousBatchingLoop, Output
from litserve.utils import LitAPIStatus

from benchmarks.peers.lines import LAST, chunks_of, line
from benchmarks.peers.model import ROWS, Classifier


class Chunk(litserve.LitAPI):
    """A chunk a request; LitServe batches what arrives within 5 ms."""

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        self.classify = Classifier()

    def decode_request(self, request) -> str:  # LitServe reads the annotation: none is JSON
        """Return the chunk."""
        return str(request["text"])

    def batch(self, inputs: list[str]) -> list[str]:
        """Keep a batch as it is."""
        return inputs

    def predict(self, x: list[str]) -> list[tuple[str, float]]:
        """Classify a batch."""
        return self.classify(x)

    def unbatch(self, output: list[tuple[str, float]]) -> list[tuple[str, float]]:
        """Keep a batch as it is."""
        return output

    def encode_response(self, output: tuple[str, float]) -> dict[str, Any]:
        """Return the answer."""
        return {"sentiment": output[0], "confidence": output[1]}


class Stream(litserve.LitAPI):
    """A text a request, in batches of its own chunks."""

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        self.classify = Classifier()

    def decode_request(self, request) -> list[str]:
        """Return the chunks."""
        return chunks_of(request)

    def predict(self, x: list[str]) -> Iterator[str]:
        """Yield a line a chunk."""
        for at in range(0, len(x), ROWS):
            for number, (label, confidence) in enumerate(self.classify(x[at : at + ROWS]), at + 1):
                yield line(number, len(x), label, confidence)
        yield LAST

    def encode_response(self, output: Iterator[str]) -> Iterator[str]:
        """Pass the lines on."""
        yield from output


@dataclass
class Text:
    """A text on its way: the chunks that wait, and how many there were."""

    waiting: deque[str] = field(default_factory=deque)
    count: int = 0


class Loop(litserve.LitAPI):
    """Chunks of all active texts in each step, a text after the other from the oldest on."""

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        self.classify = Classifier()
        self.texts: dict[str, Text] = {}

    def add_request(self, uid: str, request: dict[str, Any]) -> None:
        """Let a text join."""
        chunks = chunks_of(request)
        self.texts[uid] = Text(deque(chunks), len(chunks))

    def has_capacity(self) -> bool:
        """Take every text: what waits costs nothing."""
        return True

    def has_active_requests(self) -> bool:
        """Say whether a step has work."""
        return bool(self.texts)

    def step(self, _previous: list[Output] | None) -> list[Output]:
        """Classify up to a batch of chunks, oldest text first."""
        taken = []
        for uid, text in list(self.texts.items()):
            while text.waiting and len(taken) < ROWS:
                taken.append(
                    (uid, text, text.count - len(text.waiting) + 1, text.waiting.popleft())
                )
        outputs = []
        answers = self.classify([chunk for *_, chunk in taken])
        for (uid, text, number, _), (label, confidence) in zip(taken, answers, strict=True):
            reply = line(number, text.count, label, confidence)
            outputs.append(Output(uid, reply, LitAPIStatus.OK))
            if number == text.count:
                del self.texts[uid]
                outputs.append(Output(uid, LAST, LitAPIStatus.OK))
                outputs.append(Output(uid, "", LitAPIStatus.FINISH_STREAMING))
        return outputs

    def encode_response(self, output: str) -> str:
        """Pass the lines on."""
        return output


def api(mode: str) -> litserve.LitAPI:
    """Return the service of one mode."""
    if mode == "chunk":
        return Chunk(max_batch_size=ROWS, batch_timeout=0.005, api_path="/process")
    if mode == "stream":
        return Stream(stream=True, api_path="/process")
    return Loop(stream=True, loop=ContinuousBatchingLoop(), api_path="/process")


def main() -> None:
    """Serve on loopback until the process is ended."""
    server = litserve.LitServer(
        api(sys.argv[1]),
        accelerator="cpu",
        workers_per_device=int(os.environ.get("PEER_WORKERS", "1")),
        timeout=False,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
