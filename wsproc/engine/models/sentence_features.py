"""What the summariser knows about a sentence: its form, its place, and how central its words are.

A text is read in two passes. `Reader.add` looks at one sentence alone (its words as hashed
numbers, its form); `Reader.finish` then relates the sentences to the whole text. Both passes are
linear in the length of the text: centrality comes from products with the sum of all sentence
vectors, never from a table of all pairs.
"""

# ruff: noqa: RUF001 - the marks of many scripts are meant

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BUCKETS = 1 << 15

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’][^\W\d_]{{1,2}}\b)?")
_CHUNK = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_CHUNK_LIMIT = 40
_CHUNK_SHARE = 8


def _words(words: str) -> frozenset[str]:
    """Return the set of the words of a line."""
    return frozenset(words.split())


STOP_WORDS = _words(
    "a about above after again against all also although am an and any are as at be because been "
    "before being below between both but by can could did do does doing down during each few for "
    "from further had has have having he her here hers him himself his how however i if in into is "
    "it its itself just may me might more most much must my no nor not now of off on once one only "
    "or other our ours out over own same she should since so some such than that the their theirs "
    "them then there these they this those through thus to too under until up upon us very was we "
    "were what when where which while who whom why will with within without would you your yours"
)
_PRONOUNS = _words("he she it they his her its their him them this these that those such here")
_CONNECTIVES = _words(
    "however but and or so also moreover furthermore thus therefore hence then nevertheless "
    "instead additionally besides finally meanwhile similarly consequently likewise otherwise "
    "yet still indeed again for"
)
_FIRST = _words("i me my mine myself")
_WE = _words("we our us ours")
_SECOND = _words("you your yours")

_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("quote", re.compile(r"[\"“”«»「]")),
    ("bracket", re.compile(r"[(\[]")),
    ("question", re.compile(r"[?？؟]")),
    ("exclaim", re.compile(r"[!！]")),
    ("colon_end", re.compile(r"[:;,]\Z")),
    ("stop_end", re.compile(r"[.!?…。！？｡؟۔।][\"'”’»)\]」』*_]{0,3}(?:\[\d{1,3}\])?\Z")),
    ("small_start", re.compile(r"[^\w]*[a-zß-öø-ÿ]")),
    ("item", re.compile(r"(?:[-*+•‣◦▪●>]+|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s")),
    ("definition", re.compile(r"\b(?:is|are|was|were) (?:a|an|the|one)\b")),
    (
        "purpose",
        re.compile(
            r"\bin this (?:paper|work|article|study|report|thesis)\b|\bwe (?:present|propose|"
            r"introduce|describe|show|study|develop|investigate|address|demonstrate|explore)\b|"
            r"\bthis (?:paper|work|article|study|report)\b|\bthe (?:aim|goal|purpose)\b",
        ),
    ),
    (
        "result",
        re.compile(
            r"\bresults?\b|\boutperform|\bstate[- ]of[- ]the[- ]art\b|\bshow(?:s|ed|n)? that\b|"
            r"\bfound that\b|\bachiev|\bimprov|\bconclu|\bdemonstrat|\bdecided\b|\bagreed\b",
        ),
    ),
    (
        "summing_up",
        re.compile(
            r"\bin (?:summary|conclusion|short)\b|\boverall\b|\bto sum up\b|\bthe main\b|"
            r"\bimportant|\bsignifican|\bkey\b|\bmajor\b",
        ),
    ),
    ("example", re.compile(r"\bfor (?:example|instance)\b|\be\.g\.|\bsuch as\b")),
    (
        "known_for",
        re.compile(r"\bknown\b|\bfamous|\bnotable\b|\bcalled\b|\bnamed\b"),
    ),
    ("extreme", re.compile(r"\b(?:first|largest|most|best|only|oldest|highest)\b")),
    (
        "said",
        re.compile(r"\b(?:said|says|told|according|stated|wrote|argued|asked)\b"),
    ),
    ("year", re.compile(r"\b(?:1[5-9]|20)\d\d\b")),
    ("money", re.compile(r"[$€£¥]\s?\d|\b(?:dollars|euros|pounds)\b")),
    ("percent", re.compile(r"\d\s?%|\bper ?cent\b")),
    ("link", re.compile(r"https?:|www\.|\w@\w")),
    ("citation", re.compile(r"\[\d{1,3}\]|\bet al\b|\((?:[^()]{0,40}, )?(?:19|20)\d\d[a-z]?\)")),
    (
        "figure",
        re.compile(r"\b(?:fig(?:ure)?|table|section|equation|chapter)\.? \d"),
    ),
    ("code", re.compile(r"[{}<>=\\|]|\w_\w|\w\(\)|;\Z")),
    ("request", re.compile(r"\b(?:must|should|need(?:s)? to|please|ask|want|would like)\b")),
    ("courtesy", re.compile(r"\W*(?:thanks?|hi|hello|dear|(?:best|kind) regards|cheers|i hope)\b")),
)

