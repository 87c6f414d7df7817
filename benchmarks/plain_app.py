"""The peer: a plain streaming endpoint, one chunk at a time, on the same model; written fairly.

It is what many services start as: FastAPI, a request a text, a loop over its chunks inside of the
response's generator, a transformers pipeline, one JSON object a line. The usual pause between two
chunks is left out. With PEER_BARE=1 the model is called without the pipeline, which is leaner than
what such services do.

    uvicorn benchmarks.plain_app:app --port 8000
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import torch
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from wsproc.engine.models.source import resolve

if threads := os.environ.get("PEER_THREADS"):  # torch's own choice otherwise, as it ships
    torch.set_num_threads(int(threads))

_SOURCE = resolve("sentiment", os.environ.get("PEER_MODEL", "embedded"))
assert _SOURCE is not None
_TOKENIZER = AutoTokenizer.from_pretrained(_SOURCE.location)
_MODEL = AutoModelForSequenceClassification.from_pretrained(_SOURCE.location, dtype=torch.float32)
_MODEL.eval()
_PIPELINE = pipeline("text-classification", model=_MODEL, tokenizer=_TOKENIZER)
_BARE = os.environ.get("PEER_BARE") == "1"

app = FastAPI()


class Request(BaseModel):
    """A text and the size of its chunks."""

    text: str
    chunk_size: int = 200


def classify(text: str) -> tuple[str, float]:
    """Return the label of one chunk and its probability."""
    if not _BARE:
        (answer,) = _PIPELINE(text, truncation=True, max_length=256)
        return answer["label"].upper(), float(answer["score"])
    with torch.inference_mode():
        tokens = _TOKENIZER(text, truncation=True, max_length=256, return_tensors="pt")
        probabilities = _MODEL(**tokens).logits.softmax(-1)[0]
    best = int(probabilities.argmax())
    return _MODEL.config.id2label[best].upper(), float(probabilities[best])


async def lines(request: Request) -> AsyncIterator[str]:
    """Yield one JSON line a chunk."""
    size = request.chunk_size
    chunks = [request.text[at : at + size] for at in range(0, len(request.text), size)]
    for number, chunk in enumerate(chunks, 1):
        label, confidence = classify(chunk)
        result = {"chunk": number, "sentiment": label, "confidence": confidence}
        progress = {"progress": number / len(chunks), "chunk_result": result}
        yield json.dumps({"status": "sentiment_progress", **progress}) + "\n"
    yield json.dumps({"status": "completed"}) + "\n"


@app.post("/process-stream")
async def process_stream(request: Request) -> StreamingResponse:
    """Stream the chunks' sentiments."""
    return StreamingResponse(lines(request), media_type="application/x-ndjson")


@app.get("/healthz")
async def healthz() -> str:
    """Say that it is up."""
    return "ok"
