"""One CUDA device: classification, decode steps and summaries beside what the device itself can do.

    python -m benchmarks.gpu [--device cuda:0] [--rounds 5] [--output benchmarks/gpu/results.md]
    python -m benchmarks.gpu --tiny --device cpu    # to try the script where there is no GPU

All is measured in one run, on architectures of full size with random weights. A figure is the
median of the rounds, the least and the most behind it.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers

from benchmarks.gpu import classify, decode, limits, summaries
from benchmarks.gpu.bench import Bench
from wsproc.engine.models.device import resolve_device
from wsproc.engine.stages.decoding.static_step import Capture

OUTPUT = Path(__file__).parent / "results.md"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print each row as it is known, and write the table."""
    options = read_options(arguments)
    bench = Bench(resolve_device(options.device), options.rounds, options.tiny)
    with torch.inference_mode():
        found = limits.measure(bench)
        classify.measure(bench, found)
        decode.measure(bench, found, captures(bench.device))
        summaries.measure(bench, found, captures(bench.device))
    options.output.write_text(report(bench), encoding="utf-8")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="tiny models: no figures, only a trial")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the table is written")
    return parser.parse_args(arguments)


def captures(device: torch.device) -> dict[str, Capture | None]:
    """Return the ways of taking a step; on a CPU nothing is captured, and the work done again."""
    if device.type != "cuda":
        return {"plain": None, "static": lambda work: work}
    from wsproc.engine.stages.decoding.cuda_graph import CudaCapture

    return {"plain": None, "captured": CudaCapture(device)}


def report(bench: Bench) -> str:
    """Return the table with what it was measured on."""
    name = "a CPU, as a trial of the script: these are no figures"
    if bench.device.type == "cuda":
        facts = torch.cuda.get_device_properties(bench.device)
        name = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    sizes = "tiny models" if bench.tiny else "models of full size with random weights"
    notes = [
        f"- {name}; host: {platform.machine()}, Python {platform.python_version()}",
        f"- torch {torch.__version__}, transformers {transformers.__version__},"
        f" {str(bench.dtype).removeprefix('torch.')}, {sizes}",
        f"- {datetime.now(UTC):%d %B %Y}, median of {bench.rounds} rounds (least to most)",
    ]
    return "\n".join(["# One device", "", *notes, "", bench.table(), ""])


if __name__ == "__main__":
    main()
