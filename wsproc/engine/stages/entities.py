"""The entities stage: any spaCy pipeline that finds entities, a piece of each text in a step.

Item `{"text": str}`. Result:

- `entities`: in the order of the text, each with `text`, `label`, `description` (spaCy's words for
  the label, or the label itself), and `start`, `end` in code points: `text` is the item's text
  from `start` to `end`;
- `pieces`: how many pieces the text was read in.

spaCy holds the GIL while it works, so this stage wants a process beside the other stages' one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wsproc.engine.call import EngineError, Item
from wsproc.engine.models.pipeline import LoadedPipeline
from wsproc.engine.sentences import Span
from wsproc.engine.stages.items import text_of, tokens_of
from wsproc.engine.stages.pieces import iter_pieces
from wsproc.engine.stages.stage import Emission, StepBudget

if TYPE_CHECKING:
    from spacy.tokens import Doc

PIECE_CHARACTERS = 1000
"""The most characters of one text in one step: about 20 ms of work."""


@dataclass(slots=True)
class EntitiesRun:
    """One text on its way through its pieces; `piece` is the next one, None when all are read."""

    text: str
    rest: Iterator[Span]
    piece: Span | None
    pieces: int = 0
    entities: list[dict[str, Any]] = field(default_factory=list)


class EntitiesStage:
    """Finds entities with one spaCy pipeline; ValueError if `piece_characters` is below one."""

    name = "entities"

    def __init__(
        self,
        loaded: LoadedPipeline,
        *,
        rows: int,
        tokens: int,
        piece_characters: int = PIECE_CHARACTERS,
    ) -> None:
        if piece_characters < 1:
            raise ValueError(f"piece_characters must be at least 1, not {piece_characters}")
        self.budget = StepBudget(rows, tokens)
        self._nlp = loaded.nlp
        self._size = piece_characters

    def weigh(self, item: Item) -> int:
        """Return about how many tokens the item's first piece has."""
        return tokens_of(item.get("text"), max(1, self._size // 4))

    def begin(self, items: Sequence[Item]) -> list[EntitiesRun | EngineError]:
        """Find each text's first piece."""
        return [_run(text_of(item), self._size) for item in items]

    def step(self, runs: Sequence[EntitiesRun]) -> list[Emission]:
        """Read the next piece of each run."""
        spans = [run.piece for run in runs if run.piece is not None]
        texts = [run.text[slice(*run.piece)] for run in runs if run.piece is not None]
        found = iter(zip(spans, self._read(texts), strict=True))
        return [_advanced(run, *next(found)) if run.piece else _finished(run) for run in runs]

    def release(self, runs: Sequence[EntitiesRun]) -> None:
        """Hold nothing: between steps nothing of a run is in the pipeline."""

    def _read(self, texts: list[str]) -> list[Doc | EngineError]:
        """Run the pipeline over all texts at once, or one by one if one of them breaks it."""
        try:
            return list(self._nlp.pipe(texts, batch_size=max(1, len(texts))))
        except Exception as error:  # a component may raise anything
            if len(texts) == 1:
                return [EngineError(f"the pipeline failed on this text ({type(error).__name__})")]
        return [doc for text in texts for doc in self._read([text])]


def _run(text: str | EngineError, size: int) -> EntitiesRun | EngineError:
    if isinstance(text, EngineError):
        return text
    rest = iter_pieces(text, size)
    return EntitiesRun(text, rest, next(rest, None))


def _advanced(run: EntitiesRun, span: Span, doc: Doc | EngineError) -> Emission:
    if isinstance(doc, EngineError):
        return Emission(error=doc)
    for entity in doc.ents:
        _add(run, span[0] + entity.start_char, span[0] + entity.end_char, entity.label_)
    run.pieces += 1
    run.piece = next(run.rest, None)
    return Emission() if run.piece else _finished(run)


def _finished(run: EntitiesRun) -> Emission:
    return Emission(result={"entities": run.entities, "pieces": run.pieces})


def _add(run: EntitiesRun, start: int, end: int, label: str) -> None:
    """Note an entity without the white space that some pipelines leave around it."""
    text = run.text[start:end].strip()
    if not text:
        return
    start += len(run.text[start:end]) - len(run.text[start:end].lstrip())
    run.entities.append(
        {
            "text": text,
            "label": label,
            "description": _description(label),
            "start": start,
            "end": start + len(text),
        }
    )


@lru_cache(maxsize=256)
def _description(label: str) -> str:
    from spacy.glossary import GLOSSARY

    return GLOSSARY.get(label, label)
