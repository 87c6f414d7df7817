"""What all measurements share: the device, how long things take on it, the rows of the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from benchmarks.stats import spread

HEAD = "| what | size | measured | over or of | that is | aim |\n|-|-|-|-|-|-|"


@dataclass
class Bench:
    """One run: `tiny` is for trying the script itself, `rows` are the lines of its table."""

    device: torch.device
    rounds: int
    tiny: bool
    rows: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights: that of the engine on such a device."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32

    def seconds(self, work: Callable[[], object]) -> float:
        """Return how long `work` takes, until the device has done it."""
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began

    def repeated(self, work: Callable[[], object], warm_up: int = 2) -> list[float]:
        """Return the seconds of each round, after some that are not counted."""
        for _ in range(warm_up):
            work()
        return [self.seconds(work) for _ in range(self.rounds)]

    def wait(self) -> None:
        """Return when the device has nothing left to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def add(self, *cells: str) -> None:
        """Add a row to the table, and print it."""
        if not self.rows:
            print(HEAD)
        self.rows.append("| " + " | ".join(cells) + " |")
        print(self.rows[-1], flush=True)

    def table(self) -> str:
        """Return the table in Markdown."""
        return "\n".join([HEAD, *self.rows])


def ms(seconds: list[float]) -> str:
    """Return seconds as milliseconds: the median, the least and the most."""
    return f"{spread([1000 * one for one in seconds], 2)} ms"
