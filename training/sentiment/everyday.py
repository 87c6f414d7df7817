"""Made-up everyday sentences with known sentiment: plain facts, plain opinions, plain negations.

The corpora are tweets, forum talk and reviews; a fact such as the hour of a train hardly occurs in
them. The sentences come from word lists below and from the lexicons' rated adjectives.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from training.sentiment.teacher import Floats

Labelled = tuple[str, Floats]


def _words(text: str) -> list[str]:
    return text.split()


def _phrases(text: str) -> list[str]:
    return text.split("|")


_THINGS = _words(
    "room hotel food meal coffee pizza breakfast dinner restaurant cafe driver nurse teacher "
    "doctor manager clerk shop bed bathroom kitchen view flat house neighbour street weather "
    "trip journey tour guide concert play book story ending plot actor song album game match "
    "lesson course class exam job office boss colleague website app screen camera keyboard "
    "printer laptop tablet charger bike car engine seat delivery package parcel box support "
    "answer reply advice price quality music party wedding holiday beach pool park garden team "
    "speech report idea plan decision"
)
_PLACES = _phrases(
    "in the hall|at the station|on the first floor|near the market|in London|at the town hall|by "
    "the river|next to the library|in the north of the country|at the end of the street|in room "
    "twelve|behind the school|on the left|in Spain|across the road|at gate seven|in the main "
    "building"
)
_TIMES = _phrases(
    "at eight|at noon|on Monday|on Friday afternoon|in April|next week|every hour|at half past "
    "six|in 1987|tomorrow|twice a year|every day|during the winter|in the evening|since 2005|at "
    "ten"
)
_FACTS = _phrases(
    "The {agent} will {act} {time}.|The {agent} {acts} {time} {place}.|The {thing} is "
    "{place}.|There are {number} {many} {place}.|The {agent} said it would {act} {time}.|It is "
    "about {number} kilometres long.|He {lived} {place} {time}.|She {lived} {place}.|They "
    "{lived} {place} for {number} years.|The {thing} has {number} {many}.|You can find the "
    "{thing} {place}.|The {thing} costs {number} euros.|I went to the {thing} {time}.|We will "
    "talk about the {thing} {time}.|The {many} are {place}.|Please put the {many} {place}.|The "
    "{thing} opens {time}.|Does the {thing} open {time}?|Where are the {many}?|I am writing "
    "about the {thing}.|The {agent} has {number} members.|Add {number} spoons of sugar and "
    "stir.|My sister works {place}.|The {thing} was built {time}.|Press the button to open the "
    "{thing}."
)
_SLOTS = {
    "agent": _words(
        "council group ministry company board court bank school ferry bus tram ship committee "
        "agency union band government orchestra"
    ),
    "act": _phrases("meet|start|return|move|vote|publish the figures|open a branch|arrive|leave"),
    "acts": _phrases("meets|starts|returns|arrives|leaves|stops|departs"),
    "many": _words("rooms chairs pages cars tables windows seats members doors copies boxes"),
    "number": _words("two three four five six eight ten twelve fifteen twenty thirty 40 50 75 120"),
    "lived": _phrases("lived|worked|studied|stayed|was born|taught history|grew up"),
    "place": _PLACES,
    "time": _TIMES,
    "thing": _THINGS,
}
_SUPERB = _words(
    "excellent wonderful fantastic amazing superb perfect lovely brilliant great delicious"
)
_DIRE = _words("terrible awful horrible useless disgusting dreadful rude broken filthy pathetic")
_PLAIN = np.array([0.04, 0.92, 0.04])
_GOOD = np.array([0.03, 0.07, 0.90])
_OPINIONS = _phrases(
    "The {thing} was {word}.|The {thing} is {word}.|The {thing} was {word} and the {thing2} was "
    "{word2}.|What a {word} {thing}!|I think the {thing} is {word}.|It was {word}, really "
    "{word2}.|We found the {thing} very {word}.|Such a {word} {thing}.|{word}|So {word}!|The "
    "{thing} was so {word} and {word2}|I am {word} about the {thing}.|My {thing} is "
    "{word}|really {word} {thing}|"
    "I have never seen such a {word} {thing}.|Never had a {thing} this {word}."
)
_TURNED = _phrases(
    "The {thing} was not {word}.|It isn't {word}.|not {word} at all|The {thing} wasn't {word} at "
    "all.|I don't think the {thing} is {word}.|Not very {word}.|This is not {word}.|not {word}|"
    "Not {word} at all.|There is nothing {word} about the {thing}."
)
_PRAISE = _phrases(
    "I could not be more pleased with the {thing}.|The {thing} couldn't be better.|I can't fault "
    "the {thing}.|No complaints about the {thing}.|Nothing wrong with the {thing}.|I would "
    "recommend the {thing} to everyone.|The {thing} never let us down.|I cannot praise the {thing} "
    "enough.|"
    "You can't go wrong with this {thing}.|Never had a problem with the {thing}."
)
_BLAME = _phrases(
    "I would not buy this {thing} again.|I cannot recommend the {thing}.|Do not buy this "
    "{thing}.|The {thing} does not work.|I would never recommend this {thing}.|The {thing} could "
    "not be worse.|Nobody helped us with the {thing}.|The {thing} was not worth the money.|I "
    "will never use this {thing} again.|The {thing} stopped working after a week.|I want my "
    "money back for the {thing}.|Nothing about the {thing} was right.|The {thing} was cancelled "
    "again.|I regret this {thing}."
)


def sentences(good: Sequence[str], bad: Sequence[str], rng: random.Random) -> list[Labelled]:
    """Return sentences and their targets, from rated adjectives `good` and `bad`."""
    found = [(_fill(rng.choice(_FACTS), rng), _PLAIN) for _ in range(3500)]
    for words, target, turned in (
        ([*good, *_SUPERB], _GOOD, np.array([0.80, 0.15, 0.05])),
        ([*bad, "bad", "bad", *_DIRE], _GOOD[::-1], np.array([0.10, 0.32, 0.58])),
    ):
        found += [(_fill(rng.choice(_OPINIONS), rng, words), target) for _ in range(2000)]
        found += [(_fill(rng.choice(_TURNED), rng, words), turned) for _ in range(1800)]
    found += [(_fill(rng.choice(_PRAISE), rng), _GOOD) for _ in range(500)]
    return found + [(_fill(rng.choice(_BLAME), rng), _GOOD[::-1]) for _ in range(500)]


def _fill(frame: str, rng: random.Random, words: Sequence[str] = ("",)) -> str:
    choices = {slot: rng.choice(options) for slot, options in _SLOTS.items()}
    two = {"word": rng.choice(words), "word2": rng.choice(words), "thing2": rng.choice(_THINGS)}
    return frame.format(**choices, **two)
