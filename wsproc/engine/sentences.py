"""Where the sentences of a text are: rules over punctuation and line breaks, in linear time.

Two kinds of place can end a sentence:

1. a line break: a blank line always ends one; a single line break does so beside a bullet, a
   numbered item or a Markdown heading, and wherever the break was meant, that is, where the line
   was not simply full (see `break_is_meant`);
2. a run of full stops, question or exclamation marks with the quotes and brackets that close
   after it, followed by white space (marks of scripts written without spaces need none), unless
   what stands before or after it says otherwise (abbreviation, initial, lower case: see `ends`).

Every step looks at a bounded number of characters or passes over a stretch that no other step
passes over, so that the time is linear in the length of the text, whatever the text is.
"""

# ruff: noqa: RUF001 - the marks of many scripts are meant

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

Span = tuple[int, int]

_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
LINE = re.compile(rf"[^{_BREAKS}]*(?:\r\n|[{_BREAKS}]|\Z)")
_ITEM = re.compile(
    r"[^\S\n\r]{0,40}(?:[-*+•‣◦▪●–—·>]+\s|#{1,6}\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s|\|)"
)
_HEADING = re.compile(r"[^\S\n\r]{0,40}(?:#{1,6}\s|={2,6}[^=])")
_RULE = re.compile(r"\s*[-=_*~#+|.]{3,}\s*\Z")
_MARKER = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})\Z")

_CLOSERS = "\"'”’»›)\\]}）】〉》」』*_"
_UNSPACED = "。！？｡．؟۔।॥።។။։"
MARKS = re.compile(rf"[.!?…{_UNSPACED}‼⁇⁈⁉]+(?:[{_CLOSERS}]|\[\d{{1,3}}\])*")
OPENERS = re.compile(r"[\s\"'“‘«‹(\[{（【〈《「『¿¡*_–—-]*")
WORD_MAX = 24
WORD = re.compile(rf"\w{{1,{WORD_MAX}}}")

WRAP_MIN = 40
WRAP_MAX = 130


def _words(words: str) -> frozenset[str]:
    """Return the set of the words of a line."""
    return frozenset(words.split())


_NEVER_LAST = _words(
    "e.g eg i.e ie cf viz vs v figs eqs eqn sect chap vols pp p eds trans approx ca c.f esp incl"
)
_BEFORE_DIGIT = _words("no nos art ch sec vol fig eq tab ed ref")
_SELDOM_LAST = _words(
    "mr mrs ms mx dr prof rev fr hon pres gov sen rep gen col maj capt cpt cmdr lt sgt cpl adm "
    "messrs mme mlle st ste mt ft resp tel "
    "inc corp ltd co llc bros jr sr esq al u.s u.k u.n e.u u.s.a d.c ph.d b.a m.a m.sc b.sc "
    "m.d j.d jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri "
    "sat sun dept univ assn ave blvd rd"
)
_AFTER_TIME = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june july august september october november december eastern central pacific gmt utc est cet"
)
_OPENING_WORDS = _words(
    "the a an this that these those it he she they we you i there here in on at by for from with "
    "after before during since when while if although though because as but and or so yet however "
    "moreover furthermore meanwhile then now today yesterday his her its their our my your what "
    "why how where which both all some many most each not only one two three several "
    "according also another such to of under over until once first second finally instead"
)


def sentence_spans(text: str) -> list[Span]:
    """Return the half-open code point spans of the sentences of `text`, in order.

    A span neither starts nor ends with white space and is never blank; the spans are disjoint, and
    every character that is not white space lies in one of them.
    """
    return list(iter_sentence_spans(text))


def iter_sentence_spans(text: str) -> Iterator[Span]:
    """Yield what `sentence_spans` returns, one paragraph of work at a time."""
    for start, end in _units(text):
        yield from sentences_of(text, start, end)


