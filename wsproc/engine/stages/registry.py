"""From a stage's name and settings to the stage, loaded and ready for the worker's loop.

The four stages of the package are built by `builders`; a stage of one's own is named by its
factory, `package.module:factory`, as its name or as its model. This module imports a model library
only when it builds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

from wsproc.engine.call import EngineError, ModelUnavailable
from wsproc.engine.models.source import STAGES, Report, resolve
from wsproc.engine.stages.stage import Stage

_FACTORY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_STAGE_MEMBERS = ("name", "budget", "weigh", "begin", "step", "release")


@dataclass(frozen=True, slots=True)
class StageSettings:
    """What a stage is built from; plain JSON values, since it crosses to the worker process.

    - `model`: `embedded`, `hub`, a folder, or a model's name (see `models.source`); for a stage of
      one's own its factory, `package.module:factory`;
    - `device`, `dtype`: see `models.device`;
    - `rows`, `tokens`: the most runs and padded tokens in a step, None for what suits the device;
    - `threads`: of torch in this process, None for torch's own choice;
    - `kv_cache_mb`: megabytes for the keys and values of all stages that decode, in all workers,
      None for what suits the machine (see `models.memory`); `kv_shares`: among how many it is
      divided;
    - `options`: of the stage alone, such as `label_map`; unknown ones are refused.
    """

    model: str = "embedded"
    device: str = "auto"
    dtype: str = "auto"
    rows: int | None = None
    tokens: int | None = None
    threads: int | None = None
    kv_cache_mb: float | None = None
    kv_shares: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the keyword arguments that make an equal record."""
        return asdict(self)


def build_stage(name: str, settings: StageSettings, report: Report) -> Stage:
    """Return the stage, its weights loaded; `report` gets a line for each thing that takes time.

    `name` is one of `STAGES`, or any other name if `settings.model` is a factory, or a factory
    itself. A factory is called as `factory(settings, report)` and returns a `Stage`.

    Raises `ModelUnavailable` with one sentence for whatever stands in the way.
    """
    for factory in (name, settings.model):
        if match := _FACTORY.fullmatch(factory):
            return _own_stage(match[1], match[2], settings, report)
    if name not in STAGES:
        raise ModelUnavailable(
            f"there is no stage {name!r}: the package has {', '.join(STAGES)}; one of your own is"
            " named by its factory, package.module:factory"
        )
    source = resolve(name, settings.model)
    if source is None:
        raise ModelUnavailable(f"the stage {name} is switched off (--{name} {settings.model})")
    _check_sizes(name, settings)
    with _one_sentence(f"the stage {name} cannot run the model {settings.model}"):
        from wsproc.engine.stages.builders import BUILDERS

        return BUILDERS[name](source, settings, report)


def _check_sizes(stage: str, settings: StageSettings) -> None:
    for key in ("rows", "tokens", "kv_cache_mb", "kv_shares"):
        value = getattr(settings, key)
        if value is not None and value < 1:
            raise ModelUnavailable(
                f"{key} of the stage {stage}: give a number from 1 up, not {value}"
            )


def _own_stage(module: str, factory: str, settings: StageSettings, report: Report) -> Stage:
    """Import and call a factory; its errors become one sentence."""
    where = f"{module}:{factory}"
    with _one_sentence(f"the stage {where} cannot be built"):
        stage: Stage = getattr(import_module(module), factory)(settings, report)
    missing = [name for name in _STAGE_MEMBERS if not hasattr(stage, name)]
    if missing:
        raise ModelUnavailable(
            f"what {where} returns is no Stage: it has no {', '.join(missing)}"
            " (see wsproc.engine.stages.stage)"
        )
    return stage


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    """Turn what a stage's own code raises into `ModelUnavailable`."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise ModelUnavailable(f"{what}: {error} ({type(error).__name__})") from error
