"""What a client may send. Unknown fields are refused, so that a typo is never silent."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

MIN_TEXT_CHARS = 10
"""The least characters of a text; the most is a server setting (`limits.max_text_chars`)."""

MAX_META_BYTES = 4096
MAX_META_DEPTH = 32

JobId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Text: TypeAlias = Annotated[str, Field(min_length=MIN_TEXT_CHARS)]


def _depth_within(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
        if not level:
            return True
    return False


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _check_meta(value: Any) -> Any:
    if not _depth_within(value, MAX_META_DEPTH):
        raise ValueError(f"meta may be nested {MAX_META_DEPTH} levels deep at most")
    size = len(orjson.dumps(value))
    if size > MAX_META_BYTES:
        raise ValueError(f"meta may take {MAX_META_BYTES} bytes at most, this one takes {size}")
    return value


Meta: TypeAlias = Annotated[Any, AfterValidator(_check_meta)]


class ClientFrame(BaseModel):
    """Base of every client frame: typed, frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


OpenForm: TypeAlias = "type[Submit] | None"


class Submit(ClientFrame):
    """Base of every frame that submits a job; a task of one's own derives its request from it."""

    type: str
    id: JobId | None = None
    timeout_ms: int | None = Field(default=None, ge=1, le=86_400_000)
    priority: int = Field(default=5, ge=0, le=9)
    on_disconnect: Literal["cancel", "keep"] = "cancel"
    meta: Meta = None
    open: bool = False
    live: bool = False

    stages: ClassVar[tuple[str, ...]] = ()
    goes_on: ClassVar[tuple[str, ...]] = ()
    """Which of `open` and `live` a job of this type can be: its input goes on after the submit."""
    open_form: ClassVar[OpenForm] = None
    """The model of such a submit, where that need not have the whole input; else the same one."""
    least_chars: ClassVar[int] = 0
    """What the text of such a job must have come to when it ends."""

    @property
    def is_open(self) -> bool:
        """Whether input goes on after the submit."""
        return self.open or self.live

    def needs(self) -> tuple[str, ...]:
        """Return the names of the engine stages that this job will call."""
        return self.stages

    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return (path, text) of everything that counts against `limits.max_text_chars`."""
        return ()

    def size(self) -> int:
        """Return how much work this is, in any unit: jobs of one task are compared by it."""
        return max(1, sum(len(text) for _, text in self.inputs()))


_OPEN = ("open", "live")

_IS_OPEN = ConfigDict(
    json_schema_extra={
        "anyOf": [{"properties": {name: {"const": True}}, "required": [name]} for name in _OPEN]
    }
)
"""Tells the open form of a task from its whole form in JSON Schema."""


class TextOptions(Submit):
    """The options that `process` and `batch` share."""

    least_chars = MIN_TEXT_CHARS

    include_sentiment: bool = True
    include_summary: bool = True
    include_entities: bool = False
    chunk_size: int = Field(default=200, ge=50, le=500)
    split: Literal["fixed", "sentence"] = "fixed"
    summary_min_length: int | None = Field(default=None, ge=1, le=1024)
    summary_max_length: int | None = Field(default=None, ge=1, le=1024)

    @model_validator(mode="after")
    def _lengths_in_order(self) -> TextOptions:
        least, most = self.summary_min_length, self.summary_max_length
        if least is not None and most is not None and least > most:
            raise ValueError("summary_min_length must not be above summary_max_length")
        return self

    def needs(self) -> tuple[str, ...]:
        """Return the stages that the options include."""
        wanted = {
            "sentiment": self.include_sentiment,
            "summary": self.include_summary,
            "entities": self.include_entities,
        }
        return tuple(stage for stage, included in wanted.items() if included)


class Process(TextOptions):
    """One text, its results streamed as they come."""

    goes_on = _OPEN

    type: Literal["process"] = "process"
    text: Text

    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return the text."""
        return (("text", self.text),)


