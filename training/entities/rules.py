"""Token patterns for dates, times, amounts and numbers, in the form of spaCy's `entity_ruler`.

Two rulers stand around the statistical component. What can hardly be anything else (amounts of
money, percentages, clock times, dates with a month) is marked before it; what may be a part of a
name ("Apollo 11", "Sunday Times", "First World War") is marked after it, where nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.entities.gazetteer import CITIES, COMPANIES, COUNTRIES, ONLY_CAPITALISED, STATES

Token = dict[str, Any]
Pattern = list[Token]

# The matcher asks every predicate (REGEX, IN) that can begin a pattern about every token, in
# Python: most of its time. Patterns therefore begin with flags or plain values where they can, and
# otherwise share a few predicates.


def _in(words: str) -> Token:
    return {"LOWER": {"IN": words.split()}}


def _is(word: str) -> Token:
    return {"LOWER": word}


def _re(regex: str, attribute: str = "TEXT") -> Token:
    return {attribute: {"REGEX": f"^(?:{regex})$"}}


def _maybe(token: Token) -> Token:
    return {**token, "OP": "?"}


_NAMED_MONTHS = (
    "January February March April May June July August September October November December"
)
_SHORT_MONTHS = "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"
_MONTHS = [
    spelling
    for month in f"{_NAMED_MONTHS} {_SHORT_MONTHS}".split()
    for spelling in (month, month.upper(), month + ".")
]
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
    " thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)

NUMBER = {"LIKE_NUM": True}
NUMBERS = {"LIKE_NUM": True, "OP": "+"}
AMOUNT = _re(r"\d+(?:,\d{3})*(?:\.\d+)?(?:k|m|mn|bn|tn|b)?", "LOWER")
_INSIDE = 1
"""The IOB code of a token that continues an entity."""
SCALE = _maybe(_in("hundred thousand million billion trillion m mn bn tn k"))
DASH = _in("- – — to and")
MONTH = {"TEXT": {"IN": _MONTHS}}
YEAR = _re(r"1[0-9]\d\d|20\d\d")
WEEKDAY = {"TEXT": {"IN": _WEEKDAYS + [day + "s" for day in _WEEKDAYS]}}
_DAY = _re(r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?", "LOWER")
_NTH = _re(rf"\d+(?:st|nd|rd|th)|{_ORDINALS.replace(' ', '|')}", "LOWER")
_COMMA = _maybe({"TEXT": ","})
_HYPHEN = _maybe({"TEXT": "-"})
_OF = _maybe(_is("of"))
_SIGNS = ({"IS_CURRENCY": True}, _re(r"(?:US|C|A|NZ|HK|S|R)[$€£¥]|Rs\.?|USD|EUR|GBP"))
_CURRENCY = _in(
    "dollar dollars euro euros cent cents yen yuan rupee rupees ruble rubles rouble roubles"
    " peso pesos franc francs kronor kroner krona krone won dinar dinars riyal riyals shekel"
    " shekels baht rand lira lire usd eur gbp sterling bucks pence"
)
_CURRENCY_OF = _in(
    "u.s. us american canadian australian hong kong swiss french swedish norwegian danish indian"
)
_WHICH = _in("last next this past previous coming early late mid following the")
_LONG = _in(
    "day days week weeks month months year years decade decades century centuries fortnight"
    " quarters"
)
_LONG_PERIOD = _in(
    "week weekend month year decade century summer spring autumn fall winter quarter"
)
_SHORT = _in("second seconds minute minutes hour hours hrs mins secs")
_PART_OF_DAY = _in("morning afternoon evening night")
_AGO = _in("ago later earlier")
_SEASON = _in("spring summer autumn fall winter")
_ZONE = _maybe(_re("GMT|UTC|BST|EST|EDT|CET|PST|PDT|ET|PT"))
_MERIDIEM = _in("am pm a.m. p.m. a.m p.m o'clock")
_UNIT = _in(
    "km kilometre kilometres kilometer kilometers mile miles metre metres meter meters m cm"
    " mm centimetre centimetres centimeter centimeters millimetres millimeters inch inches"
    " foot feet ft yard yards mi kg kilogram kilograms kilogrammes kilo kilos gram grams mg"
    " tonne tonnes ton tons lb lbs pound pounds ounce ounces oz litre litres liter liters"
    " gallon gallons acre acres hectare hectares ha barrels degrees °c °f mph kph kmh km/h"
    " knots watts kw mw gw megawatts kilowatts hz khz mhz ghz kb mb gb tb bytes kilobytes"
    " megabytes gigabytes terabytes volts km² km2 m² m2"
)
_SQUARE = _maybe(_in("square cubic nautical metric light"))


def certain() -> list[dict[str, Any]]:
    """Return the patterns of the ruler before the statistical component."""
    return _records({"MONEY": _money(), "PERCENT": _percent(), "DATE": _dates(), "TIME": _clock()})


def possible() -> list[dict[str, Any]]:
    """Return the patterns of the ruler after the statistical component."""
    return _records(
        {
            "DATE": _periods(),
            "TIME": _durations(),
            "QUANTITY": _quantities(),
            "ORDINAL": _ordinals(),
            "GPE": _places(),
        }
    )


def corrections() -> list[dict[str, Any]]:
    """Return the patterns of the ruler that overrides the component: companies it misjudges."""
    wrong = {"IN": ["", "PERSON", "GPE", "LOC"]}
    name = {"TEXT": {"IN": sorted(COMPANIES)}, "ENT_TYPE": wrong, "ENT_IOB": {"NOT_IN": [_INSIDE]}}
    return _records({"ORG": iter([[name]])})


def remaining() -> list[dict[str, Any]]:
    """Return the pattern of the last ruler: numbers that nothing else has taken."""
    return _records({"CARDINAL": iter([[NUMBERS], [NUMBER, {"TEXT": "-"}, NUMBER]])})


def _records(patterns: dict[str, Iterator[Pattern]]) -> list[dict[str, Any]]:
    return [
        {"label": label, "pattern": pattern}
        for label, group in patterns.items()
        for pattern in group
    ]


def _money() -> Iterator[Pattern]:
    for sign in _SIGNS:
        yield [sign, AMOUNT, SCALE]
        yield [sign, AMOUNT, DASH, AMOUNT, SCALE]
        yield [sign, AMOUNT, SCALE, _in("- – to"), sign, AMOUNT, SCALE]
    yield [NUMBER, _re("[€£$]")]
    yield [NUMBERS, _maybe(_CURRENCY_OF), _CURRENCY]
    yield [NUMBERS, _in("million billion thousand"), _is("pounds")]


def _percent() -> Iterator[Pattern]:
    sign = _in("% percent pct")
    yield [NUMBERS, sign]
    yield [NUMBER, sign, DASH, NUMBER, sign]
    yield [NUMBER, DASH, NUMBERS, sign]
    yield [NUMBERS, _is("per"), _is("cent")]
    yield [NUMBER, DASH, NUMBERS, _is("per"), _is("cent")]
    yield [NUMBERS, _is("percentage"), _in("point points")]


def _dates() -> Iterator[Pattern]:
    for lead in ([], [WEEKDAY, _COMMA], [_is("the")]):
        yield [*lead, NUMBER | _DAY, _OF, MONTH, _COMMA, YEAR]
        yield [*lead, NUMBER | _DAY, _OF, MONTH]
    for lead in ([], [WEEKDAY, _COMMA]):
        yield [*lead, MONTH, _DAY, _COMMA, YEAR]
        yield [*lead, MONTH, _DAY]
    yield [MONTH, _DAY, _in("- – to"), _DAY, _COMMA, _maybe(YEAR)]
    yield [MONTH, _DAY, _in("- – to"), MONTH, _DAY, _COMMA, _maybe(YEAR)]
    yield [NUMBER | _DAY, _in("- – to and"), _DAY, MONTH, _maybe(YEAR)]
    yield [MONTH, _maybe(_in("of ,")), YEAR]
    yield [{"TEXT": "today"}]
    for day in ("yesterday", "tomorrow"):
        yield [_is(day)]
    yield [YEAR, _in("- – /"), _re("0[1-9]|1[0-2]"), _in("- – /"), _re("[0-3]\\d")]
    yield [_re(r"(?:19|20)\d\d[-/.][01]?\d[-/.][0-3]?\d|[0-3]?\d[/.][0-3]?\d[/.](?:19|20)?\d\d")]


def _clock() -> Iterator[Pattern]:
    clock = r"(?:[01]?\d|2[0-4])[:.][0-5]\d"
    yield [
        _re(rf"{clock}(?:[ap]m)|(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?"),
        _maybe(_MERIDIEM),
        _ZONE,
    ]
    yield [NUMBER, _MERIDIEM, _ZONE]
    yield [_is("noon")]
    yield [_is("midnight")]


def _periods() -> Iterator[Pattern]:
    yield [{"TEXT": {"IN": [month for month in _MONTHS if month[:3] not in ("May", "Mar", "Jan")]}}]
    yield [{"TEXT": "January"}]
    yield [_WHICH, _maybe({"TEXT": "-"}), MONTH]
    yield [_WHICH, MONTH, YEAR]
    yield [WEEKDAY]
    yield [_WHICH, WEEKDAY]
    yield [{"TEXT": "Today"}]
    for which in ("last", "next", "this", "past", "previous", "following"):
        yield [_is(which), _LONG_PERIOD]
    yield [_is("the"), _in("last next past previous following"), _LONG_PERIOD]
    yield [_WHICH, _maybe(_in("last next past previous first")), NUMBERS, _LONG]
    yield [_is("the"), _in("last past next"), _in("few several"), _LONG]
    yield [NUMBERS, _LONG, _maybe(_in("ago later earlier before after old"))]
    yield [NUMBER, {"TEXT": "-"}, _in("year month day week"), _HYPHEN, _maybe(_is("old"))]
    for some in ("a", "an", "several", "many"):
        yield [_is(some), _maybe(_in("few couple")), _OF, _LONG, _AGO]
    yield [YEAR]
    yield [YEAR, _in("- – — / to"), _re(r"(?:1[0-9]|20)?\d\d")]
    yield [_is("between"), YEAR, _is("and"), YEAR]
    single = _re(
        r"[12]\d\d0s|['’]?[2-9]0s|(?:1\d|20)\d\d[–/]\d\d+"
        r"|\d+-(?:year|month|day|week)(?:-olds?)?"
    )
    yield [single]
    yield [_WHICH, _maybe(_in("early mid late")), _HYPHEN, single]
    yield [_NTH, _in("century centuries")]
    yield [_WHICH, _maybe(_in("early mid late")), _HYPHEN, _NTH, _in("century centuries")]
    yield [_WHICH, _SEASON, _OF, YEAR]
    yield [_SEASON, _OF, YEAR]
    yield [_NTH, _in("quarter half"), _OF, _maybe(YEAR)]
    yield [_is("the"), _NTH, _in("quarter half"), _OF, YEAR]
    for quarter in ("Q1", "Q2", "Q3", "Q4"):
        yield [{"TEXT": quarter}, _OF, _maybe(YEAR)]
    for feast in ("Christmas", "Easter", "Thanksgiving"):
        yield [{"TEXT": feast}, _maybe(_re("Day|Eve|Sunday|Monday"))]
    yield [{"TEXT": "New"}, {"TEXT": "Year"}, _in("'s ’s"), _re("Day|Eve")]


def _durations() -> Iterator[Pattern]:
    yield [NUMBERS, _SHORT, _maybe(_AGO)]
    for some in ("a", "an", "several"):
        yield [_is(some), _maybe(_in("few couple")), _OF, _SHORT, _AGO]
    for when in ("this", "yesterday", "tomorrow", "last"):
        yield [_is(when), _PART_OF_DAY]
    yield [WEEKDAY, _PART_OF_DAY]
    yield [_is("tonight")]


def _quantities() -> Iterator[Pattern]:
    yield [NUMBERS, _SQUARE, _UNIT]
    yield [NUMBER, _in("- – to"), NUMBERS, _SQUARE, _UNIT]
    yield [NUMBERS, _is("light"), _HYPHEN, _is("years")]
    yield [NUMBERS, _HYPHEN, _in("degree degrees"), _maybe(_in("celsius fahrenheit"))]


def _ordinals() -> Iterator[Pattern]:
    yield [_NTH]


def _places() -> Iterator[Pattern]:
    """Yield the well-known places written small; others are better left to the component."""
    names = ({name.lower() for name in CITIES} | COUNTRIES | STATES) - ONLY_CAPITALISED
    long = sorted(name for name in names if len(name) > 3 and "." not in name)
    yield [{"TEXT": {"IN": [name for name in long if " " not in name]}}]
    for name in long:
        if " " in name:
            yield [{"TEXT": word} for word in name.split()]
