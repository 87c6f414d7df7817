"""What an engine serves and on what, and how it shares out the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from wsproc.engine.machine import usable_cores
from wsproc.engine.models.source import OFF, PRESETS
from wsproc.setting import Setting

MODELS = "Models"
TIMES = "Times, in seconds"

STAGE_KEYS = ("model", "device", "dtype", "rows", "tokens", "threads", "kv_cache_mb", "options")
"""What may be set for one stage alone: the fields of `StageSettings` that people choose."""

OWN_PROCESS = ("entities",)
"""Stages whose library holds the interpreter lock throughout: beside the device work they would
stand in its way, so each has a process of its own."""


@dataclass(frozen=True)
class EngineConfig:
    """The models of an engine, and how its workers run.

    `options` maps a stage to options that it alone has; `settings` maps a stage to fields of its
    `StageSettings` that it is to have instead of those given here. None for `kv_cache_mb`, for
    `threads` and for `replicas` lets the machine decide (see `_shares`).
    """

    models: Annotated[
        Mapping[str, str],
        Setting(
            "Each stage's model: embedded, hub, a folder, a Hub name, or none.", MODELS, flag=None
        ),
    ] = field(default_factory=lambda: dict(PRESETS["embedded"]))
    own_stages: Annotated[
        Mapping[str, str],
        Setting("Stages that you wrote, each with its MODULE:FACTORY.", MODELS, flag=None),
    ] = field(default_factory=dict)
    device: Annotated[
        str,
        Setting(
            "auto, cpu, cuda, cuda:N or mps.",
            MODELS,
            pattern=r"auto|cpu|mps|cuda(:\d+)?",
            pattern_words="auto, cpu, cuda, cuda:N or mps",
        ),
    ] = "auto"
    dtype: Annotated[str, Setting("auto, float32, bfloat16, float16, or int8.", MODELS)] = "auto"
    threads: Annotated[
        int | None,
        Setting(
            "CPU threads of each worker.",
            MODELS,
            least=1,
            unset="the cores, shared by the workers",
        ),
    ] = None
    replicas: Annotated[
        int | None,
        Setting(
            "Workers that serve the same models on the device.",
            MODELS,
            least=1,
            unset="2 for small models on a CPU, else 1",
        ),
    ] = None
    kv_cache_mb: Annotated[
        float | None,
        Setting(
            "Megabytes for what models that write remember of running texts, in all workers.",
            MODELS,
            least=1,
            unset="a quarter of the memory that is free, half on CUDA",
        ),
    ] = None
    options: Annotated[
        Mapping[str, Mapping[str, Any]],
        Setting("Options that one stage alone has, by stage.", MODELS, flag=None),
    ] = field(default_factory=dict)
    settings: Annotated[
        Mapping[str, Mapping[str, Any]],
        Setting(
            "Settings of one stage instead of these, by stage.", MODELS, flag=None, keys=STAGE_KEYS
        ),
    ] = field(default_factory=dict)
    niceness: Annotated[
        int, Setting("Let the sockets go before the models by so much.", MODELS, least=0, most=19)
    ] = 5
    stall_s: Annotated[
        float, Setting("A worker that is silent for so long is started again.", TIMES, least=0.1)
    ] = 30.0

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
