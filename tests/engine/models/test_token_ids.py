"""Token ids by the shortest way; each way gives what the tokenizer's usual call gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tests.engine.checkpoints import save_classifier
from wsproc.engine.models.token_ids import token_ids

TEXTS = [
    "What a good day!",
    "",
    "\0 שלום 👩‍👩‍👧",
    "<s> is no special token of a user </s>",
    "word " * 200,
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer in Rust, as nearly all are."""
    folder: Path = save_classifier(tmp_path_factory.mktemp("classifier"))
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _usual(tokenizer: Any, texts: list[str]) -> Any:
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def test_ids_are_those_of_the_usual_call(tokenizer: Any) -> None:
    """No special tokens are added, and nothing is cut, however long."""
    assert token_ids(tokenizer)(TEXTS) == _usual(tokenizer, TEXTS)
    assert token_ids(tokenizer)([]) == []


def test_what_another_caller_asked_for_does_not_stay(tokenizer: Any) -> None:
    """Cutting and padding are settings of the tokenizer, which others call too."""
    ids = token_ids(tokenizer)
    tokenizer(TEXTS, truncation=True, max_length=4, padding="max_length")
    found = ids(TEXTS)
    assert found == _usual(tokenizer, TEXTS)
    assert len(found[-1]) > 4


class _OwnWay:
    """A tokenizer that does something to a text before it reaches Rust."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.backend_tokenizer = inner.backend_tokenizer

    def __call__(self, texts: list[str], **settings: Any) -> Any:
        return self._inner([text.lower() for text in texts], **settings)


class _Slow:
    """A tokenizer in Python alone."""

    def __call__(self, texts: list[str], **settings: Any) -> Any:
        return {"input_ids": [[ord(one) for one in text] for text in texts]}


def test_a_tokenizer_with_a_way_of_its_own_is_called(tokenizer: Any) -> None:
    """What its Python side does to a text counts, and so does one that has no Rust side."""
    assert token_ids(_OwnWay(tokenizer))(["GOOD"]) == _usual(tokenizer, ["good"])
    assert token_ids(_Slow())(["ab", ""]) == [[97, 98], []]
    assert token_ids(_Slow())([]) == []
