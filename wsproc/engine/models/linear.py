"""Linear layers that a CPU computes faster than torch's own, and how a model is given them.

`PackedLinear` is float32 with the weight laid out once for oneDNN: 1.3 to 4 times as fast as
`nn.Linear` on an AMD EPYC (see `benchmarks/decoding.py`). `Int8Linear` quantises weight and input:

- each output channel's weights are scaled by their own greatest magnitude, once;
- each row of the input is scaled by its own, in every pass, so that a row's result does not depend
  on its neighbours: the sums of integers are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_ROWS = 32  # oneDNN lays the weight out for about so many rows; any number works
_GREATEST = 127.0
_LEAST = 1e-30  # a row of zeros is divided by this


class PackedLinear(nn.Module):
    """`nn.Linear` in float32 on a CPU, `[..., in_features]` to `[..., out_features]`.

    The weight is kept in oneDNN's own layout alone; ValueError where this torch cannot do that.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        ops = torch.ops.mkldnn
        if not all(hasattr(ops, name) for name in ("_reorder_linear_weight", "_linear_pointwise")):
            raise ValueError("this torch has no packed linear layers")
        self.weight: Tensor
        packed = ops._reorder_linear_weight(linear.weight.detach(), _ROWS)
        self.register_buffer("weight", packed, persistent=False)
        self.bias = linear.bias

    def forward(self, states: Tensor) -> Tensor:
        """Return `states` times the weight, plus the bias."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.weight, self.bias, "none", [], ""
        )
        return result


class Int8Linear(nn.Module):
    """`nn.Linear` on a CPU by a product of integers, `[..., in_features]` to `[..., out_features]`.

    `weight` is `[in_features, out_features]` in int8; `scale` `[out_features]` is what one of its
    units stands for.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp_min(_LEAST) / _GREATEST
        units = (weight / scale[:, None]).round().to(torch.int8)
        self.weight: Tensor
        self.scale: Tensor
        self.register_buffer("weight", units.t().contiguous(), persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        bias = torch.zeros(linear.out_features) if linear.bias is None else linear.bias.detach()
        self.bias: Tensor
        self.register_buffer("bias", bias.float(), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """Return `states` times the weight, plus the bias, in the format of `states`."""
        rows = states.reshape(-1, self.in_features).float()
        greatest = rows.abs().amax(dim=1, keepdim=True).clamp_min(_LEAST)
        units = (rows * (_GREATEST / greatest)).round_().to(torch.int8)
        sums = torch._int_mm(units, self.weight)
        result = torch.addcmul(self.bias, sums * (greatest / _GREATEST), self.scale)
        return result.to(states.dtype).reshape(*states.shape[:-1], self.out_features)


def pack_linears(model: nn.Module) -> int:
    """Replace a CPU model's float32 linear layers by packed ones; return how many.

    None where torch cannot pack, or where a packed layer gives other results. A layer whose weight
    is an embedding's too is copied, which costs its size in memory.
    """
    if not torch.backends.mkldnn.is_available():
        return 0
    return _replace(model, _packed)


def quantize_linears(model: nn.Module) -> int:
    """Replace a CPU model's linear layers by int8 ones; return how many."""
    return _replace(model, Int8Linear)


def has_fast_int8() -> bool:
    """Whether this processor multiplies int8 faster than float32: it has the VNNI instructions."""
    supported: Callable[[], bool] = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and hasattr(torch, "_int_mm") and supported()


def parameter_count(model: nn.Module) -> int:
    """Return the weights of a model, those of layers that were replaced included."""
    others = sum(parameter.numel() for parameter in model.parameters())
    return others + _weights(model, PackedLinear, Int8Linear)


def linear_weights(model: nn.Module) -> int:
    """Return the weights of a model's linear layers, replaced or not; biases do not count."""
    return _weights(model, nn.Linear, PackedLinear, Int8Linear)


def _weights(model: nn.Module, *kinds: type[nn.Module]) -> int:
    layers: list[Any] = [one for one in model.modules() if isinstance(one, kinds)]
    return sum(layer.in_features * layer.out_features for layer in layers)


def _replace(model: nn.Module, build: Callable[[nn.Linear], nn.Module | None]) -> int:
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # Subclasses may do more than multiply, so they are left alone.
            replacement = build(child) if type(child) is nn.Linear else None
            if replacement is not None:
                setattr(parent, name, replacement)
                count += 1
    return count


@torch.inference_mode()
def _packed(linear: nn.Linear) -> PackedLinear | None:
    """Return a packed layer that gives what the layer gives, None where there is none."""
    if linear.weight.dtype is not torch.float32 or linear.weight.device.type != "cpu":
        return None
    probe = torch.linspace(-1, 1, linear.in_features)[None]
    try:
        packed = PackedLinear(linear)
        fits = torch.allclose(packed(probe), linear(probe), rtol=1e-4, atol=1e-4)
    except (ValueError, RuntimeError):
        return None
    return packed if fits else None
