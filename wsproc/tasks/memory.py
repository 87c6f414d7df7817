"""What a live job has computed so far, by the text that it was computed from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wsproc.frames.server import ChunkResult, EntitiesResult, SummaryResult
from wsproc.tasks.chunks import Chunk


class Memory:
    """The results of chunks, of the latest text and of the one before, wherever in it they stand;
    and the last summary and entities, by the whole text.
    """

    def __init__(self) -> None:
        self.summaries: dict[str, SummaryResult] = {}
        self.entities: dict[str, EntitiesResult] = {}
        self._chunks: dict[str, ChunkResult | None] = {}
        self._before: dict[str, ChunkResult | None] = {}

    def __repr__(self) -> str:
        return f"<Memory of {len(self._chunks)} chunks>"

    def fresh(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Turn to another text; return those of its chunks that are new, and forget the rest."""
        remembered = self._before | self._chunks
        self._before = self._chunks
        self._chunks = {chunk.text: remembered.get(chunk.text) for chunk in chunks}
        return [chunk for chunk in chunks if chunk.text not in remembered]

    def known(self, chunks: Sequence[Chunk]) -> dict[int, ChunkResult]:
        """Return the results that are there, by their place from 0, with the offsets of today."""
        found = {place: self._chunks.get(chunk.text) for place, chunk in enumerate(chunks)}
        return {
            place: result.model_copy(
                update={
                    "chunk": place + 1,
                    "start": chunks[place].start,
                    "end": chunks[place].end,
                }
            )
            for place, result in found.items()
            if result is not None
        }

    def note(self, chunk: Chunk, result: ChunkResult) -> None:
        """Remember the result of a chunk."""
        self._chunks[chunk.text] = result
