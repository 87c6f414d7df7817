"""Cutting a long text into pieces of bounded length that break no sentence, if that can be."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wsproc.engine.sentences import Span, iter_sentence_spans

_SPACE = re.compile(r"\s*")


def iter_pieces(text: str, size: int) -> Iterator[Span]:
    """Yield, as they are asked for, the code point spans of pieces of at most `size` characters.

    A piece is as many whole sentences as fit, with what is between them. A sentence that alone is
    longer is cut at white space in its second half if there is some, and anywhere if not. Every
    character that is not white space lies in exactly one piece, and no piece is blank.
    """
    held: Span | None = None
    for start, end in _bounded(text, size):
        if held is None or end - held[0] > size:
            if held is not None:
                yield held
            held = (start, end)
        else:
            held = (held[0], end)
    if held is not None:
        yield held


def _bounded(text: str, size: int) -> Iterator[Span]:
    """Yield the sentences, those that are too long in parts."""
    for start, end in iter_sentence_spans(text):
        begin = start
        while end - begin > size:
            cut = _cut(text, begin, size)
            yield begin, cut
            begin = _SPACE.match(text, cut, end).end()  # type: ignore[union-attr]  # always matches
        yield begin, end


def _cut(text: str, start: int, size: int) -> int:
    """Return where a part of at most `size` characters that begins at `start` ends."""
    half = start + size // 2
    for at in range(start + size, half, -1):
        if text[at].isspace():
            return at - (len(text[half:at]) - len(text[half:at].rstrip()))
    return start + size
