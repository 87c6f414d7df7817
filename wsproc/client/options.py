"""The fields of the built-in tasks, for type checkers and editors.

What is left out is left out of the frame, so that the server's own default holds. Nothing is
checked here: the server does that, and names the field (`JobRejected.path`).
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class JobOptions(TypedDict, total=False):
    """What every job takes. `timeout_ms` counts from acceptance; `priority` 0..9, 9 first.

    `on_disconnect="keep"` lets a job run on while nobody is connected. `open` jobs get more text by
    `Job.append`, `live` ones a new text by `Job.revise`.
    """

    id: str
    timeout_ms: int
    priority: int
    on_disconnect: Literal["cancel", "keep"]
    meta: Any
    open: bool
    live: bool


class TextOptions(JobOptions, total=False):
    """What `process` and `batch` take beside the text; `chunk_size` is in characters."""

    include_sentiment: bool
    include_summary: bool
    include_entities: bool
    chunk_size: int
    split: Literal["fixed", "sentence"]
    summary_min_length: int
    summary_max_length: int


class GenerateOptions(JobOptions, total=False):
    """What `generate` takes beside the prompt."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: list[str]
