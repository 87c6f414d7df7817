"""How a setting is declared: once, beside its type and its default.

    max_jobs: Annotated[int, Setting("Jobs in all.", LIMITS, least=1)] = 4096

That one line in a class of settings makes the flag `--max-jobs` with its help in its panel, the key
`max_jobs` of the TOML file and the variable `WSPROC_MAX_JOBS`, holds the bound in all of them and
in code, and puts the setting into `--print-config` and into the table of docs/operations.md. Times
end in `_s` and are seconds, sizes in `_bytes` or say what they count.

This imports the standard library alone: the engine declares its settings in the same way and needs
no pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

Key = tuple[str, ...]
"""Where a setting stands: `("port",)`, `("engine", "threads")`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What people are told of a setting, and what its value must be.

    `panel` groups flags in the help; `least` and `most` are bounds, both inclusive; `pattern` must
    match the whole of a text, and `pattern_words` says so to people; `flag` is the flag's name
    where that is not the field's, None where there is none; `unset` says what None stands for;
    `keys` are those that the tables inside of a table may have; a `secret` is never printed.
    """

    help: str
    panel: str | None = None
    least: float | None = None
    most: float | None = None
    pattern: str | None = None
    pattern_words: str = ""
    flag: str | None = ""
    metavar: str | None = None
    unset: str = ""
    keys: tuple[str, ...] = ()
    secret: bool = False

    def check(self, value: Any) -> Any:
        """Return the value; raises ValueError with words that say what to give instead."""
        if isinstance(value, (int, float)) and not self._within(value):
            raise ValueError(f"give {self._bounds()}")
        if isinstance(value, str) and self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"give {self.pattern_words}")
        if isinstance(value, Mapping) and self.keys:
            self._check_keys(value)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: Callable[[Any], Any]
    ) -> dict[str, Any]:
        """Let pydantic check the value after its type; its schemas are plain dictionaries."""
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": self.check},
            "schema": handler(source),
        }

    def _check_keys(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        for name, table in tables.items():
            for key in table:
                if key not in self.keys:
                    raise ValueError(f"{name} has no {key!r}; it has {', '.join(self.keys)}")

    def _within(self, value: float) -> bool:
        low = self.least is None or value >= self.least
        return low and (self.most is None or value <= self.most)

    def _bounds(self) -> str:
        if self.most is None:
            return f"{self.least:g} or more"
        if self.least is None:
            return f"{self.most:g} or less"
        return f"{self.least:g} to {self.most:g}"


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting of a class: where it stands, what it holds, and what was declared of it.

    `kind` is its type without None; `optional` whether it may be None.
    """

    key: Key
    kind: Any
    optional: bool
    default: Any
    setting: Setting = field(repr=False)

    @property
    def flag(self) -> str | None:
        """The flag that gives it, None where there is none."""
        if self.setting.flag is None:
            return None
        return self.setting.flag or "--" + self.key[-1].replace("_", "-")

    @property
    def many(self) -> bool:
        """Whether it is a sequence."""
        return get_origin(self.kind) is tuple

    @property
    def table(self) -> bool:
        """Whether it is a mapping."""
        return get_origin(self.kind) is Mapping


def declared(kind: type, within: Key = ()) -> Iterator[Declared]:
    """Yield the settings of a class of settings, and of those inside it, in their order.

    Raises TypeError for a field that is declared without a `Setting`.
    """
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        hint = hints[one.name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            yield from declared(hint, (*within, one.name))
            continue
        setting = next((x for x in get_args(hint)[1:] if isinstance(x, Setting)), None)
        if get_origin(hint) is not Annotated or setting is None:
            raise TypeError(f"{kind.__name__}.{one.name} is declared without a Setting")
        inner, optional = _without_none(get_args(hint)[0])
        default = one.default if one.default is not MISSING else None
        if one.default_factory is not MISSING:
            default = one.default_factory()
        yield Declared((*within, one.name), inner, optional, default, setting)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    rest = [one for one in get_args(hint) if one is not NoneType]
    assert len(rest) == 1, f"{hint}: a setting has one type, and may be None"
    return rest[0], True


__all__ = ["Declared", "Key", "Setting", "declared"]