_ALONE = (
    *("words_log", "words", "short", "long", "capitals", "digits", "stop_words", "word_length"),
    *("symbols", "letters", "pronoun_start", "connective_start", "the_start", "first_person"),
    *("we", "second_person"),
    *(name for name, _ in _FORMS),
)
_PLACE = (
    *("position", "nearness", "index_log", "is_first", "is_second", "is_last", "end_nearness"),
    *("in_paragraph", "paragraph_first", "paragraph_last", "paragraph", "paragraph_nearness"),
    *("paragraph_size", "one_paragraph", "text_log", "text_words", "mean_words"),
)
_CENTRAL = (
    *("centroid", "degree", "rank", "like_first", "like_paragraph", "like_previous", "like_next"),
    *("like_half", "probability", "idf_mean", "idf_sum", "top_words", "top_mass", "repeated_pairs"),
    *("new_words", "name_1", "name_2", "name_3"),
)
_RELATIVE = ("centroid", "degree", "rank", "probability", "words", "top_mass", "idf_sum", "digits")
FEATURES: tuple[str, ...] = (*_ALONE, *_PLACE, *_CENTRAL, *(f"{name}_z" for name in _RELATIVE))


@dataclass(frozen=True)
class Table:
    """The sentences of one text as numbers.

    `dense` is [sentences, len(FEATURES)]. The words of all sentences without stop words are a flat
    sparse matrix: entry k says that sentence `rows[k]` holds the word in bucket `buckets[k]` with
    tf-idf `weights[k]`; each sentence's weights have Euclidean length 1 (or none).
    """

    dense: Floats
    rows: Ints
    buckets: Ints
    weights: Floats
    words: Ints

    def likeness(self, sentence: int) -> Floats:
        """Return the cosine [sentences] of every sentence with one of them."""
        vector = np.zeros(BUCKETS, np.float32)
        mine = self.rows == sentence
        vector[self.buckets[mine]] = self.weights[mine]
        return _rows_sum(self.rows, self.weights * vector[self.buckets], len(self.words))


def word_count(text: str) -> int:
    """Return how many words a text counts as.

    A word is a run without white space; a Chinese or Japanese character counts as a word of its
    own, and a run longer than 40 characters as one word for each eight.
    """
    return sum(map(_cost, _CHUNK.findall(text)))


def _cost(chunk: str) -> int:
    """Return how many words a run without white space counts as."""
    return 1 if len(chunk) <= _CHUNK_LIMIT else len(chunk) // _CHUNK_SHARE


def cut_to_words(text: str, limit: int) -> int:
    """Return where to cut a text so that `word_count` of what is before is at most `limit`."""
    count = 0
    at = 0
    for match in _CHUNK.finditer(text):
        cost = _cost(match[0])
        if count + cost > limit:
            return at if at else match.start() + _CHUNK_SHARE * limit
        count += cost
        at = match.end()
    return len(text)


