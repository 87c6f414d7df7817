"""From the text of a prompt to the tokens that a model reads, within its context."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from wsproc.engine.call import InvalidItem
from wsproc.engine.stages.decoding.detokenize import UNFINISHED


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a prompt, and whether its beginning had to be left out."""

    tokens: tuple[int, ...]
    truncated: bool


class PromptReader:
    """Tokenizes prompts; with `chat`, as one user turn in the tokenizer's chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, chat: bool) -> None:
        self._tokenizer = tokenizer
        self._chat = chat and bool(tokenizer.chat_template)

    def read(self, text: str, limit: int) -> Prompt:
        """Return at most `limit` tokens of `text`; of a longer one the end is kept.

        Raises InvalidItem for a text that gives no token at all.
        """
        tokens = self._turn(text) if self._chat else self._plain(text)
        if not tokens:
            raise InvalidItem("prompt has no tokens")
        if len(tokens) <= limit:
            return Prompt(tuple(tokens), truncated=False)
        kept = self._end_of_turn(text, tokens, limit) if self._chat else self._end(tokens, limit)
        return Prompt(tuple(kept), truncated=True)

    def _plain(self, text: str) -> list[int]:
        return list(self._tokenizer(text, verbose=False)["input_ids"])

    def _turn(self, text: str) -> list[int]:
        turn = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
        return list(self._tokenizer(turn, add_special_tokens=False, verbose=False)["input_ids"])

    def _end(self, tokens: list[int], limit: int) -> list[int]:
        """Return the last tokens, behind the beginning-of-sequence token where there is one."""
        lead = 1 if limit > 1 and tokens[0] == self._tokenizer.bos_token_id else 0
        return tokens[:lead] + tokens[len(tokens) - limit + lead :]

    def _end_of_turn(self, text: str, tokens: list[int], limit: int) -> list[int]:
        """Return a whole turn around the end of the text; the template itself is not cut.

        Tokens may merge differently in the shorter text, so the length is tried, not computed.
        """
        content = list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        keep = len(content)
        while len(tokens) > limit:
            keep -= len(tokens) - limit
            if keep <= 0:
                return tokens[len(tokens) - limit :]
            end = self._tokenizer.decode(content[-keep:], clean_up_tokenization_spaces=False)
            assert isinstance(end, str)
            tokens = self._turn(end.lstrip(UNFINISHED))
        return tokens
