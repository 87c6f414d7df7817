"""What the streaming peers take and answer: a text, and one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def chunks_of(request: Mapping[str, Any]) -> list[str]:
    """Return the chunks of a request, `{"text": str, "chunk_size": int}`."""
    text, size = request["text"], request["chunk_size"]
    return [text[at : at + size] for at in range(0, len(text), size)]


def line(number: int, count: int, label: str, confidence: float) -> str:
    """Return the line of one chunk's result."""
    result = {"chunk": number, "sentiment": label, "confidence": confidence}
    return json.dumps({"status": "sentiment_progress", "progress": number / count, **result}) + "\n"


LAST = json.dumps({"status": "completed"}) + "\n"
