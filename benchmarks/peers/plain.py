"""A plain streaming endpoint: FastAPI, one chunk at a time.

It is what many services start as: a request a text, a loop over its chunks inside of the response's
generator, a transformers pipeline, one JSON object a line. The usual pause between two chunks is
left out. Torch has its own number of threads. With PEER_BARE=1 the model is called without the
pipeline, which is leaner than what such services do, and PEER_THREADS sets the threads.

    uvicorn benchmarks.peers.plain:app --port 8000
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from benchmarks.peers.lines import LAST, chunks_of, line
from benchmarks.peers.model import Classifier, PipelineClassifier

classify = Classifier() if os.environ.get("PEER_BARE") == "1" else PipelineClassifier()
app = FastAPI()


class Request(BaseModel):
    """A text and the size of its chunks."""

    text: str
    chunk_size: int = 200


async def lines(request: Request) -> AsyncIterator[str]:
    """Yield one JSON line a chunk."""
    chunks = chunks_of(request.model_dump())
    for number, chunk in enumerate(chunks, 1):
        ((label, confidence),) = classify([chunk])
        yield line(number, len(chunks), label, confidence)
    yield LAST


@app.post("/process")
async def process(request: Request) -> StreamingResponse:
    """Stream the chunks' sentiments."""
    return StreamingResponse(lines(request), media_type="application/x-ndjson")


@app.get("/health")
async def health() -> str:
    """Say that it is up."""
    return "ok"
