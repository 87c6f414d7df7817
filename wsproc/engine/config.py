"""What an engine serves and on what, and how it shares out the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsproc.engine.machine import usable_cores
from wsproc.engine.models.source import OFF, PRESETS

OWN_PROCESS = ("entities",)
"""Stages whose library holds the interpreter lock throughout: beside the device work they would
stand in its way, so each has a process of its own."""


@dataclass(frozen=True)
class EngineConfig:
    """The models of an engine, and how its workers run.

    `models` maps a stage to `embedded`, a folder, a Hub name or `none`; `own_stages` maps the name
    of a stage of one's own to its factory, `package.module:factory`; `options` maps a stage to
    options that it alone has; `settings` maps a stage to fields of its `StageSettings` that it is
    to have instead of those given here. `kv_cache_mb` is the memory of the keys and values of all
    stages that decode, in all workers, None for a share of what is available. `replicas` is how
    many workers serve the same models on the device, each with `threads` threads; None chooses both
    by the machine (see `_shares`); `niceness` is what workers add to their scheduling niceness;
    `stall_s` is how long a worker may be silent before it is taken for hung and killed.
    """

    models: Mapping[str, str] = field(default_factory=lambda: dict(PRESETS["embedded"]))
    own_stages: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    replicas: int | None = None
    kv_cache_mb: float | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    niceness: int = 5
    stall_s: float = 30.0

    def groups(self) -> list[tuple[str, Mapping[str, Mapping[str, Any]], int]]:
        """Return the workers to start: name, stages with their settings, threads."""
        wanted = {**self.models, **self.own_stages}
        names = [name for name, model in wanted.items() if model != OFF]
        replicas, threads = self._shares(usable_cores())
        on_device = [name for name in names if name not in OWN_PROCESS]
        shares = max(1, replicas * sum(_may_decode(name, wanted[name]) for name in on_device))
        groups = [(_numbered("device", n), on_device, threads) for n in range(1, replicas + 1)]
        groups += [(name, [name], 1) for name in names if name in OWN_PROCESS]
        return [
            (worker, {name: self._settings(name, count, shares) for name in stages}, count)
            for worker, stages, count in groups
            if stages
        ]

    def _shares(self, cores: int) -> tuple[int, int]:
        """Return how many workers share the device, and how many threads each of them has.

        Together they have as many threads as there are cores; they sleep while they wait, see
        `local`. Measured on two cores with 32 calls of about 20 chunks, in alternation:

        - the embedded classifier gains more from a second process than from a second thread: two
          workers of one thread did 1,050 chunks in a second of CPU time (970 to 1,170), one of two
          threads 880 (720 to 1,030); the rest went into waking threads for little work;
        - a roberta-base does not: two workers did 8.4 (7.3 to 9.9) and one of two threads 8.9 (7.7
          to 9.0); in two runs the one did 0.92 (0.4 to 2.4) and 1.13 (0.88 to 1.42) times as many
          in the same time. So its 500 MB are held once; one thread alone leaves a core idle.

        An accelerator is one device.
        """
        small = all(model in ("embedded", OFF) for model in self.models.values())
        on_cpu = self.device == "cpu" or (self.device == "auto" and not _has_accelerator())
        usual = 2 if small and on_cpu and not self.own_stages else 1
        replicas = self.replicas or min(usual, cores)
        return replicas, self.threads or max(1, cores // replicas)

    def _settings(self, stage: str, threads: int, shares: int) -> dict[str, Any]:
        own = self.settings.get(stage, {})
        usual = {
            "model": self.own_stages.get(stage) or self.models[stage],
            "device": self.device,
            "dtype": self.dtype,
            "threads": threads,
            "kv_cache_mb": self.kv_cache_mb,
            "kv_shares": shares,
        }
        options = {**self.options.get(stage, {}), **own.get("options", {})}
        return {**usual, **own, "options": options}


def _may_decode(stage: str, model: str) -> bool:
    """Whether a stage may want memory for keys and values; the embedded summary writes nothing."""
    return stage == "generation" or (stage == "summary" and model != "embedded")


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _has_accelerator() -> bool:
    """Whether a GPU may be there, told without loading a model library."""
    return sys.platform == "darwin" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd")))
