"""Where settings come from, and what is told of wrong ones."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
from pydantic import ConfigDict, SecretStr
from pydantic.dataclasses import dataclass as checked

from wsproc.config import ServeConfig
from wsproc.engine.models.source import PRESETS
from wsproc.setting import Setting
from wsproc.sources import ConfigError, from_environment, from_toml, load


def of_toml(text):
    """Return the settings of a file alone."""
    return load(ServeConfig, from_toml(text, "f.toml")).config


def of_variables(**variables):
    """Return the settings of variables alone."""
    return load(ServeConfig, from_environment(variables, ServeConfig)).config


def mistakes(make, *arguments, **variables):
    """Return the sentences of a refusal."""
    with pytest.raises(ConfigError) as told:
        make(*arguments, **variables)
    return told.value.mistakes


def test_a_file_is_flat_with_a_table_for_the_engine():
    """Keys are the names of the settings; numbers, lists and tables are TOML's."""
    config = of_toml(
        'host = "::1"\norigins = ["null"]\ndrain_s = 1\n[engine]\nreplicas = 2\n'
        "[engine.options.generation]\ncontext = 64\n"
    )
    assert (config.host, config.origins, config.drain_s) == ("::1", ("null",), 1.0)
    assert config.engine.replicas == 2
    assert config.engine.options == {"generation": {"context": 64}}


def test_variables_are_written_as_text():
    """Numbers as they are, lists with commas, what is inside a table by its name."""
    config = of_variables(
        WSPROC_DRAIN_S="1.5",
        WSPROC_ORIGINS="null, https://a.example",
        WSPROC_ENGINE__THREADS="3",
        WSPROC_ENGINE__MODELS__SUMMARY="none",
        WSPROC_ENGINE__SETTINGS__SENTIMENT__ROWS="4",
        WSPROC_ENGINE__OPTIONS='{"generation": {"context": 64}}',
    )
    assert (config.drain_s, config.origins) == (1.5, ("null", "https://a.example"))
    assert config.engine.threads == 3
    assert config.engine.models == {**PRESETS["embedded"], "summary": "none"}
    assert config.engine.settings == {"sentiment": {"rows": 4}}
    assert config.engine.options == {"generation": {"context": 64}}


def test_an_empty_variable_is_as_none():
    """A deployment that sets a variable to nothing has not set it."""
    assert of_variables(WSPROC_PORT="", WSPROC_ENGINE__THREADS="") == ServeConfig()


def test_what_kubernetes_sets_by_itself_is_no_setting():
    """A Service named wsproc puts these into the pods of its namespace."""
    config = of_variables(
        WSPROC_PORT="tcp://10.0.0.1:8765",
        WSPROC_PORT_8765_TCP="tcp://10.0.0.1:8765",
        WSPROC_PORT_8765_TCP_ADDR="10.0.0.1",
        WSPROC_SERVICE_HOST="10.0.0.1",
        WSPROC_SERVICE_PORT="8765",
        WSPROC_SERVICE_PORT_WS="8765",
    )
    assert config == ServeConfig()


def test_a_preset_of_models_gives_way_to_single_ones():
    """`models` may be a word in every source; a stronger source changes single stages of it."""
    variables = {"WSPROC_ENGINE__MODELS": "hub", "WSPROC_ENGINE__MODELS__ENTITIES": "none"}
    given = [
        *from_toml('[engine.models]\nsentiment = "own/model"', "f.toml"),
        *from_environment(variables, ServeConfig),
    ]
    assert load(ServeConfig, given).config.engine.models == {**PRESETS["hub"], "entities": "none"}
    assert mistakes(of_toml, '[engine]\nmodels = "best"') == (
        "f.toml: engine.models: there is no preset 'best'; give embedded or hub, or a table",
    )


def test_a_table_gives_way_to_what_is_given_whole():
    """Of two that cannot both be, the stronger is taken, whichever is the deeper."""
    deep = list(from_toml("[engine.options.generation]\ncontext = 64", "f.toml"))
    whole = list(from_environment({"WSPROC_ENGINE__OPTIONS": '{"a": {"b": 1}}'}, ServeConfig))
    assert load(ServeConfig, [*deep, *whole]).config.engine.options == {"a": {"b": 1}}
    assert load(ServeConfig, [*whole, *deep]).config.engine.options == {
        "generation": {"context": 64}
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 70000", "port: give 0 to 65535, not 70000"),
        ("port = 1.5", "port: give a whole number, not 1.5"),
        ('drain_s = "soon"', "drain_s: give a number, not 'soon'"),
        ("host = 1", "host: give a text, not 1"),
        ("origins = [1]", "origins.0: give a text, not 1"),
        ("threads = 1", "threads: there is no such setting; did you mean engine.threads?"),
        ("[engin]\nthreads = 1", "engin: there is no such setting; did you mean engine?"),
        (
            "[engine.settings.summary]\nspeed = 1",
            "engine.settings: summary has no 'speed'; it has model, device, dtype, rows, tokens,"
            " threads, kv_cache_mb, options",
        ),
        ("zebra = 1", "zebra: there is no such setting; `wsproc serve --print-config` lists them"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_mend(text, sentence):
    """File, key, what to give, and what was given."""
    assert mistakes(of_toml, text) == (f"f.toml: {sentence}",)


def test_a_wrong_variable_is_named_as_it_is_written():
    """Not as the setting that it stands for, which nobody wrote."""
    told = mistakes(of_variables, WSPROC_ENGINE__DEVISE="cpu", WSPROC_LOG_LEVEL="loud")
    assert told == (
        "WSPROC_ENGINE__DEVISE: there is no such setting; did you mean WSPROC_ENGINE__DEVICE?",
        "WSPROC_LOG_LEVEL: should be 'auto', 'debug', 'info', 'warning' or 'error', not 'loud'",
    )


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Locked:
    """Settings with a secret."""

    key: Annotated[SecretStr | None, Setting("A key.", secret=True, unset="no key")] = None


@dataclass(frozen=True)
class Unlocked:
    """Settings of settings with a secret."""

    locked: Locked = field(default_factory=Locked)


def test_a_secret_is_not_told_even_when_it_is_wrong():
    """Neither the value nor a part of it is in the sentence."""
    given = from_toml("[locked]\nkey = 12345678", "f.toml")
    assert mistakes(lambda: load(Unlocked, given)) == ("f.toml: locked.key: give a text",)
