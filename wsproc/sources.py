"""Where settings come from: a TOML file, the environment, flags; the later the stronger. Pure.

Each source gives values of single settings, and says for each where it stands. What is given twice
is taken from the stronger source, tables are put together key by key. So a mistake is told where it
was made, all mistakes at once, each in one sentence with the mend.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from wsproc.config import PREFIX
from wsproc.engine.models.source import PRESETS
from wsproc.setting import Declared, Key, declared

C = TypeVar("C")

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""The variable that names the TOML file."""

TOKEN_VARIABLE = f"{PREFIX}TOKEN"
"""Read by the commands that are clients; a server has `WSPROC_AUTH__...`."""

MODELS: Key = ("engine", "models")
"""The one table that may also be given as a word: a preset of models."""

_OF_KUBERNETES = re.compile(rf"{PREFIX}(SERVICE_HOST|SERVICE_PORT.*|PORT_\d+_(TCP|UDP).*)")
"""What Kubernetes sets by itself in every pod beside a Service named wsproc."""


class Place(Enum):
    """The kinds of sources."""

    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given for one setting; `name` is the file, the variable or the flag."""

    key: Key
    value: Any
    place: Place
    name: str

    def told(self, key: Key) -> str:
        """Return how people find `key` in this source."""
        if self.place is Place.FILE:
            return f"{self.name}: {'.'.join(key)}"
        return self.name

    def spelt(self, key: Key) -> str:
        """Return how `key` is written in this source."""
        return variable(key) if self.place is Place.ENVIRONMENT else ".".join(key)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[C]):
    """The settings in effect, and what was given for them by key."""

    config: C
    given: Mapping[Key, Given]


class ConfigError(Exception):
    """Settings that cannot be used; `mistakes` are sentences, each with its place and its mend."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


def from_toml(text: str, name: str) -> Iterator[Given]:
    """Yield what a TOML file gives; raises ConfigError for what is no TOML."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: this is no TOML: {error}"]) from None
    for key, value in _leaves(table):
        yield Given(key, value, Place.FILE, name)


def from_environment(variables: Mapping[str, str], kind: type) -> Iterator[Given]:
    """Yield what variables give for the settings of `kind`; empty ones give nothing.

    `WSPROC_ENGINE__THREADS` is the setting `engine.threads`. A list is written with commas, what is
    inside of a table as JSON or as a word.
    """
    known = {one.key: one for one in declared(kind)}
    for name, text in sorted(variables.items()):
        if not text or not name.startswith(PREFIX) or _is_not_ours(name, text):
            continue
        key = tuple(name.removeprefix(PREFIX).lower().split("__"))
        yield Given(key, _read(key, text, known), Place.ENVIRONMENT, name)


def variable(key: Key) -> str:
    """Return the name of the variable that gives a setting."""
    return PREFIX + "__".join(key).upper()


def word_or_json(text: str) -> Any:
    """Return what a text says as JSON, or else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def load(kind: type[C], given: Iterable[Given]) -> Loaded[C]:
    """Return settings from what was given, the weakest source first.

    Raises ConfigError for what cannot be used.
    """
    last: dict[Key, Given] = {}
    for one in given:
        for each in _preset(one):
            for key in [key for key in last if _overlap(key, each.key)]:
                del last[key]
            last[each.key] = each
    values: dict[Key, Any] = {(*MODELS, stage): name for stage, name in PRESETS["embedded"].items()}
    values |= {key: one.value for key, one in last.items()}
    try:
        return Loaded(TypeAdapter(kind).validate_python(_tree(values)), last)
    except ValidationError as error:
        known = {one.key: one for one in declared(kind)}
        sentences = [_sentence(one, last, known) for one in error.errors()]
        raise ConfigError(list(dict.fromkeys(sentences))) from None


# --- reading ------------------------------------------------------------------------------------


def _leaves(table: Mapping[str, Any], within: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*within, name))
        else:
            yield (*within, name), value


def _is_not_ours(name: str, text: str) -> bool:
    if name in (CONFIG_VARIABLE, TOKEN_VARIABLE) or _OF_KUBERNETES.fullmatch(name):
        return True
    return name == f"{PREFIX}PORT" and "://" in text


