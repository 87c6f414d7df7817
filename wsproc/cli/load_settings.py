"""The settings of `wsproc serve` from its flags, the environment and a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wsproc.cli.exits import ExitCode, fail
from wsproc.cli.settings import parse_options, parse_pairs
from wsproc.config import ServeConfig, environment
from wsproc.sources import (
    CONFIG_VARIABLE,
    ConfigError,
    Given,
    Loaded,
    Place,
    from_environment,
    from_toml,
    load,
)


def load_settings(file: Path | None, flags: Iterable[Given]) -> Loaded[ServeConfig]:
    """Return the settings from all sources; leave with a sentence for each mistake."""
    variables = environment()
    named = file or variables.get(CONFIG_VARIABLE)
    try:
        return load(
            ServeConfig,
            [
                *(from_toml(_read(Path(named)), str(named)) if named else ()),
                *from_environment(variables, ServeConfig),
                *flags,
            ],
        )
    except ConfigError as error:
        fail("\nwsproc: ".join(error.mistakes), ExitCode.USAGE)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([f"{file}: the settings cannot be read: {reason}"]) from None


def given_models(preset: str | None, stages: Mapping[str, str | None]) -> Iterator[Given]:
    """Yield what the flags say of models: a preset first, then single stages."""
    if preset is not None:
        yield Given(("engine", "models"), preset, Place.FLAG, "--models")
    for name, model in stages.items():
        if model is not None:
            yield Given(("engine", "models", name), model, Place.FLAG, f"--{name}")


def given_tables(settings: Sequence[str], stages: Sequence[str]) -> Iterator[Given]:
    """Yield what is written NAME=VALUE: settings of one stage, and stages of one's own."""
    for name, values in parse_options("--set", settings).items():
        for key, value in values.items():
            yield Given(("engine", "settings", name, key), value, Place.FLAG, "--set")
    for name, factory in parse_pairs("--stage", stages).items():
        yield Given(("engine", "own_stages", name), factory, Place.FLAG, "--stage")
