"""What the device itself can do: how fast it multiplies, and how fast it moves memory."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch

from benchmarks.gpu.bench import Bench
from benchmarks.stats import spread

REPEATS = 10
"""Pieces of work in one timing, so that asking for them is not what is timed."""


@dataclass(frozen=True)
class Limits:
    """Operations, and bytes read or written, in a second; medians."""

    matrix: float
    memory: float


def measure(bench: Bench) -> Limits:
    """Measure and note both."""
    return Limits(_matrix(bench), _memory(bench))


def _matrix(bench: Bench) -> float:
    """Multiply square matrices in the number format of the weights."""
    side = 256 if bench.tiny else 8192
    one, other = (torch.randn(side, side, device=bench.device).to(bench.dtype) for _ in range(2))
    result = torch.empty_like(one)

    def work() -> None:
        for _ in range(REPEATS):
            torch.mm(one, other, out=result)

    rates = [2 * side**3 * REPEATS / seconds for seconds in bench.repeated(work)]
    name = str(bench.dtype).removeprefix("torch.")
    figure = f"{spread([rate / 1e12 for rate in rates], 2)} Tops/s"
    bench.add("matrix product", f"{side} x {side}, {name}", figure, "", "", "")
    return statistics.median(rates)


def _memory(bench: Bench) -> float:
    """Copy within the device; every byte is read and written."""
    size = 2**20 if bench.tiny else 2**31
    source = torch.zeros(size, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)

    def work() -> None:
        for _ in range(REPEATS):
            target.copy_(source)

    rates = [2 * size * REPEATS / seconds for seconds in bench.repeated(work)]
    figure = f"{spread([rate / 1e9 for rate in rates], 1)} GB/s"
    bench.add("copy", f"{size / 2**20:.0f} MiB", figure, "", "", "")
    return statistics.median(rates)
