"""One label scheme for all corpora: OntoNotes-like names, decided by source label and span text."""

from __future__ import annotations

from training.entities.gazetteer import (
    COUNTRIES,
    FACILITY_WORDS,
    NATURE_WORDS,
    PEOPLES,
    REGIONS,
    STATES,
)

LEARNED = (
    "PERSON", "ORG", "GPE", "LOC", "FAC", "NORP", "EVENT", "WORK_OF_ART", "PRODUCT",
)  # fmt: skip
"""The labels of the statistical component; dates, numbers and amounts are left to the rules."""

COARSE = {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC"}
"""Our labels as the three classes that the test sets share; other labels are not compared."""

_COMPASS = frozenset(("North", "South", "East", "West", "Latin", "Central"))
_PLACE = "place"
_MISC = "misc"

_BY_SOURCE = {
    _PLACE: "LOC LOC. geo location country",
    "PERSON": "PER per person politician writer scientist researcher musicalartist",
    "ORG": "ORG org organisation politicalparty band university magazine corporation group",
    "NORP": "gpe",
    "EVENT": "eve event election conference",
    "WORK_OF_ART": "art album song book poem award creative-work academicjournal",
    "PRODUCT": "product programlang",
    _MISC: "misc astronomicalobject",
}
_CLASS_OF = {source: ours for ours, sources in _BY_SOURCE.items() for source in sources.split()}


TITLES = frozenset(
    """mr mrs ms miss dr president prime minister foreign defense defence interior finance
    vice secretary state general senator sen rep premier chancellor governor judge justice
    colonel captain major lieutenant ambassador spokesman spokeswoman chairman professor
    prof director leader envoy attorney deputy former commander chief rev minister-elect
    congressman congresswoman sergeant gen col lt mayor candidate""".split()
)
"""Words before a name that GMB and BTC count as part of it and the other corpora do not."""


def normalise(source: str, text: str) -> str | None:
    """Return our label of a span that a corpus labels `source`, or None if it is none of ours.

    The span's text decides where the corpora differ: adjectives of nationality are NORP in all of
    them, names of countries GPE, rivers and the like LOC, buildings and streets FAC.
    """
    ours = _CLASS_OF.get(source)
    if ours in (None, "PERSON"):
        return ours
    if _is_people(text):
        return "NORP"
    if source in ("art", "eve") and " " not in text:
        return None
    if ours == _MISC:
        return "LOC" if source == "astronomicalobject" else None
    if ours in (_PLACE, "ORG", "NORP"):
        if text.lower() in COUNTRIES:
            return "GPE"
        if text.lower() in REGIONS:
            return "LOC"
    if ours == _PLACE:
        return place(text)
    return "GPE" if ours == "NORP" and text.lower() in STATES else ours


def _is_people(text: str) -> bool:
    """Say whether the text is an adjective or noun of nationality, faith or party."""
    if text.isupper() and len(text) > 3:
        text = text.title()
    first, _, rest = text.partition(" ")
    return text in PEOPLES or (first in _COMPASS and rest in PEOPLES)


def trimmed(source: str, words: list[str]) -> int:
    """Return how many leading words of a span are articles or titles, not part of the name."""
    skip = 0
    if source in ("per", "PER"):
        while skip < len(words) and words[skip].lower().strip(".") in TITLES:
            skip += 1
    elif words[0] == "the" and len(words) > 1:
        skip = 1
    return skip


def place(text: str) -> str:
    """Return GPE, LOC or FAC for the name of a place."""
    words = text.lower().split()
    if text.lower() in REGIONS or words[0] in ("lake", "mount", "cape", "gulf", "strait", "river"):
        return "LOC"
    if words[-1] in FACILITY_WORDS and len(words) > 1:
        return "FAC"
    if words[-1] in NATURE_WORDS and len(words) > 1:
        return "LOC"
    if words[0] in ("northern", "southern", "eastern", "western", "central") and len(words) > 1:
        return "LOC"
    return "GPE"