@lru_cache(maxsize=1 << 16)
def bucket(word: str) -> int:
    """Return the hash bucket of a lower-case word, after cutting the commonest English endings."""
    for ending in ("'s", "’s", "ing", "ies", "ied", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % BUCKETS


def text_buckets(text: str) -> set[int]:
    """Return the hash buckets of the words of a text."""
    return {bucket(word.lower()) for word in _TOKEN.findall(text)}


class Reader:
    """Reads the sentences of one text, one at a time, and then relates them to each other."""

    def __init__(self, idf: Floats) -> None:
        self._idf = idf
        self._alone: list[list[float]] = []
        self._buckets: list[list[int]] = []
        self._names: list[list[int]] = []
        self._starts: list[int] = []
        self._words: list[int] = []

    def add(self, sentence: str, gap: str) -> None:
        """Read the next sentence; `gap` is what stands between it and the one before."""
        tokens = _TOKEN.findall(sentence)
        lower = [token.lower() for token in tokens]
        count = word_count(sentence)
        self._words.append(count)
        self._starts.append(gap.count("\n"))
        self._alone.append(_alone(sentence, tokens, lower, count))
        self._buckets.append([bucket(word) for word in lower if word not in STOP_WORDS])
        self._names.append(
            [
                bucket(low)
                for token, low in zip(tokens[1:], lower[1:], strict=True)
                if token[0].isupper()
            ]
        )

    def finish(self) -> Table:
        """Relate the sentences to the text; at least one must have been added."""
        count = len(self._words)
        lengths = np.array([len(row) for row in self._buckets], np.int64)
        flat = np.array([b for row in self._buckets for b in row], np.int64)
        owner = np.repeat(np.arange(count), lengths)
        rows, buckets, weights = _tf_idf(owner, flat, self._idf)
        words = np.array(self._words, np.int64)
        alone = np.array(self._alone, np.float32).reshape(count, len(_ALONE))
        paragraph = _paragraphs(self._starts)
        place = _place(paragraph, words)
        central = np.stack(
            [
                *_centrality(rows, buckets, weights, paragraph, count),
                *_wording(owner, flat, self._idf, count),
                *_naming(self._names, rows, buckets, count),
            ],
            axis=1,
        )
        together = np.concatenate([alone, place, central], axis=1)
        chosen = [FEATURES.index(name) for name in _RELATIVE]
        relative = _standard(together[:, chosen])
        dense = np.concatenate([together, relative], axis=1).astype(np.float32)
        return Table(dense, rows, buckets, weights, words)


def _alone(sentence: str, tokens: list[str], lower: list[str], count: int) -> list[float]:
    """Return the features of a sentence by itself, in the order of `_ALONE`."""
    many = max(1, len(tokens))
    first = lower[0] if lower else ""
    characters = sum(map(len, tokens))
    present = set(lower)
    head = sentence[:2000].lower()
    return [
        float(np.log1p(count)) / 4,
        min(count, 60) / 60,
        float(count < 7),
        float(count > 45),
        sum(token[0].isupper() for token in tokens[1:]) / many,
        sum(token[0].isdigit() for token in tokens) / many,
        sum(word in STOP_WORDS for word in lower) / many,
        characters / many / 10,
        1 - characters / max(1, len(sentence) - sentence.count(" ")),
        sum(token.isalpha() for token in tokens) / many,
        float(first in _PRONOUNS),
        float(first in _CONNECTIVES),
        float(first == "the"),
        float(not present.isdisjoint(_FIRST)),
        float(not present.isdisjoint(_WE)),
        float(not present.isdisjoint(_SECOND)),
        *(float(_found(name, form, head, sentence)) for name, form in _FORMS),
    ]


def _found(name: str, form: re.Pattern[str], head: str, sentence: str) -> bool:
    """Tell whether a form occurs: at the start, at the end or within the first characters."""
    if name in ("small_start", "item"):
        return form.match(sentence[:50]) is not None
    if name == "courtesy":
        return form.match(head) is not None
    if name in ("colon_end", "stop_end"):
        return form.search(sentence[-12:]) is not None
    return form.search(head) is not None


def _tf_idf(owner: Ints, flat: Ints, idf: Floats) -> tuple[Ints, Ints, Floats]:
    """Return rows, buckets and weights of the sentence-word matrix with rows of length 1."""
    keys, counts = np.unique(owner * BUCKETS + flat, return_counts=True)
    rows, buckets = keys // BUCKETS, keys % BUCKETS
    weights = ((1 + np.log(counts)) * idf[buckets]).astype(np.float32)
    squares = np.bincount(rows, weights**2)
    return rows, buckets, (weights / np.sqrt(squares[rows] + 1e-9)).astype(np.float32)


def _rows_sum(rows: Ints, values: Floats, count: int) -> Floats:
    """Return the sum of the values of each row, [count]."""
    return np.bincount(rows, values, minlength=count).astype(np.float32)


def _paragraphs(breaks: list[int]) -> Ints:
    """Return the paragraph number of each sentence from the line breaks before each.

    Blank lines part paragraphs; in a text without blank lines each line break does.
    """
    found = np.array(breaks, np.int64)
    found[0] = 0
    least = 2 if (found >= 2).any() else 1
    return np.cumsum(found >= least)


def _place(paragraph: Ints, words: Ints) -> Floats:
    """Return the features [sentences, len(_PLACE)] of where each sentence stands."""
    count = len(words)
    index = np.arange(count)
    sizes = np.bincount(paragraph)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    inside = index - starts[paragraph]
    size = sizes[paragraph]
    ones = np.ones(count)
    return np.stack(
        [
            index / max(1, count - 1),
            1 / (1 + index),
            np.log1p(np.minimum(index, 150)) / 5,
            index == 0,
            index == 1,
            index == count - 1,
            1 / (count - index),
            inside / size,
            inside == 0,
            inside == size - 1,
            paragraph / max(1, len(sizes) - 1),
            1 / (1 + paragraph),
            np.log1p(np.minimum(size, 20)) / 3,
            ones * (len(sizes) == 1),
            ones * np.log1p(min(count, 150)) / 5,
            ones * np.log1p(min(int(words.sum()), 3500)) / 8,
            ones * min(float(words.mean()), 60) / 30,
        ],
        axis=1,
    ).astype(np.float32)


def _centrality(
    rows: Ints, buckets: Ints, weights: Floats, paragraph: Ints, count: int
) -> list[Floats]:
    """Return how like each sentence is to the text, its paragraph, and its neighbours.

    `rank` is LexRank (Erkan and Radev 2004) on the cosines of all pairs: the power method needs
    only products with the sparse matrix and its transpose, so no pair is ever formed.
    """
    total = np.bincount(buckets, weights, minlength=BUCKETS).astype(np.float32)
    own = _rows_sum(rows, weights**2, count)
    sums = _rows_sum(rows, weights * total[buckets], count)
    centroid = sums / (np.linalg.norm(total) + 1e-9)
    degree = (sums - own) / max(1, count - 1)
    rank = _lexrank(rows, buckets, weights, sums, count)
    half = weights * (rows < (count + 1) // 2)
    start = np.bincount(buckets, half, minlength=BUCKETS).astype(np.float32)
    like_half = _rows_sum(rows, weights * start[buckets], count) / (np.linalg.norm(start) + 1e-9)
    first = np.zeros(BUCKETS, np.float32)
    first[buckets[rows == 0]] = weights[rows == 0]
    like_first = _rows_sum(rows, weights * first[buckets], count)
    like_first[0] = 0
    keys = paragraph[rows] * BUCKETS + buckets
    _, inverse = np.unique(keys, return_inverse=True)
    local = np.bincount(inverse, weights)
    like_paragraph = _rows_sum(
        rows, (weights * (local[inverse] - weights)).astype(np.float32), count
    )
    previous = _like_previous(rows, buckets, weights, count)
    following = np.concatenate([previous[1:], [0]]).astype(np.float32)
    return [
        centroid,
        degree * 5,
        rank,
        like_first,
        like_paragraph / np.maximum(1, np.bincount(paragraph)[paragraph] - 1).astype(np.float32),
        previous,
        following,
        like_half,
    ]


def _lexrank(rows: Ints, buckets: Ints, weights: Floats, sums: Floats, count: int) -> Floats:
    """Return the LexRank of each sentence times their number, at most 4, after ten rounds."""
    rank = np.full(count, 1.0, np.float32)
    for _ in range(10):
        share = rank / (sums + 1e-6)
        spread = np.bincount(buckets, weights * share[rows], minlength=BUCKETS)
        got = _rows_sum(rows, (weights * spread[buckets]).astype(np.float32), count)
        rank = (0.15 + 0.85 * got).astype(np.float32)
    return np.minimum(rank, 4.0)


def _like_previous(rows: Ints, buckets: Ints, weights: Floats, count: int) -> Floats:
    """Return the cosine of each sentence with the one before it, [count]; rows are sorted."""
    keys = rows * BUCKETS + buckets
    wanted = keys - BUCKETS
    at = np.searchsorted(keys, wanted)
    at = np.minimum(at, max(0, len(keys) - 1))
    same = keys[at] == wanted if len(keys) else np.zeros(0, bool)
    return _rows_sum(rows, np.where(same, weights * weights[at], 0).astype(np.float32), count)


def _wording(owner: Ints, flat: Ints, idf: Floats, count: int) -> list[Floats]:
    """Return how frequent, rare, repeated and new the words of each sentence are in the text."""
    lengths = np.maximum(1, np.bincount(owner, minlength=count)).astype(np.float32)
    frequency = np.bincount(flat, minlength=BUCKETS).astype(np.float32)
    mass = frequency * idf
    probability = _rows_sum(owner, np.log1p(frequency[flat]), count) / lengths
    mean = _rows_sum(owner, idf[flat], count) / lengths
    many = min(12, int((mass > 0).sum()))
    best = np.argsort(-mass, kind="stable")[:many]
    top = np.zeros(BUCKETS, np.float32)
    top[best] = mass[best] / (mass[best].sum() + 1e-9)
    _, first_seen = np.unique(flat, return_index=True)
    new = np.zeros(len(flat), np.float32)
    new[first_seen] = 1
    rows, buckets = _distinct(owner, flat)
    pairs = flat[:-1] * BUCKETS + flat[1:]
    kept = owner[:-1] == owner[1:]
    _, inverse, counts = np.unique(pairs[kept], return_inverse=True, return_counts=True)
    again = (counts[inverse] > 1).astype(np.float32)
    return [
        probability,
        mean / 8,
        np.log1p(mean * lengths) / 5,
        _rows_sum(rows, (top[buckets] > 0).astype(np.float32), count) / max(1, many),
        _rows_sum(rows, top[buckets], count),
        _rows_sum(owner[:-1][kept], again, count) / lengths,
        _rows_sum(owner, new, count) / lengths,
    ]


def _distinct(owner: Ints, flat: Ints) -> tuple[Ints, Ints]:
    """Return each pair of sentence and word once."""
    keys = np.unique(owner * BUCKETS + flat)
    return keys // BUCKETS, keys % BUCKETS


def _naming(names: list[list[int]], rows: Ints, buckets: Ints, count: int) -> list[Floats]:
    """Return whether each sentence holds the first, second and third commonest name of the text.

    A name is a word with a capital letter that does not start its sentence: with no title at
    hand, the commonest names stand for what the text is about.
    """
    flat = np.array([name for row in names for name in row], np.int64)
    frequency = np.bincount(flat, minlength=BUCKETS)
    found = []
    for name in np.argsort(-frequency, kind="stable")[:3]:
        hit = (buckets == name) & (frequency[name] > 1)
        found.append(np.minimum(1, _rows_sum(rows, hit.astype(np.float32), count)))
    return found


def _standard(values: Floats) -> Floats:
    """Return each column with mean 0 and deviation 1 within the text, clipped to [-4, 4]."""
    spread = values.std(axis=0) + 1e-3
    standard: Floats = np.clip((values - values.mean(axis=0)) / spread, -4, 4).astype(np.float32)
    return standard
