"""Numbers on their way to a device without anybody waiting for them.

A copy from ordinary memory to a CUDA device makes the host wait until the device has done all that
was asked of it before. One from pinned memory is asked for like any other work; torch keeps the
memory until the copy is over. Elsewhere these are plain copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def onto(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return numbers as a tensor on `device`; nested lists of one length give several dimensions.

    `dtype` is by itself int64, bool or float32, as the numbers are.
    """
    source = torch.tensor(values, dtype=dtype)
    return _pinned(source, device).to(device, non_blocking=True)


def write(target: Tensor, values: Sequence[Any]) -> None:
    """Overwrite a tensor on a device with numbers of the same shape."""
    source = torch.tensor(values, dtype=target.dtype)
    target.copy_(_pinned(source, target.device), non_blocking=True)


def _pinned(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory() if device.type == "cuda" else tensor
