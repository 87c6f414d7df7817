# ruff: noqa: RUF001 - the marks of many scripts are meant
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproc.engine.sentences import sentence_spans

PIECES = [
    *("Hello world", "Mr.", "Dr. J. K. Rowling", "U.S.", "e.g.", "3.14", "...", "…", "?!", "!"),
    *(". ", ".", " ", "\n", "\n\n", "\r\n", "\t", '"', "”", ")", "[1]", "- ", "1. ", "# ", "The"),
    *(
        "。",
        "「",
        "」",
        "今日は",
        "🎉",
        "👩‍👩‍👧",
        "مرحبا؟ ",
        "\u2028",
        "\u00a0",
        "\u200b",
        "x",
        "*",
        "a.b",
    ),
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))


def sentences(text):
    """Return the sentences themselves."""
    return [text[start:end] for start, end in sentence_spans(text)]


@given(TEXTS)
def test_spans_are_ordered_and_disjoint(text):
    """Spans come in the order of the text, none empty, none reaching into the next."""
    ends = [place for span in sentence_spans(text) for place in span]
    assert ends == sorted(ends)
    assert all(start < end for start, end in sentence_spans(text))


@given(TEXTS)
def test_spans_are_trimmed(text):
    """A sentence neither starts nor ends with white space, so it is never blank."""
    assert all(sentence == sentence.strip() != "" for sentence in sentences(text))


@given(TEXTS)
def test_spans_cover_all_characters(text):
    """What lies outside the spans is white space only."""
    inside = {place for start, end in sentence_spans(text) for place in range(start, end)}
    assert all(text[place].isspace() for place in range(len(text)) if place not in inside)


@given(st.text(alphabet=st.characters(categories=["Ll", "Zs"]), min_size=1))
def test_text_without_punctuation_is_one_sentence(text):
    """Words without marks and line breaks are one sentence, unless there are no words."""
    assert len(sentence_spans(text)) == (1 if text.strip() else 0)


@given(TEXTS, TEXTS)
def test_blank_line_always_ends_a_sentence(first, second):
    """No sentence reaches over a blank line: the parts are segmented as if each were alone."""
    joined = f"{first}\n\n{second}"
    expected = sentences(first) + sentences(second)
    if first.endswith("\r") or second.startswith("\n"):
        return
    assert sentences(joined) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("One. Two.", ["One.", "Two."]),
        ("No full stop", ["No full stop"]),
        ("Mr. Smith met Dr. Jones. They spoke.", ["Mr. Smith met Dr. Jones.", "They spoke."]),
        ("J. K. Rowling wrote it. J.R.R. Tolkien did not.", None),
        ("He moved to the U.S. in May. She stayed.", None),
        ("The U.S. Army came. It left.", None),
        ("He lives in the U.S. She does not.", ["He lives in the U.S.", "She does not."]),
        ("Use fruit, e.g. Apples, i.e. Pomes. Then stop.", None),
        ("Apple Inc. Chairman Levinson spoke. He left.", None),
        ("It belongs to Apple Inc. The firm is big.", None),
        ("On Jan. 5 it rained. On Feb. 6 it snowed.", None),
        ("See Fig. 3 and No. 7. They are good.", None),
        ("Did he say no. Yes he did.", ["Did he say no.", "Yes he did."]),
        (
            "Pi is 3.14 or so. It costs $2.50. Good.",
            ["Pi is 3.14 or so.", "It costs $2.50.", "Good."],
        ),
        ("Well... maybe. Well... Maybe.", ["Well... maybe.", "Well...", "Maybe."]),
        ("Wait . . . what? Yes.", ["Wait . . . what?", "Yes."]),
        ("Wait… No.", ["Wait…", "No."]),
        ('"Stop!" he cried. "Why?" She ran.', ['"Stop!" he cried.', '"Why?"', "She ran."]),
        ("(It was late.) We left.", ["(It was late.)", "We left."]),
        ("“Go.” Then he left.", ["“Go.”", "Then he left."]),
        ("Really?! Yes! OK.", ["Really?!", "Yes!", "OK."]),
        ("It ended.[1] It began.[12]", ["It ended.[1]", "It began.[12]"]),
        ("Visit example.com today. Thanks.", ["Visit example.com today.", "Thanks."]),
        ("今日は晴れ。明日は雨！はい。", ["今日は晴れ。", "明日は雨！", "はい。"]),
        ("「はい。」と言った。", ["「はい。」", "と言った。"]),
        ("मैं घर गया। वह आया।", ["मैं घर गया।", "वह आया।"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("it came. it broke! help?", ["it came.", "it broke!", "help?"]),
        ("Come at 5 p.m. Boxes stand there at 6 a.m. Monday.", None),
        ("Title\n\nBody text", ["Title", "Body text"]),
        ("- one\n- two", ["- one", "- two"]),
        ("1. First. More.\n2. Second.", ["1. First.", "More.", "2. Second."]),
        ("# Head\nbody goes on", ["# Head", "body goes on"]),
        ("Summary\nWe met on Monday.", ["Summary", "We met on Monday."]),
        ("line one\r\n\r\nline two", ["line one", "line two"]),
    ],
)
def test_examples(text, expected):
    """The rules by example; without a list, the text is two sentences that part at its middle."""
    if expected is None:
        assert len(sentences(text)) == 2
        assert " ".join(sentences(text)) == text
    else:
        assert sentences(text) == expected


def test_hard_wrapped_lines_are_joined():
    """A break where the next word would not have fitted belongs to the wrapping, not the text."""
    text = (
        "The committee met on Tuesday evening and spoke for three hours about the new\n"
        "Museum in the old harbour. Nobody objected. The mayor closed the meeting with\n"
        "thanks to everybody.\n"
    )
    assert len(sentence_spans(text)) == 3


@pytest.mark.parametrize(
    "text",
    [
        *(
            "." * 100_000,
            ". " * 50_000,
            " " * 100_000,
            '."' * 50_000,
            "(" * 100_000,
            ". " + "(" * 99_998,
        ),
        *(
            "a." * 50_000,
            "Ab. " * 25_000,
            "\n" * 100_000,
            "a\n" * 50_000,
            "1. " * 33_000,
            "-" * 100_000,
        ),
        *(
            "。" * 100_000,
            ".[1" * 33_000,
            "Ab J. " * 16_000,
            "x" + " " * 99_998 + "x",
            ("." + " " * 999) * 100,
        ),
        *("*" * 100_000, "\r" * 100_000, "no 1. " * 16_000, "?! " * 33_000, "x" * 100_000),
    ],
    ids=lambda text: repr(text[:8]),
)
def test_time_is_linear(text):
    """A hundred thousand characters of anything take well under two seconds."""
    begin = time.perf_counter()
    sentence_spans(text)
    assert time.perf_counter() - begin < 2


@settings(max_examples=20)
@given(TEXTS)
def test_same_text_gives_same_spans(text):
    """The segmenter keeps no state."""
    assert sentence_spans(text) == sentence_spans(text)
