"""What a job gives in the end: the server's result as a dict, with attributes for what one wants.

Keys are the wire's, as PROTOCOL.md lists them: `result["sentiment"]["overall_sentiment"]`.
Attributes are the short way to the same: `result.sentiment`, `result.chunks`, `result.entities`.
Each knows the text that was submitted, so chunks come with their words.

    print(result.sentiment, [chunk.sentiment for chunk in result.chunks])
    table = result.to_pandas()  # a row a chunk; so is pandas.DataFrame(result.chunks)

Nothing here imports pandas but `to_pandas`, which is asked to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wsproc.client import display
from wsproc.frames.server import Sentiment

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk and its sentiment; `start` and `end` are characters of the submitted text."""

    chunk: int
    start: int
    end: int
    sentiment: Sentiment
    confidence: float
    text: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity; `start` and `end` are characters of the submitted text."""

    text: str
    label: str
    description: str
    start: int
    end: int


class Result(dict[str, Any]):
    """A job's result: a dict, as the server sent it."""

    def to_records(self) -> list[dict[str, Any]]:
        """Return the result as rows of plain values; here the one row is the result itself."""
        return [dict(self)]

    def to_pandas(self) -> pandas.DataFrame:
        """Return `to_records` as a table. Raises ImportError where pandas is not installed."""
        return to_pandas(self.to_records())


class _Shown(Result):
    """A result that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        raise AssertionError("each result says how it looks")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


class ProcessResult(_Shown):
    """What `process`, and `batch` of one text, found. Stages that were not asked for are None."""

    def __init__(self, data: Mapping[str, Any], text: str = "") -> None:
        super().__init__(data)
        self.text = text
        """The submitted text."""

    @property
    def sentiment(self) -> Sentiment | None:
        """The sentiment of the whole text."""
        found = self.get("sentiment")
        return None if found is None else found["overall_sentiment"]

    @property
    def chunks(self) -> list[Chunk]:
        """Each chunk with its sentiment. (`result["chunks"]` is how many there are.)"""
        found = (self.get("sentiment") or {}).get("chunk_sentiments", [])
        return [_chunk(one, self.text) for one in found]

    @property
    def summary(self) -> str | None:
        """The summary; None also for a text that is too short to have one."""
        found = self.get("summary")
        return None if found is None else found["summary"]

    @property
    def entities(self) -> list[Entity]:
        """The named entities in text order."""
        found = (self.get("entities") or {}).get("entities", [])
        return [Entity(**{name: one[name] for name in Entity.__slots__}) for one in found]

    @property
    def failed_stages(self) -> list[str]:
        """The stages that failed while others did not; `result["errors"]` says why."""
        return list(self.get("failed_stages") or [])

    def to_records(self) -> list[dict[str, Any]]:
        """Return one row a chunk."""
        return [asdict(chunk) for chunk in self.chunks]

    def to_record(self) -> dict[str, Any]:
        """Return the whole text as one row."""
        sentiment = self.get("sentiment") or {}
        return {
            "text": self.text,
            "text_length": self.get("text_length", len(self.text)),
            "chunks": self.get("chunks"),
            "sentiment": self.sentiment,
            "positive_chunks": sentiment.get("positive_chunks"),
            "negative_chunks": sentiment.get("negative_chunks"),
            "neutral_chunks": sentiment.get("neutral_chunks"),
            "summary": self.summary,
            "entities": [entity.text for entity in self.entities],
        }

    def _repr_html_(self) -> str:
        return display.process_html(
            self.text,
            self.sentiment,
            self.chunks,
            self.summary,
            self.entities,
            self.failed_stages,
        )


class BatchResult(_Shown):
    """What `batch` found of several texts; iterate, index or `len` `results`, in their order."""

    def __init__(self, data: Mapping[str, Any], texts: Sequence[str] = ()) -> None:
        super().__init__(data)
        self.texts = list(texts)
        """The submitted texts."""

    @property
    def results(self) -> list[ProcessResult]:
        """The result of each text."""
        texts = [*self.texts, *[""] * len(self["results"])]
        return [ProcessResult(one, text) for one, text in zip(self["results"], texts, strict=False)]

    def to_records(self) -> list[dict[str, Any]]:
        """Return one row a text."""
        return [{"index": n, **one.to_record()} for n, one in enumerate(self.results)]

    def _repr_html_(self) -> str:
        return display.batch_html([one._repr_html_() for one in self.results])


class GenerateResult(_Shown):
    """What `generate` wrote."""

    def __init__(self, data: Mapping[str, Any], prompt: str = "") -> None:
        super().__init__(data)
        self.prompt = prompt
        """The submitted prompt."""

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The text that was written, without the prompt."""
        return str(self.get("text", ""))

    @property
    def finish_reason(self) -> str | None:
        """`stop` (a stop string), `eos` (the model ended) or `length` (`max_tokens`)."""
        return self.get("finish_reason")

    def to_records(self) -> list[dict[str, Any]]:
        """Return one row."""
        return [{"prompt": self.prompt, **self}]

    def _repr_html_(self) -> str:
        return display.generate_html(self.prompt, self.text, self.finish_reason)


def make_result(task: str, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    """Return a job's result, of what its submit said and the server answered."""
    if task == "generate":
        return GenerateResult(data, fields.get("prompt") or "")
    if task == "batch" and "results" in data:
        return BatchResult(data, fields.get("texts") or ())
    if task in ("process", "batch"):
        return ProcessResult(data, fields.get("text") or "")
    return Result(data)


def to_pandas(records: list[dict[str, Any]]) -> pandas.DataFrame:
    """Return rows as a table. Raises ImportError where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise ImportError("a table needs pandas: pip install pandas") from None
    return pandas.DataFrame.from_records(records)


def _chunk(found: Mapping[str, Any], text: str) -> Chunk:
    start, end = found["start"], found["end"]
    return Chunk(
        chunk=found["chunk"],
        start=start,
        end=end,
        sentiment=found["sentiment"],
        confidence=found["confidence"],
        text=text[start:end],
    )
