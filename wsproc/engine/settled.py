"""Which sentences of a text that is still growing are certain, whatever is to follow.

The rules are those of `sentences.py`. They look ahead: the width of a paragraph decides about its
line breaks, its capitals about small letters behind a full stop, and a mark may be followed by more
marks. So each rule is asked here whether its answer can still change:

- a unit (a paragraph, or a part of it that ends at a meant line break) is certain once what ends it
  is; then so are all its sentences;
- in the unit that is still open a full stop counts once the word behind it is complete.
"""

from __future__ import annotations

import re

from wsproc.engine import sentences as rules

_CITATION = re.compile(r"\[\d{0,3}\Z")
"""A citation that may still be closed: it would belong to the marks before it."""

_SPACE = re.compile(r"\s*")

_ANY_WIDTH = rules.WRAP_MAX + 1


class SettledSentences:
    """The sentence starts of a growing text that nothing can move any more.

    Read the text again whenever it has grown: `starts` are then those starts, in order, and no
    other sentence will ever start before `until`.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.until = 0
        self._closed = 0
        self._unit = 0
        self._width = 0

    def __repr__(self) -> str:
        return f"<SettledSentences {len(self.starts)}, until {self.until}>"

    @property
    def open_since(self) -> int:
        """Where the part begins that every reading looks at again."""
        return self._unit

    def read(self, text: str) -> None:
        """Take in a text that begins with the one that was read before."""
        del self.starts[self._closed :]
        while self._read_paragraph(text):
            pass

    def _read_paragraph(self, text: str) -> bool:
        """Read what there is of the paragraph at hand; return whether it has ended."""
        lines = _lines(text, self._unit)
        ended = bool(lines) and lines[-1].blank and lines[-1].complete
        block = [line for line in lines if not line.blank]
        width = max([self._width, *(rules.width_of(text, line.span) for line in block)])
        first = 0
        for index in range(1, len(block)):
            meant = _meant(text, block[index - 1], block[index], width, final=ended)
            if meant is None:
                del block[index:]
                break
            if meant:
                self._close(text, block[first].span[0], block[index].span[0])
                first = index
        if not ended:
            self._width = width
            self._read_open(text, block[first:])
            return False
        if block:
            self._close(text, block[first].span[0], block[-1].span[1])
        self._unit, self._width = lines[-1].span[1], 0
        return True

    def _close(self, text: str, start: int, end: int) -> None:
        """Note the sentences of a unit whose end is certain, and go on behind it."""
        self.starts += [begin for begin, _ in rules.sentences_of(text, start, end)]
        self._closed = len(self.starts)
        self._unit = end

    def _read_open(self, text: str, lines: list[Line]) -> None:
        """Find the certain sentences of the unit whose end is not."""
        self.until = len(text)
        if not lines:
            return
        start, end = lines[0].span[0], lines[-1].span[1]
        loud = any(char.isupper() or char.istitle() for char in text[start:end])
        begin = start
        self.starts.append(_first_of(text, start))
        self.until = end
        for match in rules.MARKS.finditer(text, start, end):
            ends = _ends(text, begin, match, end, loud=loud)
            if ends is None:
                self.until = match.end()
                break
            if ends:
                begin = match.end()
                self.starts.append(_first_of(text, begin))


class Line:
    """A line with its break; one without is not `complete`."""

    __slots__ = ("blank", "complete", "span")

    def __init__(self, match: re.Match[str], text: str) -> None:
        self.span = match.span()
        self.blank = not match[0].strip()
        broken = match[0] != match[0].splitlines()[0]
        # What follows a carriage return may be its line feed.
        self.complete = broken and not (match.end() == len(text) and match[0].endswith("\r"))


def _lines(text: str, start: int) -> list[Line]:
    """Return the lines from a line's start on, up to the first blank one that is complete."""
    lines: list[Line] = []
    for match in rules.LINE.finditer(text, start):
        if match[0]:
            lines.append(Line(match, text))
            if lines[-1].blank and lines[-1].complete:
                break
    return lines


def _meant(text: str, line: Line, following: Line, width: int, *, final: bool) -> bool | None:
    """Tell whether the break between two lines of a paragraph ends a sentence; None while that
    depends on the rest of the second line, or on a `width` that is not `final`.
    """
    if final:
        return rules.break_is_meant(text, line.span, following.span, width)
    if not following.complete:
        return None
    if not rules.break_is_meant(text, line.span, following.span, _ANY_WIDTH):
        return False
    if width > rules.WRAP_MAX:
        return True
    # Between these widths a break is the more meant the wider the paragraph is.
    least = max(width, rules.WRAP_MIN)
    return rules.break_is_meant(text, line.span, following.span, least) or None


def _ends(text: str, begin: int, match: re.Match[str], end: int, *, loud: bool) -> bool | None:
    """Tell whether marks end the sentence that began at `begin`; None while that is uncertain.

    `end` is how far the unit is known, `loud` whether it has a capital letter.
    """
    if match.end() >= end or _CITATION.match(text, match.end(), end):
        return None
    if text[match.end()].isspace():
        following = rules.OPENERS.match(text, match.end(), end)
        at = following.end() if following else end
        word = rules.WORD.match(text, at, end)
        if at >= end or (word and word.end() >= end and len(word[0]) < rules.WORD_MAX):
            return None
    verdicts = {
        rules.ends(text, begin, match, end, casual=casual)
        for casual in ((False,) if loud else (False, True))
    }
    return verdicts.pop() if len(verdicts) == 1 else None


def _first_of(text: str, at: int) -> int:
    """Return where the first character from `at` on stands that is not white space."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
