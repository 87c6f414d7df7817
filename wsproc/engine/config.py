"""What an engine serves and on what. Pure; nothing is read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsproc.engine.models.source import OFF, PRESETS

OWN_PROCESS = ("entities",)
"""Stages whose library holds the interpreter lock throughout: beside the device work they would
stand in its way, so each has a process of its own."""


@dataclass(frozen=True)
class EngineConfig:
    """The models of an engine, and how its workers run.

    `models` maps a stage to `embedded`, a folder, a Hub name or `none`; `own_stages` maps the name
    of a stage of one's own to its factory, `package.module:factory`; `options` maps a stage to
    settings of its own (see `StageSettings`). `threads` are those of the device worker, None for a
    choice by the machine's cores; `niceness` is what workers add to their scheduling niceness;
    `stall_s` is how long a worker may be silent before it is taken for hung and killed.
    """

    models: Mapping[str, str] = field(default_factory=lambda: dict(PRESETS["embedded"]))
    own_stages: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    niceness: int = 5
    stall_s: float = 30.0

    def groups(self) -> list[tuple[str, Mapping[str, Mapping[str, Any]], int]]:
        """Return the workers to start: name, stages with their settings, threads."""
        wanted = {**self.models, **self.own_stages}
        names = [name for name, model in wanted.items() if model != OFF]
        threads = self.threads or max(1, (os.cpu_count() or 2) // 2)
        groups = [("device", [name for name in names if name not in OWN_PROCESS], threads)]
        groups += [(name, [name], 1) for name in names if name in OWN_PROCESS]
        return [
            (worker, {name: self._settings(name, count) for name in stages}, count)
            for worker, stages, count in groups
            if stages
        ]

    def _settings(self, stage: str, threads: int) -> dict[str, Any]:
        model = self.own_stages.get(stage) or self.models[stage]
        return {
            "model": model,
            "device": self.device,
            "dtype": self.dtype,
            "threads": threads,
            "options": dict(self.options.get(stage, {})),
        }
