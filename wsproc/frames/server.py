"""What the server sends. Clients must ignore types and fields that they do not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from wsproc.frames.client import JobId
from wsproc.frames.errors import ErrorInfo

Sentiment: TypeAlias = Literal["NEGATIVE", "NEUTRAL", "POSITIVE"]
Ratio: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=0)]


class ServerFrame(BaseModel):
    """Base of every server frame. What is left unset is left out of the message."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str


class JobFrame(ServerFrame):
    """A frame of one job. `seq` counts a job's own frames from 1 and is given by the writer."""

    id: JobId
    seq: int = Field(default=0, ge=0)
    replay: bool = False


# --- the connection -------------------------------------------------------------------------------


class Limits(BaseModel):
    """What this server admits; sizes in bytes, characters or counts as the names say.

    `max_batch_chars` is for all texts of one job, `max_messages_per_s` is 0 where there is none;
    `input_timeout_s` is how long an open job waits for its next `append`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_frame_bytes: int
    max_text_chars: int
    max_texts: int
    max_jobs: int
    max_tokens: int
    max_batch_chars: int = 256 * 1024
    max_messages_per_s: float = 0
    input_timeout_s: float = 60


class Welcome(ServerFrame):
    """The first frame of a connection."""

    type: Literal["welcome"] = "welcome"
    protocol: Literal["wsproc.v1"] = "wsproc.v1"
    server: str
    session: str
    epoch: str
    tasks: list[str]
    limits: Limits
    resume_s: float
    heartbeat_s: float


class AuthRequired(ServerFrame):
    """The first frame while a token is awaited; `welcome` proper follows it."""

    type: Literal["welcome"] = "welcome"
    auth: Literal["required"] = "required"


class Regarding(BaseModel):
    """The frame that an `error` is about, as far as it could be read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str | None = None
    id: str | None = None


class Error(ServerFrame):
    """About the connection or one bad frame; never ends a job."""

    type: Literal["error"] = "error"
    error: ErrorInfo
    re: Regarding | None = None


class Goaway(ServerFrame):
    """Before a planned close; `grace_ms` is how long running jobs still have."""

    type: Literal["goaway"] = "goaway"
    code: int
    reason: str
    grace_ms: int
    reconnect: bool


class Pong(ServerFrame):
    """The answer to `ping`, with its `n`."""

    type: Literal["pong"] = "pong"
    n: int | None = None


class Heartbeat(ServerFrame):
    """Only when idle, only for clients that negotiated the subprotocol; `t` in Unix seconds."""

    type: Literal["heartbeat"] = "heartbeat"
    t: float


# --- answers to control frames --------------------------------------------------------------------

FinalStatus: TypeAlias = Literal["completed", "cancelled", "failed"]


class CancelReply(ServerFrame):
    """`status` is the final one where the job had ended; `ids` are those that `*` reached."""

    type: Literal["reply"] = "reply"
    op: Literal["cancel"] = "cancel"
    id: str
    outcome: Literal["cancelling", "done", "unknown"]
    status: FinalStatus | None = None
    ids: list[JobId] | None = None


class JobInfo(BaseModel):
    """One job in a snapshot. `position` counts the jobs that are to start before a queued one;
    `text_length` and `revision` are those of a job whose input goes on, `final` where it has ended.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: JobId
    task: str
    state: Literal["queued", "running", "cancelling", "done"]
    last_seq: Count
    position: Count | None = None
    status: FinalStatus | None = None
    text_length: Count | None = None
    revision: Count | None = None
    final: bool | None = None


class JobsReply(ServerFrame):
    """A snapshot of this session's jobs, oldest first."""

    type: Literal["reply"] = "reply"
    op: Literal["jobs"] = "jobs"
    id: str | None = None
    outcome: Literal["ok", "unknown"]
    jobs: list[JobInfo]


