"""The texts of the jobs: parts of the example article, each beginning elsewhere."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.counting import MARK

CHUNK_SIZE = 200
"""Characters of a chunk, wsproc's own default."""
ARTICLE = Path(__file__).parent.parent / "examples" / "article.txt"
SHORT = ARTICLE.read_text(encoding="utf-8")[:CHUNK_SIZE]
"""A job of one chunk."""


def sample_texts(least: int = 2000, most: int = 5000, count: int = 16) -> list[str]:
    """Return texts of `least` to `most` characters: by default 10 to 25 chunks."""
    article = ARTICLE.read_text(encoding="utf-8").strip()
    while len(article) < 2 * most:
        article += "\n\n" + article
    sizes = [least + (most - least) * n // (count - 1) for n in range(count)]
    starts = [n * (len(article) - most) // count for n in range(count)]
    mixed = sizes[::2] + sizes[1::2][::-1]  # neighbours differ, so that few clients see all sizes
    return [article[at : at + size] for at, size in zip(starts, mixed, strict=True)]


def chunks_of(text: str) -> list[str]:
    """Return the text's chunks."""
    return [text[at : at + CHUNK_SIZE] for at in range(0, len(text), CHUNK_SIZE)]


def marked(text: str) -> str:
    """Return the text with each chunk marked, its first character replaced."""
    return "".join(MARK + chunk[1:] for chunk in chunks_of(text))
