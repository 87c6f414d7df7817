"""Linear layers of our own: what torch's give, at their precision, in any company."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsproc.engine.models.linear import (
    Int8Linear,
    PackedLinear,
    linear_weights,
    pack_linears,
    parameter_count,
    quantize_linears,
)

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture
def seeded() -> None:
    """Random numbers are the same in every run."""
    torch.manual_seed(0)


def model() -> nn.Module:
    """Return layers within layers, one of them used twice."""
    inner = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16, bias=False))
    return nn.Sequential(nn.Embedding(5, 16), inner, nn.LayerNorm(16), nn.Linear(16, 3)).eval()


@pytest.mark.parametrize("shape", [(16,), (1, 16), (7, 16), (2, 5, 16)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_packed_layer_gives_what_the_layer_gives(shape: tuple[int, ...], bias: bool) -> None:
    """For inputs of any shape, up to the rounding of float32."""
    linear = nn.Linear(16, 9, bias=bias)
    states = torch.randn(shape)
    torch.testing.assert_close(PackedLinear(linear)(states), linear(states))


@pytest.mark.parametrize("shape", [(1, 64), (7, 64), (2, 5, 64)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_an_int8_layer_is_near(shape: tuple[int, ...], bias: bool) -> None:
    """Each of the 64 products is off by half a unit of weight and input at most."""
    linear = nn.Linear(64, 9, bias=bias)
    states = torch.randn(shape)
    wanted = linear(states)
    found = Int8Linear(linear)(states)
    assert found.shape == wanted.shape
    greatest = states.abs().amax(-1, keepdim=True)
    heaviest = linear.weight.abs().amax(1)
    bound = 64 * greatest * heaviest * (1 / 127 + 1 / 254**2)
    assert ((found - wanted).abs() <= bound + 1e-5).all()
    assert not torch.equal(found, wanted), "nothing was rounded"


@torch.inference_mode()
def test_rows_in_int8_do_not_feel_their_neighbours() -> None:
    """Bit by bit, also beside one a million times as great."""
    layer = Int8Linear(nn.Linear(64, 33))
    rows = torch.randn(40, 64)
    rows[7] *= 1e6
    together = layer(rows)
    for n in (0, 6, 8, 39):
        assert torch.equal(layer(rows[n : n + 1])[0], together[n])


@torch.inference_mode()
def test_a_row_of_zeros_is_the_bias() -> None:
    """It has no greatest value to be scaled by."""
    linear = nn.Linear(8, 4)
    assert torch.equal(Int8Linear(linear)(torch.zeros(1, 8))[0], linear.bias)


@torch.inference_mode()
def test_a_model_is_packed_whole() -> None:
    """All its layers; its answers and its number of weights stay."""
    packed = model()
    tokens = torch.tensor([[0, 1, 4]])
    wanted, count = packed(tokens), parameter_count(packed)
    assert pack_linears(packed) == 3
    assert not any(isinstance(one, nn.Linear) for one in packed.modules())
    torch.testing.assert_close(packed(tokens), wanted)
    assert parameter_count(packed) == count
    assert linear_weights(packed) == 16 * 32 * 2 + 16 * 3


def test_what_is_not_float32_is_left_alone() -> None:
    """Packing is for float32; a subclass may do more than multiply."""

    class Own(nn.Linear):
        """Something of its own."""

    half = nn.Sequential(nn.Linear(4, 4).to(torch.bfloat16), Own(4, 4))
    assert pack_linears(half) == 0
    assert [type(one) for one in half] == [nn.Linear, Own]


def test_nothing_is_packed_where_torch_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where the packed layer gives something else."""
    wrong = lambda self, states: states.new_zeros((*states.shape[:-1], self.out_features))  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(PackedLinear, "forward", wrong)
        assert pack_linears(model()) == 0
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack_linears(model()) == 0


@torch.inference_mode()
def test_a_model_is_quantised_whole() -> None:
    """Its answers stay near, and its number of weights is told as before."""
    small = model()
    tokens = torch.tensor([[0, 1, 4]])
    wanted, count = small(tokens), linear_weights(small)
    assert quantize_linears(small) == 3
    torch.testing.assert_close(small(tokens), wanted, atol=0.05, rtol=0.05)
    assert linear_weights(small) == count
