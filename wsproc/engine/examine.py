"""What torch sees of this machine, as one JSON object: `python -m wsproc.engine.examine`.

It runs in a process of its own, since importing torch takes seconds, and memory that whoever asks
may not have to spare.
"""

from __future__ import annotations

import json
from typing import Any

from wsproc.engine.machine import available_memory, usable_cores


def examine() -> dict[str, Any]:
    """Return the version of torch, its devices, and what this processor computes fast.

    `devices` has a name and, for CUDA, the bytes in all and free, a device; `memory` are the bytes
    that may still be taken; `int8` and `bfloat16` tell of the processor.
    """
    import torch

    from wsproc.engine.models.linear import has_fast_int8

    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "devices": [*_cuda(torch), *_mps(torch)],
        "cores": usable_cores(),
        "memory": available_memory(),
        "int8": has_fast_int8(),
        "bfloat16": bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()),
    }


def _cuda(torch: Any) -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        free, whole = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append({"device": f"cuda:{index}", "name": name, "free": free, "memory": whole})
    return found


def _mps(torch: Any) -> list[dict[str, Any]]:
    return [{"device": "mps", "name": "Apple GPU"}] if torch.backends.mps.is_available() else []


if __name__ == "__main__":
    print(json.dumps(examine()))  # noqa: T201 # this module is a command
