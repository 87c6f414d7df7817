"""Reading and weighing an item's text."""

from __future__ import annotations

from typing import Any

import pytest

from wsproc.engine.call import InvalidItem
from wsproc.engine.stages.items import text_of, tokens_of


def test_the_text_is_returned_as_it_is() -> None:
    """Nothing is stripped or changed."""
    assert text_of({"text": " a\0👩‍👩‍👧 "}) == " a\0👩‍👩‍👧 "


@pytest.mark.parametrize("item", [{}, {"text": None}, {"text": 7}, {"text": ["a"]}])
def test_an_item_without_a_text_is_invalid(item: dict[str, Any]) -> None:
    """The error names the key, and is returned, so that the neighbours go on."""
    assert text_of(item) == InvalidItem("text must be a string")


def test_half_a_character_is_invalid() -> None:
    """A lone surrogate can be encoded by no tokenizer."""
    assert text_of({"text": "a\ud83d"}) == InvalidItem("text holds a lone surrogate")


@pytest.mark.parametrize(
    ("text", "most", "tokens"),
    [("", 50, 2), ("x" * 40, 50, 12), ("漢字" * 20, 50, 32), ("x" * 10**6, 50, 50), (None, 50, 1)],
)
def test_a_token_is_about_four_bytes(text: object, most: int, tokens: int) -> None:
    """The estimate grows with the text up to its bound, and what is no text weighs one."""
    assert tokens_of(text, most) == tokens


def test_weighing_never_raises() -> None:
    """A lone surrogate weighs something, though it will be refused."""
    assert tokens_of("\ud800" * 8, 50) == 4