def _read(key: Key, text: str, known: Mapping[Key, Declared]) -> Any:
    """Return a variable's value, as far as its setting's kind tells how it is written."""
    one = known.get(key)
    if one is None:
        return word_or_json(text) if _inside(key, known) else text
    if one.many:
        return [part.strip() for part in text.split(",") if part.strip()]
    return word_or_json(text) if one.table else text


def _inside(key: Key, known: Mapping[Key, Declared]) -> bool:
    """Whether a key is one of a table whose keys are free."""
    return any(key[: len(at)] == at and one.table for at, one in known.items())


def _preset(one: Given) -> Iterator[Given]:
    """Yield a preset of models as the model of each stage, and anything else as it is."""
    if one.key != MODELS or not isinstance(one.value, str):
        yield one
        return
    preset = PRESETS.get(one.value)
    if preset is None:
        known = " or ".join(PRESETS)
        raise ConfigError(
            [f"{one.told(one.key)}: there is no preset {one.value!r}; give {known}, or a table"]
        )
    for stage, model in preset.items():
        yield Given((*MODELS, stage), model, one.place, one.name)


def _overlap(old: Key, new: Key) -> bool:
    """Whether two keys cannot both have a value."""
    shared = min(len(old), len(new))
    return old[:shared] == new[:shared]


def _tree(values: Mapping[Key, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        branch = tree
        for part in key[:-1]:
            branch = branch.setdefault(part, {})
        branch[key[-1]] = value
    return tree


# --- words --------------------------------------------------------------------------------------

_WORDS = {
    "int_parsing": "give a whole number",
    "int_type": "give a whole number",
    "int_from_float": "give a whole number",
    "float_parsing": "give a number",
    "float_type": "give a number",
    "string_type": "give a text",
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "tuple_type": "give a list",
    "dataclass_type": "this is a table of settings",
    "mapping_type": "give a table",
    "path_type": "give a path",
}
"""What is told for pydantic's commonest types of errors; for the others, what pydantic says."""


def _sentence(
    error: ErrorDetails, given: Mapping[Key, Given], known: Mapping[Key, Declared]
) -> str:
    """Return one mistake in words: where it is, what is wrong, how to mend it."""
    key = tuple(str(part) for part in error["loc"])
    source = _source(key, given)
    place = source.told(key) if source else ".".join(key) or "the settings"
    if error["type"] == "unexpected_keyword_argument":
        return f"{place}: there is no such setting{_suggestion(key, source, known)}"
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    words = _WORDS.get(error["type"], said)
    if source is None or isinstance(error["input"], dict) or _is_secret(key, known):
        return f"{place}: {words}"
    return f"{place}: {words}, not {_shown(error['input'])}"


def _source(key: Key, given: Mapping[Key, Given]) -> Given | None:
    """Return what was given for a key, for what is around it, or for something inside of it."""
    around = (given.get(key[:length]) for length in range(len(key), 0, -1))
    inside = (one for at, one in given.items() if at[: len(key)] == key)
    return next((one for one in (*around, *inside) if one is not None), None)


def _suggestion(key: Key, source: Given | None, known: Mapping[Key, Declared]) -> str:
    """Return what was probably meant: a like name in its place, or the same name in another."""
    beside = [
        at[: len(key)] for at in known if len(at) >= len(key) and at[: len(key) - 1] == key[:-1]
    ]
    close = difflib.get_close_matches(key[-1], [at[-1] for at in beside], n=1)
    meant = (
        (*key[:-1], close[0]) if close else next((at for at in known if at[-1] == key[-1]), None)
    )
    if meant is None:
        return "; `wsproc serve --print-config` lists them"
    return f"; did you mean {source.spelt(meant) if source else '.'.join(meant)}?"


def _is_secret(key: Key, known: Mapping[Key, Declared]) -> bool:
    return any(one.setting.secret for at, one in known.items() if _overlap(at, key))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = [
    "CONFIG_VARIABLE",
    "ConfigError",
    "Given",
    "Loaded",
    "Place",
    "from_environment",
    "from_toml",
    "load",
    "variable",
    "word_or_json",
]
