"""What an engine serves and on what. Pure; nothing is read from the environment."""

from __future__ import annotations

import os
import sys
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
    settings of its own (see `StageSettings`). `replicas` is how many workers serve the same models
    on the device, each with `threads` threads; None chooses both by the machine (see `_shares`);
    `niceness` is what workers add to their scheduling niceness;
    `stall_s` is how long a worker may be silent before it is taken for hung and killed.
    """

    models: Mapping[str, str] = field(default_factory=lambda: dict(PRESETS["embedded"]))
    own_stages: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    replicas: int | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    niceness: int = 5
    stall_s: float = 30.0

    def groups(self) -> list[tuple[str, Mapping[str, Mapping[str, Any]], int]]:
        """Return the workers to start: name, stages with their settings, threads."""
        wanted = {**self.models, **self.own_stages}
        names = [name for name, model in wanted.items() if model != OFF]
        replicas, threads = self._shares(os.cpu_count() or 1)
        on_device = [name for name in names if name not in OWN_PROCESS]
        groups = [(_numbered("device", n), on_device, threads) for n in range(1, replicas + 1)]
        groups += [(name, [name], 1) for name in names if name in OWN_PROCESS]
        return [
            (worker, {name: self._settings(name, count) for name in stages}, count)
            for worker, stages, count in groups
            if stages
        ]

    def _shares(self, cores: int) -> tuple[int, int]:
        """Return how many workers share the device, and how many threads each of them has.

        Small models on a CPU gain more from a second process than from a second thread: on two
        cores, at 32 clients, two workers of one thread classified 1,850 chunks a second, one of
        two threads 1,340, one of one thread 1,180; and threads spin for each other when another
        process wants their core. Large models would pay with their memory, and an accelerator is
        one device.
        """
        small = all(model in ("embedded", OFF) for model in self.models.values())
        on_cpu = self.device == "cpu" or (self.device == "auto" and not _has_accelerator())
        usual = 2 if small and on_cpu and not self.own_stages else 1
        replicas = self.replicas or min(usual, cores)
        return replicas, self.threads or max(1, cores // max(2, replicas))

    def _settings(self, stage: str, threads: int) -> dict[str, Any]:
        model = self.own_stages.get(stage) or self.models[stage]
        return {
            "model": model,
            "device": self.device,
            "dtype": self.dtype,
            "threads": threads,
            "options": dict(self.options.get(stage, {})),
        }


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _has_accelerator() -> bool:
    """Whether a GPU may be there, told without loading a model library."""
    return sys.platform == "darwin" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd")))