class OpenProcess(Process):
    """A `process` job whose text goes on after the submit, which may have little or none of it."""

    model_config = _IS_OPEN

    text: str = ""


Process.open_form = OpenProcess


class Batch(TextOptions):
    """One text or a list of texts, answered by one `done` with the whole result."""

    goes_on = ("open",)

    type: Literal["batch"] = "batch"
    text: Text | None = None
    texts: list[Text] | None = Field(default=None, min_length=1, fail_fast=True)

    @model_validator(mode="after")
    def _one_of_both(self) -> Batch:
        if self.text is None and self.texts is None:
            raise PydanticCustomError("missing", "either text or texts is missing")
        if self.text is not None and self.texts is not None:
            raise ValueError("give either text or texts, and not both")
        return self

    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return the text, or each of the texts."""
        if self.texts is None:
            return (("text", self.text or ""),)
        return tuple((f"texts[{index}]", text) for index, text in enumerate(self.texts))


class OpenBatch(Batch):
    """A `batch` job whose one text goes on after the submit."""

    model_config = _IS_OPEN

    text: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> OpenBatch:
        if self.texts is not None:
            raise ValueError("texts are given at once; an open job has one text")
        return self


Batch.open_form = OpenBatch


class Generate(Submit):
    """A prompt, continued token by token. What is left out is the model's own default."""

    type: Literal["generate"] = "generate"
    prompt: str = Field(min_length=1)
    max_tokens: int = Field(default=128, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    stop: list[Annotated[str, Field(min_length=1, max_length=256)]] | None = Field(
        default=None, max_length=16, fail_fast=True
    )

    stages = ("generation",)

    def inputs(self) -> tuple[tuple[str, str], ...]:
        """Return the prompt."""
        return (("prompt", self.prompt),)

    def size(self) -> int:
        """Return the most tokens that may be written: each of them is a step."""
        return self.max_tokens


class Append(ClientFrame):
    """More input for a job that was submitted with `open` or `live`; `final` ends its input."""

    type: Literal["append"] = "append"
    id: JobId
    text: str | None = None
    final: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Append:
        if self.text is None and not self.final:
            raise ValueError("append needs text, or final: true, or both")
        return self


class Revise(ClientFrame):
    """The new full text of a job that was submitted with `live`."""

    type: Literal["revise"] = "revise"
    id: JobId
    text: str


class Cancel(ClientFrame):
    """Stop one job, or with `*` every job of this session."""

    type: Literal["cancel"] = "cancel"
    id: JobId | Literal["*"]


class Jobs(ClientFrame):
    """Ask for a snapshot of this session's jobs, or of one."""

    type: Literal["jobs"] = "jobs"
    id: JobId | None = None


class Resume(ClientFrame):
    """Take up an earlier session; `after` maps a job's id to the last seq that was seen of it."""

    type: Literal["resume"] = "resume"
    session: str = Field(min_length=1, max_length=256)
    after: dict[JobId, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


class Auth(ClientFrame):
    """The token, for clients that cannot set a header."""

    type: Literal["auth"] = "auth"
    token: str = Field(min_length=1, max_length=8192)


class Ping(ClientFrame):
    """Browsers cannot send WebSocket pings; this is theirs."""

    type: Literal["ping"] = "ping"
    n: int | None = None


Control: TypeAlias = Append | Revise | Cancel | Jobs | Resume | Auth | Ping

CONTROLS: dict[str, type[ClientFrame]] = {
    "append": Append,
    "revise": Revise,
    "cancel": Cancel,
    "jobs": Jobs,
    "resume": Resume,
    "auth": Auth,
    "ping": Ping,
}
"""Control frames by their type; a registered task may not take one of these names."""

TASKS: dict[str, type[Submit]] = {"process": Process, "batch": Batch, "generate": Generate}
"""The requests of the tasks that are always there, by their type."""
