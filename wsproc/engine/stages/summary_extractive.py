"""Summaries chosen from the text's own sentences: no device memory, a bounded piece a step."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from wsproc.engine.call import EngineError, InvalidItem, Item
from wsproc.engine.models.extractive import ExtractiveSummarizer, Step, Summary
from wsproc.engine.stages.decoding.fields import read_lengths, read_text
from wsproc.engine.stages.items import tokens_of
from wsproc.engine.stages.stage import Emission, StepBudget


@dataclass(slots=True, eq=False)
class ExtractiveRun:
    """One text: the pieces of work still to do, and the summary so far."""

    work: Generator[Step, None, Summary]
    text: str = ""


class ExtractiveSummaryStage:
    """A `Stage` over an `ExtractiveSummarizer`: a step does one piece of each of up to `rows`."""

    def __init__(
        self,
        summarizer: ExtractiveSummarizer,
        *,
        rows: int = 16,
        tokens: int = 4096,
        name: str = "summary",
    ) -> None:
        self.name = name
        self.budget = StepBudget(rows=rows, tokens=tokens)
        self._summarizer = summarizer

    def weigh(self, item: Item) -> int:
        """Return an estimate of the tokens of the text, within the budget."""
        return tokens_of(item.get("text"), self.budget.tokens)

    def begin(self, items: Sequence[Item]) -> list[ExtractiveRun | EngineError]:
        """Read the items; the work begins with the first step."""
        return [self._begin(item) for item in items]

    def _begin(self, item: Item) -> ExtractiveRun | EngineError:
        try:
            least, most = read_lengths(item, low=1)
            return ExtractiveRun(self._summarizer.steps(read_text(item, "text"), least, most))
        except InvalidItem as error:
            return error

    def step(self, runs: Sequence[ExtractiveRun]) -> list[Emission]:
        """Do one piece of each run; what raises fails that run alone."""
        return [self._step(run) for run in runs]

    def _step(self, run: ExtractiveRun) -> Emission:
        try:
            piece = next(run.work)
        except StopIteration as end:
            return Emission(result=_result(end.value))
        if not piece.delta:
            return Emission()
        run.text += piece.delta
        return Emission(({"text": run.text},))

    def release(self, runs: Sequence[ExtractiveRun]) -> None:
        """Drop the work that is left."""
        for run in runs:
            run.work.close()


def _result(summary: Summary) -> Mapping[str, object]:
    return {
        "summary": summary.text,
        "spans": [list(span) for span in summary.spans],
        "truncated": summary.truncated,
        "windows": 1,
    }
