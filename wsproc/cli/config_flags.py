"""The flags that settings declare, and reading what was given with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import typer

from wsproc.setting import Declared, declared
from wsproc.sources import Given, Place

F = TypeVar("F", bound=Callable[..., None])


def with_flags_of(kind: type) -> Callable[[F], F]:
    """Give a command, in place of its `**flags`, a flag for each setting of `kind`."""

    def add(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        flags = [_parameter(one, one.flag) for one in declared(kind) if one.flag is not None]
        listed = [one.replace(kind=one.KEYWORD_ONLY) for one in (*flags, *own)]
        command.__signature__ = signature.replace(parameters=listed)  # type: ignore[attr-defined] # what inspect reads
        return command

    return add


def from_flags(kind: type, context: typer.Context) -> Iterator[Given]:
    """Yield what was given by flags for the settings of `kind`; a default was not given."""
    for one in declared(kind):
        name = _name(one)
        source = context.get_parameter_source(name)
        if one.flag is not None and source is not None and source.name == "COMMANDLINE":
            yield Given(one.key, context.params[name], Place.FLAG, one.flag)


def _name(one: Declared) -> str:
    return "_".join(one.key)


def _parameter(one: Declared, flag: str) -> inspect.Parameter:
    setting = one.setting
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if one.kind is bool else flag,
        help=setting.help,
        rich_help_panel=setting.panel,
        metavar=setting.metavar,
        show_default=setting.unset or True,
        min=setting.least if one.kind in (int, float) else None,
        max=setting.most if one.kind in (int, float) else None,
    )
    default = None if one.many else one.default
    hint = list[str] if one.many else one.kind
    return inspect.Parameter(
        _name(one),
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[hint if default is not None else hint | None, option],
    )