def sentences_of(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the sentences of one unit: a stretch that no sentence may leave."""
    begin = start
    for cut in _cuts(text, start, end):
        yield from _trimmed(text, begin, cut)
        begin = cut
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without the white space around it, unless nothing is left."""
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    end -= len(part) - len(part.rstrip())
    if start < end:
        yield start, end


def _units(text: str) -> Iterator[Span]:
    """Yield the stretches that no sentence may leave: paragraphs, list items, meant lines."""
    for lines in _paragraphs(text):
        width = max(width_of(text, line) for line in lines)
        start = lines[0][0]
        for line, following in pairwise(lines):
            if break_is_meant(text, line, following, width):
                yield start, line[1]
                start = following[0]
        yield start, lines[-1][1]


def _paragraphs(text: str) -> Iterator[list[Span]]:
    """Yield the runs of lines that are not blank, each line with its line break."""
    lines: list[Span] = []
    for match in LINE.finditer(text):
        if not match[0].strip():
            if lines:
                yield lines
            lines = []
        else:
            lines.append(match.span())
    if lines:
        yield lines


def width_of(text: str, line: Span) -> int:
    """Return the length of a line without its line break."""
    return len(text[line[0] : line[1]].rstrip())


def break_is_meant(text: str, line: Span, following: Span, width: int) -> bool:
    """Tell whether the break between two lines of a paragraph ends a sentence.

    In hard-wrapped text a line ends where the next word would not have fitted. So in a paragraph
    of moderate `width` (its longest line) a line with room for that word was ended on purpose.
    """
    here = text[line[0] : line[1]]
    there = text[following[0] : following[1]]
    if _ITEM.match(there) or _HEADING.match(here) or _RULE.match(here) or _RULE.match(there):
        return True
    word = there.split(None, 1)[0]
    if word[0].islower():
        return False
    if not WRAP_MIN <= width <= WRAP_MAX:
        return True
    return len(here.rstrip()) + 1 + len(word) < width - 2


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the places inside a unit where one sentence ends and another begins."""
    begin = start
    casual = text[start:end].islower()
    for match in MARKS.finditer(text, start, end):
        if match.end() < end and ends(text, begin, match, end, casual=casual):
            begin = match.end()
            yield begin


def ends(text: str, begin: int, match: re.Match[str], end: int, *, casual: bool) -> bool:
    """Tell whether the marks in `match` end the sentence that began at `begin`.

    In `casual` text, which has no capital letters, a sentence may start with a small one.
    """
    marks = match[0]
    after = text[match.end()]
    if not after.isspace():
        mark = marks.rstrip(_CLOSERS.replace("\\", ""))[-1:]
        return mark in _UNSPACED and not (mark == "．" and after.isdigit())
    following = OPENERS.match(text, match.end(), end)
    at = following.end() if following else end
    if at >= end:
        return False
    if text[at] in ".!?…":
        return False
    if text[at].islower() and not (casual and len(marks) == 1 and marks != "…"):
        return False
    return marks[0] != "." or marks[1:2] == "." or _full_stop_ends(text, begin, match, at)


def _full_stop_ends(text: str, begin: int, match: re.Match[str], at: int) -> bool:
    """Tell whether a single full stop ends the sentence; the next one would start at `at`."""
    before = text[max(begin, match.start() - 24) : match.start()]
    token = before.split()[-1] if before and not before[-1].isspace() else ""
    bare = token.lstrip("\"'“‘«([{*_").rpartition("-")[2]
    name = bare.lower()
    if _MARKER.match(token) and _is_first(text, begin, match.start() - len(token)):
        return False
    if name in _NEVER_LAST or (name in _BEFORE_DIGIT and text[at].isdigit()):
        return False
    word = WORD.match(text, at)
    following = word[0].lower() if word else ""
    if name in ("a.m", "p.m"):
        return following not in _AFTER_TIME
    if name in _SELDOM_LAST or _is_initials(bare):
        return following in _OPENING_WORDS
    return True


def _is_first(text: str, begin: int, at: int) -> bool:
    """Tell whether nothing but a little white space lies between `begin` and `at`."""
    return at - begin <= 40 and not text[begin:at].strip()


def _is_initials(token: str) -> bool:
    """Tell whether a token is single letters with full stops between, as in `J` or `U.S`."""
    return all(len(part) == 1 and part.isalpha() for part in token.split(".")) if token else False
