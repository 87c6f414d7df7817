"""Text from tokens as they come, never half a character."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

UNFINISHED = "\ufffd"


class Detokenizer:
    """Turns a growing list of token ids into pieces of text.

    What a token looks like depends on the ones before it (spaces, bytes of one character), so each
    piece is the difference between two decodings that start at the same token: the tokens of the
    last piece, and those with the new ones. While the end decodes to a replacement character it may
    be the beginning of a real one, and is held back.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._told = 0
        self._before = ""

    def push(self, token: int) -> str:
        """Take one token and return the text that is certain now."""
        self._window.append(token)
        return self._tell(final=False)

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        return self._tell(final=True)

    def _tell(self, *, final: bool) -> str:
        after = self._decode(self._window)
        piece = after[len(self._before) :]
        if not final and (not piece or after.endswith(UNFINISHED)):
            return ""
        self._window = self._window[self._told :]
        self._told = len(self._window)
        self._before = self._decode(self._window)
        return piece

    def _decode(self, tokens: list[int]) -> str:
        text = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text
