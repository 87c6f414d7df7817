"""Text of the language model: plain-English passages of Wikipedia, novels and speeches.

A passage is a run of whole paragraphs, about `PASSAGE_CHARS` characters long, so that a passage and
the end-of-text token after it fit into one context. Three choices make the text plainer than the
sources are: novels before `SINCE` and those in an archaic style are left out, paragraphs with many
digits or non-ASCII letters are left out, and of the Wikipedia passages those with the largest share
of common words are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.corpora import lines, records

SINCE = 1880
ARCHAIC = ("Morris",)  # writes a medieval English of his own
PASSAGE_CHARS = 700
WIKI_SHARE = 0.35  # of the Wikipedia passages, the plainest
COMMON_WORDS = 8000

_QUOTES = str.maketrans(
    {"“": '"', "”": '"', "\u2018": "'", "\u2019": "'", "_": None, "\ufeff": None}
)
_NOVEL = re.compile(r"<<<(\w+?)_.*_(\d{4})\.txt>>>")
_WORD = re.compile(r"[A-Za-z]+")
_ENDS = ('."', '!"', '?"', ".'", ".", "!", "?", ".)")


def tidy(text: str) -> str:
    """Return the text with straight quotes, plain dashes and single spaces."""
    text = text.translate(_QUOTES).replace("--", " - ").replace("—", " - ")
    text = re.sub(r"\(\s*[,;]*\s*\)", "", text)
    text = re.sub(r"\(\s*[,;]\s*", "(", text)
    text = re.sub(r"\s+([,.;:!?])(?=\s|$)", r"\1", text)
    return " ".join(text.split())


def is_prose(paragraph: str) -> bool:
    """Whether the paragraph is a run of sentences: not a heading, a table row or a formula."""
    size = len(paragraph)
    if size < 40 or not paragraph.endswith(_ENDS) or not paragraph[0].isascii():
        return False
    digits = sum(character.isdigit() for character in paragraph)
    foreign = sum(not character.isascii() for character in paragraph)
    odd = sum(paragraph.count(character) for character in "=<>{}|\\^*#")
    return digits < 0.05 * size and foreign < 0.02 * size and not odd


def passages(paragraphs: Iterable[str]) -> Iterator[str]:
    """Join consecutive paragraphs, one to a line, into passages of at least `PASSAGE_CHARS`."""
    held: list[str] = []
    for paragraph in paragraphs:
        held.append(paragraph)
        if sum(map(len, held)) >= PASSAGE_CHARS:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def wiki_sections(path: Path) -> Iterator[list[str]]:
    """Yield the tidied paragraphs of each lead and each section of the articles."""
    for article in records(path):
        yield [tidy(paragraph) for paragraph in article["lead"]]
        for _, paragraphs in article["body"]:
            yield [tidy(paragraph) for paragraph in paragraphs]


def novels(path: Path, since: int = 0) -> Iterator[list[str]]:
    """Yield the tidied paragraphs of each novel; with a year, only of plain ones not before it."""
    wanted, held = False, list[str]()
    for line in lines(path):
        if start := _NOVEL.match(line):
            if held:
                yield unwrapped(held)
            wanted = int(start[2]) >= since and not (since and start[1] in ARCHAIC)
            held = []
        elif wanted:
            held.append(line.strip())
    if held:
        yield unwrapped(held)


def unwrapped(novel: list[str]) -> list[str]:
    """Return the paragraphs of a novel whose lines may be paragraphs or wrapped at a fixed width.

    A line ends its paragraph if a blank line or a capital follows it, it ends a sentence, and it is
    clearly shorter than the novel's wrapped lines (or the novel is not wrapped at all).
    """
    sizes = sorted(len(line) for line in novel if line)
    wrapped = sizes[len(sizes) // 2] < 80
    width = sizes[int(len(sizes) * 0.9)] if wrapped else 10**6
    paragraphs: list[str] = []
    held: list[str] = []
    for index, line in enumerate(novel):
        if not line:
            continue
        held.append(line)
        following = novel[index + 1] if index + 1 < len(novel) else ""
        if line.endswith(_ENDS) and (not following or len(line) < 0.8 * width):
            paragraphs.append(tidy(" ".join(held)))
            held = []
        elif not following and line.isupper():
            held = []
    return _double_quoted(paragraphs)


def _double_quoted(paragraphs: list[str]) -> list[str]:
    """Write speech in double quotes where the novel has it in single ones."""
    text = "\n".join(paragraphs)
    if text.count('"') > len(re.findall(r"(?<!\w)'", text)):
        return paragraphs
    text = re.sub(r"(?<![\w.,!?])'(?=[A-Z])", '"', text)
    text = re.sub(r"(?<=[.,!?;-])'(?!\w)", '"', text)
    return text.split("\n")


def speeches(path: Path) -> list[str]:
    """Return the tidied paragraphs of the speeches."""
    return [tidy(line) for line in lines(path)]


def training_passages(data: Path) -> list[str]:
    """Return the passages to train on, in the order of their sources."""
    story = [
        passage
        for novel in novels(data / "novels" / "train.txt.xz", SINCE)
        for passage in passages(filter(is_prose_or_speech, novel))
    ]
    speech = list(passages(filter(is_prose, speeches(data / "us_speeches" / "speeches.txt.xz"))))
    wiki = [
        passage
        for section in wiki_sections(data / "wiki_articles" / "train.jsonl.xz")
        for passage in passages(filter(is_prose, section))
        if len(passage) >= 200
    ]
    return _plainest(wiki, WIKI_SHARE) + story + speech


def is_prose_or_speech(paragraph: str) -> bool:
    """Like `is_prose`, and also a short line that somebody says."""
    return is_prose(paragraph) or (paragraph[:1] == '"' and paragraph.endswith(_ENDS))


def _plainest(texts: list[str], share: float) -> list[str]:
    """Return the given share of the texts, in their order: those with the most common words."""
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    common = {word for word, _ in counts.most_common(COMMON_WORDS)}
    shares = [_share_of(_WORD.findall(text), common) for text in texts]
    least = sorted(shares)[int(len(shares) * (1 - share))]
    return [text for text, of_common in zip(texts, shares, strict=True) if of_common >= least]


def _share_of(words: list[str], common: set[str]) -> float:
    return sum(word in common for word in words) / max(1, len(words))
