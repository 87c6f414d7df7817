import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproc.engine.models.sentence_features import (
    BUCKETS,
    FEATURES,
    Reader,
    bucket,
    cut_to_words,
    text_buckets,
    word_count,
)

IDF = np.full(BUCKETS, 2.0, np.float32)
SENTENCES = st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=12)


def table(sentences, gap=" "):
    """Read the sentences as one text."""
    reader = Reader(IDF)
    for sentence in sentences:
        reader.add(sentence, gap)
    return reader.finish()


def column(name, sentences, gap=" "):
    """Return one feature of the sentences of a text."""
    return table(sentences, gap).dense[:, FEATURES.index(name)]


@settings(deadline=None)
@given(SENTENCES)
def test_features_are_finite_numbers_of_moderate_size(sentences):
    """Every sentence has every feature, whatever it consists of."""
    dense = table(sentences).dense
    assert dense.shape == (len(sentences), len(FEATURES))
    assert dense.dtype == np.float32
    assert np.abs(dense).max() < 50


@settings(deadline=None)
@given(SENTENCES)
def test_likeness_is_a_cosine(sentences):
    """Likeness lies between 0 and 1, and is 1 to itself unless a sentence has no words."""
    found = table(sentences)
    for index in range(len(sentences)):
        likeness = found.likeness(index)
        assert likeness.min() >= 0
        assert likeness.max() <= 1.001
        assert likeness[index] == pytest.approx(1, abs=1e-3) or not (found.rows == index).any()


def test_feature_names_are_unique():
    """A name says which column is meant."""
    assert len(set(FEATURES)) == len(FEATURES)


def test_central_sentence_is_most_central():
    """The sentence that shares words with all others has the highest rank."""
    text = ["Cats chase mice.", "Mice eat cheese and fear cats.", "Cheese smells.", "Rain fell."]
    assert column("rank", text).argmax() == 1
    assert column("centroid", text).argmax() == 1


def test_place_in_text_and_paragraph():
    """The first sentence is first of the text; blank lines start paragraphs."""
    text = ["One.", "Two.", "Three."]
    assert column("is_first", text).tolist() == [1, 0, 0]
    assert column("paragraph_first", text).tolist() == [1, 0, 0]
    assert column("paragraph_first", text, "\n\n").tolist() == [1, 1, 1]
    assert column("one_paragraph", text).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("It was late.", "pronoun_start"),
        ("However, we left.", "connective_start"),
        ("- an item", "item"),
        ("Thanks a lot!", "courtesy"),
        ("and so on", "small_start"),
        ("A lion is a cat.", "definition"),
        ("It rose by 5 %.", "percent"),
        ("See https://example.com now.", "link"),
        ("Please pay.", "request"),
    ],
)
def test_forms(sentence, name):
    """A form is seen where it occurs and not in a plain sentence."""
    assert column(name, [sentence, "The cat slept."]).tolist() == [1, 0]


def test_bucket_ignores_common_endings():
    """Forms of a word share a bucket."""
    assert bucket("walks") == bucket("walked") == bucket("walking") == bucket("walk")
    assert text_buckets("Walks WALK") == {bucket("walk")}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("one two\nthree", 3),
        ("今日は", 3),
        ("x" * 40, 1),
        ("x" * 80, 10),
        ("well-known", 1),
    ],
)
def test_word_count(text, count):
    """Runs without white space are words, but ideographs and overlong runs count for more."""
    assert word_count(text) == count


@given(st.text(max_size=200), st.integers(1, 50))
def test_cut_keeps_the_limit(text, limit):
    """What `cut_to_words` keeps is a start of the text within the limit, and all of a short one."""
    kept = text[: cut_to_words(text, limit)]
    assert word_count(kept) <= limit
    if word_count(text) <= limit:
        assert kept == text
