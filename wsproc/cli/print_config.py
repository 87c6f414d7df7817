"""The settings in effect as a TOML file that says where each of them came from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import Table

from wsproc.setting import Declared, Key, declared
from wsproc.sources import Given, Loaded

_Place = tomlkit.TOMLDocument | Table | Container


def as_toml(loaded: Loaded[Any]) -> str:
    """Return the file. Secrets, and what has no value, are comments; the rest can be fed back."""
    document = tomlkit.document()
    settings = list(declared(type(loaded.config)))
    # A key that follows a table would be the table's own.
    for one in sorted(settings, key=lambda one: (len(one.key), one.table)):
        value = reduce(getattr, one.key, loaded.config)
        if one.table and not value:
            continue
        table = _table(document, one.key[:-1])
        if value is None or one.setting.secret:
            table.add(tomlkit.comment(_without_value(one, value, loaded.given)))
        elif one.table:
            _add_table(table, one.key, value, loaded.given)
        else:
            _add(table, one.key, value, loaded.given)
    return tomlkit.dumps(document)


def _table(document: tomlkit.TOMLDocument, key: Key) -> _Place:
    place: _Place = document
    for part in key:
        if part not in place:
            place.add(part, tomlkit.table())
        place = place[part]
    return place


def _add(table: _Place, key: Key, value: Any, given: Mapping[Key, Given]) -> None:
    item = tomlkit.item(list(value) if isinstance(value, tuple) else _plain(value))
    table.add(key[-1], item.comment(_origin(key, given)))


def _add_table(
    table: _Place, key: Key, values: Mapping[str, Any], given: Mapping[Key, Given]
) -> None:
    inner = tomlkit.table()
    for name, value in values.items():
        if isinstance(value, Mapping):
            _add_table(inner, (*key, name), value, given)
        else:
            _add(inner, (*key, name), value, given)
    table.add(key[-1], inner)


def _without_value(one: Declared, value: Any, given: Mapping[Key, Given]) -> str:
    said = "is not shown" if value else f"is not set: {one.setting.unset or 'none'}"
    return f"{one.key[-1]} {said}  # {_origin(one.key, given)}"


def _origin(key: Key, given: Mapping[Key, Given]) -> str:
    return given[key].name if key in given else "default"


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, bool, int, float, list)) else str(value)
