"""What `result` of a `completed` holds, by task. For the schema and for clients' types.

The tasks make these as plain dicts, piece by piece while a job runs: `partial_result` has the same
fields, as far as they were filled.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from wsproc.frames.errors import ErrorInfo
from wsproc.frames.server import Count, EntitiesResult, SentimentResult, SummaryResult

Stage: TypeAlias = Literal["sentiment", "summary", "entities"]


class ProcessResult(BaseModel):
    """The result of `process`, and of `batch` for one `text`. A stage that was not asked for, had
    nothing to do or failed is null; `failed_stages` and `errors` tell which failed and why.
    `revision` is that of the text of a live job.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    text_length: Count
    chunks: Count
    sentiment: SentimentResult | None
    summary: SummaryResult | None
    entities: EntitiesResult | None
    failed_stages: list[Stage]
    errors: dict[Stage, ErrorInfo]
    revision: Count | None = None


class BatchResult(BaseModel):
    """The result of `batch` for `texts`, in their order."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    results: list[ProcessResult]
    total_texts: Count


class GenerateResult(BaseModel):
    """The result of `generate`. `text` is the tokens' texts joined; `finish_reason` says whether a
    stop string, the model's own end or `max_tokens` ended it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    finish_reason: Literal["stop", "eos", "length"]
    prompt_truncated: bool = Field(default=False)
    prompt_tokens: Count
    completion_tokens: Count


RESULTS: tuple[type[BaseModel], ...] = (ProcessResult, BatchResult, GenerateResult)
