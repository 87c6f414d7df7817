from __future__ import annotations

import pytest

from tests.engine.stages.decoding.tiny import LINES, TEMPLATE, byte_tokenizer
from wsproc.engine.call import InvalidItem
from wsproc.engine.stages.decoding.prompts import PromptReader


def test_the_end_of_a_long_prompt_is_kept() -> None:
    """A bare prompt keeps exactly as many tokens as fit: its last ones, behind the token that marks
    the beginning where the tokenizer writes one.
    """
    for bos in (True, False):
        tokenizer = byte_tokenizer(bos=bos)
        ids = tokenizer(LINES[0])["input_ids"]
        prompt = PromptReader(tokenizer, chat=True).read(LINES[0], 9)
        assert prompt.truncated
        assert list(prompt.tokens) == ([0, *ids[-8:]] if bos else ids[-9:])


@pytest.mark.parametrize("text", [" ".join(LINES), "火山" * 60])
@pytest.mark.parametrize("limit", [24, 31, 32, 33])
def test_a_template_is_kept_whole_around_the_end_of_a_long_turn(text: str, limit: int) -> None:
    """Of a long turn the beginning is left out, between characters, and the template stays whole
    around the rest.
    """
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    prompt = PromptReader(tokenizer, chat=True).read(text, limit)
    turn = tokenizer.decode(prompt.tokens)
    before, after = "<s>user: ", "\nassistant:"
    assert prompt.truncated
    assert limit - 4 <= len(prompt.tokens) <= limit
    assert turn.startswith(before)
    assert turn.endswith(after)
    assert text.endswith(turn.removeprefix(before).removesuffix(after))


def test_a_template_longer_than_the_limit_is_cut() -> None:
    """Where not even the template fits, the last tokens of the turn are read."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    prompt = PromptReader(tokenizer, chat=True).read(LINES[0], 4)
    turn = tokenizer(f"<s>user: {LINES[0]}\nassistant:")["input_ids"]
    assert list(prompt.tokens) == turn[-4:]
    assert prompt.truncated


def test_a_prompt_that_fits_is_left_alone() -> None:
    """A prompt within the limit stays what the tokenizer makes of it; one without tokens is
    refused.
    """
    tokenizer = byte_tokenizer()
    reader = PromptReader(tokenizer, chat=True)
    prompt = reader.read(LINES[1], 200)
    assert (list(prompt.tokens), prompt.truncated) == (tokenizer(LINES[1])["input_ids"], False)
    with pytest.raises(InvalidItem, match="no tokens"):
        reader.read("", 5)
