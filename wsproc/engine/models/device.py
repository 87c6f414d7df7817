"""Which device a model runs on, in which number format, with how many threads."""

from __future__ import annotations

import os

import torch

from wsproc.engine.call import ModelUnavailable

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""The number formats that a setting may name."""

_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device for a setting: `auto` (CUDA, then MPS, then CPU) or a torch device name.

    Raises `ModelUnavailable` for an unknown name and for a device that this machine does not have.
    """
    if name == "auto":
        return _best()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda", "mps"}:
        raise ModelUnavailable(
            f"--device {name}: unknown device; give auto, cpu, mps, cuda or cuda:N"
        )
    if device.type == "cuda":
        _check_cuda(name, device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelUnavailable(
            f"--device {name}: this machine or this build of torch has no MPS; give auto or cpu"
        )
    return device


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the number format for a setting: `auto`, or a key of `DTYPES` or its short form.

    `auto` is bfloat16 where a CUDA device computes in it natively and float32 everywhere else. It
    is never float16: models trained in bfloat16 overflow its range (65,504) and then give NaN, so
    float16, which is fast on MPS and on older CUDA devices, is for the user to ask for. Weights
    saved in float16 are therefore widened on a CPU, where float16 would also be slow.

    `int8` is for classifiers on a CPU (see `precision`); what it leaves is float32, and so are all
    other models there.

    Raises `ModelUnavailable` for an unknown name, and for int8 on another device.
    """
    if name == "int8":
        if device.type != "cpu":
            raise ModelUnavailable(
                f"--dtype int8: only on a CPU, and this is {device.type}; give auto or bfloat16"
            )
        return torch.float32
    if name == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    dtype = DTYPES.get(_SHORT.get(name, name))
    if dtype is None:
        known = ", ".join((*DTYPES, "int8"))
        raise ModelUnavailable(f"--dtype {name}: unknown format; give auto, {known}")
    return dtype


def use_threads(threads: int | None) -> int:
    """Let torch compute with that many threads in this process (None: as torch chose); return them.

    Raises `ModelUnavailable` for a count below one.
    """
    if threads is not None:
        if threads < 1:
            raise ModelUnavailable(f"--threads {threads}: give a number from 1 up, or leave it out")
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def tokenize_in_parallel(threads: int) -> None:
    """Let batches be tokenized by that many threads; to be called before the first is.

    On a CPU they would take what the model needs. Beside a GPU, which classifies a text in less
    time than one thread tokenizes it, they are what there is to be gained (reasoned, not measured).
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(threads)


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _check_cuda(name: str, index: int) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return
    if count:
        have = ", ".join(f"cuda:{i}" for i in range(count))
        raise ModelUnavailable(f"--device {name}: this machine has only {have}; give one of them")
    reason = (
        "the driver shows no GPU" if torch.version.cuda else "this build of torch is without CUDA"
    )
    raise ModelUnavailable(f"--device {name}: no CUDA device ({reason}); give auto or cpu")