class Recovered(BaseModel):
    """What a resumed session still knows of one job. Where some of its missed frames are not kept
    any more, `recovered` is false and one frame comes in their place.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    last_seq: Count
    recovered: bool


class ResumeReply(ServerFrame):
    """The answer to `resume`; the missed frames follow it. `session` is the one that is taken up,
    `jobs` are all that it still knows.
    """

    type: Literal["reply"] = "reply"
    op: Literal["resume"] = "resume"
    outcome: Literal["ok", "unknown_session", "epoch_changed"]
    session: str | None = None
    jobs: dict[JobId, Recovered] = Field(default_factory=dict)


class InputReply(ServerFrame):
    """The answer to `append` and `revise`.

    `text_length` is what the text has come to with it, `revision` the number of that text in a live
    job; `error` says why it was refused, `status` is the final one where the job had ended.
    """

    type: Literal["reply"] = "reply"
    op: Literal["append", "revise"]
    id: JobId
    outcome: Literal["ok", "unknown", "done", "refused"]
    text_length: Count | None = None
    revision: Count | None = None
    error: ErrorInfo | None = None
    status: FinalStatus | None = None


# --- a job's life ---------------------------------------------------------------------------------


class Accepted(JobFrame):
    """The job is registered; `position` jobs start before it."""

    type: Literal["accepted"] = "accepted"
    position: Count
    eta_ms: float | None
    meta: Any = None
    duplicate: bool = False
    last_seq: Count | None = None


class Rejected(ServerFrame):
    """The job was not run at all and may be sent again."""

    type: Literal["rejected"] = "rejected"
    id: str | None = None
    error: ErrorInfo


class Token(JobFrame):
    """Generated text; the tokens of a job joined are its whole text."""

    type: Literal["token"] = "token"
    text: str


class Status(JobFrame):
    """Base of the status frames; a reader of the HTTP stream switches on `status`.

    `revision` tells which text of a live job it is about, 0 for the submitted one.
    """

    type: Literal["status"] = "status"
    status: str
    revision: Count | None = None


class Started(Status):
    """The job began to run."""

    status: Literal["started"] = "started"
    message: str
    timestamp: str
    text_length: Count


class Chunking(Status):
    """The text is being split."""

    status: Literal["chunking"] = "chunking"
    message: str


class Chunked(Status):
    """The text was split into `chunks` chunks."""

    status: Literal["chunked"] = "chunked"
    message: str
    chunks: Count


class SentimentProcessing(Status):
    """The sentiment of the chunks is being computed."""

    status: Literal["sentiment_processing"] = "sentiment_processing"
    message: str


class ChunkResult(BaseModel):
    """One chunk, counted from 1; `start` and `end` are code points of the submitted text."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    chunk: Annotated[int, Field(ge=1)]
    start: Count
    end: Count
    sentiment: Sentiment
    confidence: Ratio


class SentimentProgress(Status):
    """The next chunk's sentiment, in chunk order."""

    status: Literal["sentiment_progress"] = "sentiment_progress"
    progress: Ratio
    current_item: Annotated[int, Field(ge=1)]
    total_items: Annotated[int, Field(ge=1)]
    chunk_result: ChunkResult


class SentimentResult(BaseModel):
    """The sentiment of a whole text; its three counts add up to its chunks."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    overall_sentiment: Sentiment
    chunk_sentiments: list[ChunkResult]
    positive_chunks: Count
    negative_chunks: Count
    neutral_chunks: Count


class SentimentComplete(Status, SentimentResult):
    """All chunks have their sentiment."""

    status: Literal["sentiment_complete"] = "sentiment_complete"


class SummarizationProcessing(Status):
    """The summary is being made."""

    status: Literal["summarization_processing"] = "summarization_processing"
    message: str


class SummarizationProgress(Status):
    """The summary so far, where the model can give it."""

    status: Literal["summarization_progress"] = "summarization_progress"
    partial_summary: str


class SummaryResult(BaseModel):
    """`compression_ratio` is the summary's characters over the text's; `truncated` where the model
    had to leave a part of the input or of a sentence out; `windows` is how many parts of the text
    were summarised on their own.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    summary: str
    compression_ratio: Annotated[float, Field(ge=0)]
    truncated: bool = False
    windows: Annotated[int, Field(ge=1)] = 1


class SummarizationComplete(Status, SummaryResult):
    """The summary is there."""

    status: Literal["summarization_complete"] = "summarization_complete"


class EntitiesProcessing(Status):
    """Named entities are being looked for."""

    status: Literal["entities_processing"] = "entities_processing"
    message: str


class Entity(BaseModel):
    """A named entity; `text` is the submitted text from `start` to `end`, in code points."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    label: str
    description: str
    start: Count
    end: Count


class EntitiesResult(BaseModel):
    """The entities in text order, and their texts by label."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    entities: list[Entity]
    entity_types: dict[str, list[str]]
    total_entities: Count


class EntitiesComplete(Status, EntitiesResult):
    """All entities are there."""

    status: Literal["entities_complete"] = "entities_complete"


class StageError(Status):
    """One stage failed; the others go on."""

    status: Literal["sentiment_error", "summarization_error", "entities_error"]
    error: ErrorInfo


class GenerationStarted(Status):
    """Generation began. (`started` of `process` has `text_length`, this one `prompt_length`.)"""

    status: Literal["started"] = "started"
    message: str
    timestamp: str
    prompt_length: Count


class Snapshot(Status):
    """Where a live job stands, for a client that comes back when the frames it missed are not kept
    any more. It stands for every frame up to its own `seq`.
    """

    status: Literal["snapshot"] = "snapshot"
    state: Literal["queued", "running", "cancelling"]
    partial_result: dict[str, Any]


STATUSES: dict[str, type[Status]] = {
    "snapshot": Snapshot,
    "started": Started,
    "chunking": Chunking,
    "chunked": Chunked,
    "sentiment_processing": SentimentProcessing,
    "sentiment_progress": SentimentProgress,
    "sentiment_complete": SentimentComplete,
    "summarization_processing": SummarizationProcessing,
    "summarization_progress": SummarizationProgress,
    "summarization_complete": SummarizationComplete,
    "entities_processing": EntitiesProcessing,
    "entities_complete": EntitiesComplete,
    "sentiment_error": StageError,
    "summarization_error": StageError,
    "entities_error": StageError,
}


