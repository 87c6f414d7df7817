"""How settings are declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from wsproc.config import ServeConfig
from wsproc.engine.config import STAGE_KEYS, EngineConfig
from wsproc.engine.stages.registry import StageSettings
from wsproc.setting import Setting, declared


@dataclass(frozen=True)
class Inner:
    """Settings inside of settings, in a class that knows nothing of pydantic."""

    size: Annotated[int | None, Setting("How many.", least=1, unset="as many as fit")] = None


@dataclass(frozen=True)
class Outer:
    """Settings of several kinds."""

    name: Annotated[str, Setting("A name.", pattern="[a-z]+", pattern_words="small letters")] = "a"
    parts: Annotated[tuple[str, ...], Setting("Parts.", flag="--part")] = ()
    table: Annotated[Mapping[str, str], Setting("A table.", flag=None)] = field(
        default_factory=dict
    )
    share: Annotated[float, Setting("A share.", least=0, most=1)] = 0.5
    inner: Inner = field(default_factory=Inner)


def test_a_class_tells_its_settings():
    """Key, kind, default and flag of each come from its one line, also of those inside."""
    found = {one.key: one for one in declared(Outer)}
    assert [(key, one.kind, one.default, one.flag) for key, one in found.items()] == [
        (("name",), str, "a", "--name"),
        (("parts",), tuple[str, ...], (), "--part"),
        (("table",), Mapping[str, str], {}, None),
        (("share",), float, 0.5, "--share"),
        (("inner", "size"), int, None, "--size"),
    ]
    assert [one.optional for one in found.values()] == [False, False, False, False, True]
    assert found["parts",].many
    assert found["table",].table


def test_a_field_without_a_setting_is_a_mistake():
    """What is not declared would be missing in the help, the file and the table of settings."""

    @dataclass
    class Forgetful:
        port: int = 1

    with pytest.raises(TypeError, match=r"Forgetful\.port is declared without a Setting"):
        list(declared(Forgetful))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"share": 1.5}, "give 0 to 1"),
        ({"share": -0.5}, "give 0 to 1"),
        ({"name": "A"}, "give small letters"),
        ({"inner": {"size": 0}}, "give 1 or more"),
    ],
)
def test_bounds_are_held_by_pydantic(values, words):
    """A bound of a setting is a bound of its class, also where the class is a plain dataclass."""
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(Outer).validate_python(values)


def test_none_has_no_bounds():
    """What is not set is not compared."""
    assert TypeAdapter(Outer).validate_python({"inner": {"size": None}}) == Outer()


def test_every_setting_of_the_server_is_declared():
    """Each has a help that is a sentence, a flag of its own, and words for None if it may be."""
    settings = list(declared(ServeConfig))
    flags = [one.flag for one in settings if one.flag is not None]
    assert len(flags) == len(set(flags))
    for one in settings:
        assert one.setting.help.endswith("."), one
        assert bool(one.setting.unset) == one.optional, one


def test_the_settings_of_one_stage_are_those_that_a_stage_has():
    """All that a stage is built from may be said of one stage, but how many share the memory."""
    known = set(StageSettings.__dataclass_fields__) - {"kv_shares"}
    assert known == set(STAGE_KEYS)
    with pytest.raises(ValidationError, match="sentiment has no 'speed'; it has model"):
        TypeAdapter(EngineConfig).validate_python({"settings": {"sentiment": {"speed": 9}}})
