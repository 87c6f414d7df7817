"""Results as HTML for notebooks: self-contained, no script, no external resource. Pure.

Whatever comes from a text or from the server is escaped; styles are inline, so that a notebook's
page cannot be changed, and leave text and paper to its theme.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape
from typing import Protocol

from wsproc.frames.server import Sentiment

BATCH_SHOWN = 20
"""How many texts of a batch are shown."""

_COLOURS: dict[str, str] = {
    "POSITIVE": "46,160,67",
    "NEUTRAL": "140,149,159",
    "NEGATIVE": "218,54,51",
}
_UNKNOWN = _COLOURS["NEUTRAL"]
_ENTITY = "border-bottom:2px solid rgb(9,105,218)"


class Chunk(Protocol):
    """A piece of the text with its sentiment."""

    @property
    def chunk(self) -> int:
        """Its number, from 1."""

    @property
    def start(self) -> int:
        """Where it begins."""

    @property
    def end(self) -> int:
        """Where it ends."""

    @property
    def sentiment(self) -> Sentiment:
        """Its sentiment."""

    @property
    def confidence(self) -> float:
        """How sure that is."""


class Entity(Protocol):
    """A name in the text."""

    @property
    def text(self) -> str:
        """The name."""

    @property
    def label(self) -> str:
        """Its kind."""

    @property
    def description(self) -> str:
        """Its kind in words."""

    @property
    def start(self) -> int:
        """Where it begins."""

    @property
    def end(self) -> int:
        """Where it ends."""


def process_html(
    text: str,
    sentiment: str | None,
    chunks: Sequence[Chunk],
    summary: str | None,
    entities: Sequence[Entity],
    failed: Sequence[str],
) -> str:
    """Return a text's result: sentiment as a strip and over the text, entities, summary."""
    parts = [
        _badge(sentiment) if sentiment else "",
        _strip(chunks),
        _text(text, chunks, entities),
        _legend(entities),
        f"<p><b>Summary</b> {escape(summary)}</p>" if summary else "",
        f"<p>Failed: {escape(', '.join(failed))}</p>" if failed else "",
    ]
    return f'<div class="wsproc">{"".join(parts)}</div>'


def batch_html(results: Sequence[str]) -> str:
    """Return the results of several texts, each given as HTML, one below the other."""
    shown = [f"<li>{one}</li>" for one in results[:BATCH_SHOWN]]
    more = len(results) - BATCH_SHOWN
    rest = f"<p>... and {more} more</p>" if more > 0 else ""
    return f'<div class="wsproc"><ol>{"".join(shown)}</ol>{rest}</div>'


def generate_html(prompt: str, text: str, finish_reason: str | None) -> str:
    """Return a continued prompt: the prompt pale, the text plain, how it ended."""
    why = f"<p><small>ended by {escape(finish_reason)}</small></p>" if finish_reason else ""
    return (
        '<div class="wsproc"><p style="white-space:pre-wrap">'
        f'<span style="opacity:0.6">{escape(prompt)}</span>{escape(text)}</p>{why}</div>'
    )


def _badge(sentiment: str) -> str:
    style = f"background:rgba({_colour(sentiment)},0.3);padding:1px 8px;border-radius:8px"
    return f'<p><span style="{style}">{escape(sentiment)}</span></p>'


def _strip(chunks: Sequence[Chunk]) -> str:
    if not chunks:
        return ""
    bars = "".join(
        f'<span title="{_said_of(one)}" style="flex:{max(1, one.end - one.start)};'
        f'background:rgba({_tint(one, 0.85)})"></span>'
        for one in chunks
    )
    style = "display:flex;gap:1px;height:10px;border-radius:4px;overflow:hidden"
    return f'<div role="img" aria-label="sentiment of each chunk" style="{style}">{bars}</div>'


def _text(text: str, chunks: Sequence[Chunk], entities: Sequence[Entity]) -> str:
    """Return the text, cut wherever a chunk or an entity begins or ends, each piece with both."""
    if not text:
        return ""
    cuts = {0, len(text)}
    spans: list[Chunk | Entity] = [*chunks, *entities]
    for one in spans:
        cuts |= {min(max(edge, 0), len(text)) for edge in (one.start, one.end)}
    pieces = []
    for start, end in itertools.pairwise(sorted(cuts)):
        chunk = next((one for one in chunks if one.start <= start < one.end), None)
        entity = next((one for one in entities if one.start <= start < one.end), None)
        pieces.append(_piece(text[start:end], chunk, entity))
    return f'<p style="white-space:pre-wrap">{"".join(pieces)}</p>'


def _piece(text: str, chunk: Chunk | None, entity: Entity | None) -> str:
    styles, titles = [], []
    if entity is not None:
        styles.append(_ENTITY)
        titles.append(escape(f"{entity.label}: {entity.description}"))
    if chunk is not None:
        styles.append(f"background:rgba({_tint(chunk, 0.3)})")
        titles.append(_said_of(chunk))
    if not styles:
        return escape(text)
    return f'<span title="{" | ".join(titles)}" style="{";".join(styles)}">{escape(text)}</span>'


def _legend(entities: Sequence[Entity]) -> str:
    if not entities:
        return ""
    kinds: dict[str, list[str]] = {}
    for entity in entities:
        kinds.setdefault(entity.label, []).append(entity.text)
    lines = "".join(
        f"<li><b>{escape(label)}</b> {escape(', '.join(dict.fromkeys(names)))}</li>"
        for label, names in kinds.items()
    )
    return f"<ul>{lines}</ul>"


def _said_of(chunk: Chunk) -> str:
    return escape(f"chunk {chunk.chunk}: {chunk.sentiment} {chunk.confidence:.2f}")


def _tint(chunk: Chunk, most: float) -> str:
    return f"{_colour(chunk.sentiment)},{most * (0.4 + 0.6 * chunk.confidence):.2f}"


def _colour(sentiment: str) -> str:
    return _COLOURS.get(sentiment, _UNKNOWN)