def _other_than_ours(schema: dict[str, Any]) -> None:
    schema["properties"]["status"] = {"type": "string", "not": {"enum": [*STATUSES]}}


class CustomStatus(Status):
    """A status of a task that a deployment added; its fields are that task's own."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra=_other_than_ours,
    )


class Timing(BaseModel):
    """Milliseconds. `queued`: from acceptance to the first work on a device; `run`: from there to
    the end; `stop`: from the cancel's arrival at the engine to the device being free of the job.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    queued: Annotated[float, Field(ge=0)]
    run: Annotated[float, Field(ge=0)]
    stop: Annotated[float, Field(ge=0)] | None = None


class Done(JobFrame):
    """Base of the one terminal frame of a job."""

    type: Literal["done"] = "done"
    usage: dict[str, Count]
    timing_ms: Timing
    meta: Any = None


class Completed(Done):
    """The job ran to its end; `result` holds everything, the streamed parts included."""

    status: Literal["completed"] = "completed"
    message: str
    total_processing_time: Annotated[float, Field(ge=0)]
    timestamp: str
    result: dict[str, Any]


class Cancelled(Done):
    """The job was stopped, and the engine has left it."""

    status: Literal["cancelled"] = "cancelled"
    reason: Literal["client", "disconnect", "shutdown"]
    partial_result: dict[str, Any] | None = None


class Failed(Done):
    """The job could not be finished."""

    status: Literal["failed"] = "failed"
    error: ErrorInfo
    partial_result: dict[str, Any] | None = None


# --- the union, for the schema and for clients ----------------------------------------------------


def _kind(frame: Any) -> str:
    """Name the model of a message; what names none is of an unknown type."""
    get = partial(_field, frame)
    kind = get("type")
    if kind == "welcome":
        return "auth_required" if get("auth") else "welcome"
    if kind == "reply":
        return _REPLIES.get(str(get("op")), "reply_unknown")
    if kind == "done":
        return f"done_{get('status')}"
    if kind == "status":
        return _status_kind(get)
    return str(kind)


def _field(frame: Any, name: str) -> Any:
    return frame.get(name) if isinstance(frame, dict) else getattr(frame, name, None)


def _status_kind(get: Callable[[str], Any]) -> str:
    status = str(get("status"))
    if status == "started" and get("prompt_length") is not None:
        return "status_generation_started"
    if status.endswith("_error") and status in STATUSES:
        return "status_stage_error"
    return f"status_{status}" if status in STATUSES else "status_custom"


_REPLIES = {
    "cancel": "reply_cancel",
    "jobs": "reply_jobs",
    "resume": "reply_resume",
    "append": "reply_input",
    "revise": "reply_input",
}

AnyServerFrame: TypeAlias = Annotated[
    Annotated[Welcome, Tag("welcome")]
    | Annotated[AuthRequired, Tag("auth_required")]
    | Annotated[Accepted, Tag("accepted")]
    | Annotated[Rejected, Tag("rejected")]
    | Annotated[Started, Tag("status_started")]
    | Annotated[GenerationStarted, Tag("status_generation_started")]
    | Annotated[Chunking, Tag("status_chunking")]
    | Annotated[Chunked, Tag("status_chunked")]
    | Annotated[SentimentProcessing, Tag("status_sentiment_processing")]
    | Annotated[SentimentProgress, Tag("status_sentiment_progress")]
    | Annotated[SentimentComplete, Tag("status_sentiment_complete")]
    | Annotated[SummarizationProcessing, Tag("status_summarization_processing")]
    | Annotated[SummarizationProgress, Tag("status_summarization_progress")]
    | Annotated[SummarizationComplete, Tag("status_summarization_complete")]
    | Annotated[EntitiesProcessing, Tag("status_entities_processing")]
    | Annotated[EntitiesComplete, Tag("status_entities_complete")]
    | Annotated[StageError, Tag("status_stage_error")]
    | Annotated[Snapshot, Tag("status_snapshot")]
    | Annotated[CustomStatus, Tag("status_custom")]
    | Annotated[Token, Tag("token")]
    | Annotated[Completed, Tag("done_completed")]
    | Annotated[Cancelled, Tag("done_cancelled")]
    | Annotated[Failed, Tag("done_failed")]
    | Annotated[CancelReply, Tag("reply_cancel")]
    | Annotated[JobsReply, Tag("reply_jobs")]
    | Annotated[ResumeReply, Tag("reply_resume")]
    | Annotated[InputReply, Tag("reply_input")]
    | Annotated[Error, Tag("error")]
    | Annotated[Goaway, Tag("goaway")]
    | Annotated[Pong, Tag("pong")]
    | Annotated[Heartbeat, Tag("heartbeat")],
    Discriminator(_kind),
]
"""Every server frame."""
