"""Reading what every stage reads: the text of an item."""

from __future__ import annotations

from wsproc.engine.call import InvalidItem, Item
from wsproc.engine.stages.decoding.fields import read_text


def text_of(item: Item) -> str | InvalidItem:
    """Return what is under `text`, or the `InvalidItem` that says why it cannot be read."""
    try:
        return read_text(item, "text")
    except InvalidItem as error:
        return error


def tokens_of(text: object, most: int) -> int:
    """Return a cheap estimate, from 1 to `most`, of a text's tokens: a token is about four bytes.

    Of a text with more than `most` tokens only the beginning is looked at; what is no text
    weighs 1.
    """
    if not isinstance(text, str):
        return 1
    beginning = text[: 4 * most].encode(errors="replace")
    return max(1, min(most, 2 + len(beginning) // 4))
