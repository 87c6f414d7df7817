import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproc.engine.models.extractive import ExtractiveSummarizer, Step
from wsproc.engine.models.sentence_features import word_count

WEIGHTS = Path(__file__).parents[3] / "wsproc" / "weights" / "summary"
MODEL = ExtractiveSummarizer.from_pretrained(WEIGHTS)

NEWS = (
    "The city council voted on Tuesday to close the old harbour bridge for two years from next "
    "spring. Engineers found in March that three of its eleven pillars had moved by up to nine "
    "centimetres. Repairs will cost 48 million euros, of which the state pays half. \n\n"
    "Ferry services will run every ten minutes during rush hours while the bridge is closed. "
    'Shop owners on both banks fear for their trade. "We were told nothing," said Maria Lund, '
    "who runs a bakery near the bridge. The council promised to meet the owners in May. "
    "The bridge was opened in 1931 and carries 22,000 cars a day. It was last repaired in 1988."
)
WORDS = st.sampled_from(
    [
        *("the", "a", "cat", "Dog", "runs", "Paris", "2019", "3.5", "said", "However", "it", "🎉"),
        *("今日", "مرحبا", "x_y()", "...", "\n", "\n\n", ".", "!", "-", "Mr."),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(WORDS, max_size=200).map(" ".join),
    st.lists(st.sampled_from(NEWS.split(". ")), max_size=40).map(". ".join),
)
LIMITS = st.tuples(st.integers(1, 60), st.integers(0, 200)).map(lambda x: (x[0], x[0] + x[1]))


def flat(text):
    """Return the text with single spaces for white space."""
    return " ".join(text.split())


@settings(deadline=None)
@given(TEXTS)
def test_every_sentence_is_in_the_text(text):
    """The summary is exactly the text under its spans, white space normalised."""
    summary = MODEL.summarize(text)
    assert summary.text == " ".join(flat(text[start:end]) for start, end in summary.spans)


@settings(deadline=None)
@given(TEXTS)
def test_order_of_the_text_is_kept(text):
    """Spans are ordered, disjoint, inside the text and not blank."""
    places = [place for span in MODEL.summarize(text).spans for place in span]
    assert places == sorted(places)
    assert all(text[start:end].strip() for start, end in MODEL.summarize(text).spans)
    assert not places or (places[0] >= 0 and places[-1] <= len(text))


@settings(deadline=None)
@given(TEXTS)
def test_summary_is_never_longer_than_the_text(text):
    """A summary has at most the characters and the words of its text, and exists if that does."""
    summary = MODEL.summarize(text)
    assert len(summary.text) <= len(flat(text))
    assert word_count(summary.text) <= word_count(text)
    assert bool(summary.text) == bool(text.strip())


@settings(deadline=None)
@given(TEXTS, LIMITS)
def test_word_limits_are_kept(text, limits):
    """The upper limit always holds, by the plain count of words too."""
    least, most = limits
    summary = MODEL.summarize(text, least, most)
    assert word_count(summary.text) <= most
    assert len(summary.text.split()) <= most


@settings(deadline=None)
@given(TEXTS, st.integers(1, 4))
def test_sentence_limit_is_kept(text, most):
    """No more than the given number of sentences is chosen."""
    assert len(MODEL.summarize(text, max_sentences=most).spans) <= most


@settings(deadline=None)
@given(TEXTS)
def test_steps_tell_the_same_as_summarize(text):
    """The deltas of the steps together are the summary's text, their spans its spans."""
    steps = list(MODEL.steps(text))
    summary = MODEL.summarize(text)
    assert "".join(step.delta for step in steps) == summary.text
    assert tuple(step.span for step in steps if step.span) == summary.spans
    assert all(bool(step.delta) == (step.span is not None) for step in steps)


@settings(deadline=None)
@given(TEXTS)
def test_scores_are_finite(text):
    """Each sentence has one score, and it is a number."""
    spans, scores = MODEL.score(text)
    assert len(spans) == len(scores)
    assert all(abs(score) < 1e6 for score in scores)


def test_default_length():
    """Without limits a long text gets between 30 and 130 words, whole sentences."""
    summary = MODEL.summarize(NEWS * 3)
    assert 30 <= word_count(summary.text) <= 130
    assert not summary.truncated


def test_least_words_are_reached_where_sentences_allow():
    """A gap that the greedy choice leaves is filled by another choice within the limits."""
    for least in range(20, 100, 5):
        assert least <= word_count(MODEL.summarize(NEWS, least, least + 15).text) <= least + 15


def test_repeated_sentences_are_chosen_once():
    """The same sentence ten times is one sentence of the summary."""
    text = "The council voted to close the old harbour bridge for two years. " * 10
    assert len(MODEL.summarize(text).spans) == 1


def test_headings_and_greetings_are_left_out():
    """Lines that are no sentences are not chosen beside full sentences."""
    summary = MODEL.summarize(f"Harbour News\n\nHi all,\n\n{NEWS}\n\nBest regards,\nTom")
    for line in ("Harbour News", "Hi all", "Best regards"):
        assert line not in summary.text


def test_lead_of_a_news_text_is_chosen():
    """The opening sentence of a news text, which sums it up, is in the summary."""
    assert MODEL.summarize(NEWS).text.startswith("The city council voted")


def test_overlong_sentence_is_cut_at_a_word_and_flagged():
    """Five thousand characters without a full stop give their first words, marked as truncated."""
    text = "words without any full stop " * 180
    summary = MODEL.summarize(text)
    assert summary.truncated
    assert text.startswith(summary.text)
    assert text[len(summary.text)] == " "
    assert word_count(summary.text) == MODEL.config.max_words


@pytest.mark.parametrize("limit", [1, 5, 17])
def test_run_without_space_is_cut_inside(limit):
    """Where there is no word boundary at all, the cut is at a code point and still flagged."""
    summary = MODEL.summarize("x" * 5000, max_words=limit)
    assert summary.truncated
    assert summary.text == "x" * 8 * limit


@pytest.mark.parametrize(
    "text",
    [
        *(
            "🎉" * 5000,
            "👩‍👩‍👧 " * 1000,
            "مرحبا بالعالم. " * 300,
            "今日は晴れ。" * 800,
            "1 2 3 4.5 " * 500,
        ),
        *("def f(x):\n    return {x: 1}\n" * 200, "spam " * 1000, "Spam. " * 800, "\n- item" * 700),
        *("?!" * 2500, "a" * 5000, "\u200b" * 5000, "0", ".", "Ünï. " * 500, "\ud800 lone. " * 100),
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_strange_texts_give_a_short_summary(text):
    """Whatever the text is, something of it comes back, within the default length."""
    summary = MODEL.summarize(text)
    assert summary.text
    assert word_count(summary.text) <= MODEL.config.max_words


@pytest.mark.parametrize("text", ["", " \n\t\n "])
def test_nothing_gives_an_empty_summary(text):
    """A blank text has an empty summary."""
    assert MODEL.summarize(text).text == ""
    assert MODEL.summarize(text).spans == ()
    assert MODEL.score(text)[0] == []


@pytest.mark.parametrize(
    "limits",
    [{"max_words": 0}, {"min_words": -1}, {"min_words": 9, "max_words": 8}, {"max_sentences": 0}],
)
def test_impossible_limits_are_refused(limits):
    """Limits that no summary can keep raise ValueError, before any work."""
    with pytest.raises(ValueError, match=r"must|more"):
        MODEL.summarize(NEWS, **limits)


def test_work_comes_in_small_pieces():
    """No step of a text of a hundred thousand characters takes long, so a caller can interrupt."""
    text = NEWS * 140
    longest, before, steps = 0.0, time.perf_counter(), 0
    for step in MODEL.steps(text):
        now = time.perf_counter()
        longest, before, steps = max(longest, now - before), now, steps + 1
        assert isinstance(step, Step)
    assert steps > 20
    assert longest < 1


@pytest.mark.parametrize(
    "text", [NEWS * 140, "Ab. " * 25_000, "ab " * 33_000, "a\n" * 50_000, "Ab cd ef.\n\n" * 9000]
)
def test_long_texts_take_seconds_at_most(text):
    """A hundred thousand characters of anything take a few seconds at most."""
    begin = time.perf_counter()
    MODEL.summarize(text)
    assert time.perf_counter() - begin < 10


def test_other_weights_are_refused(tmp_path):
    """A folder with another model, or for other features, raises ValueError."""
    (tmp_path / "config.json").write_text('{"model_type": "bert", "features": []}')
    with pytest.raises(ValueError, match="wsproc-extractive"):
        ExtractiveSummarizer.from_pretrained(tmp_path)
