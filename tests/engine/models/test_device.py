"""Devices, number formats and threads."""

from __future__ import annotations

import os

import pytest
import torch

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.device import (
    resolve_device,
    resolve_dtype,
    tokenize_in_parallel,
    use_threads,
)

CPU = torch.device("cpu")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let torch believe that the machine has two CUDA devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let torch believe that the machine has neither CUDA nor MPS."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


@pytest.mark.usefixtures("gpus")
def test_auto_prefers_cuda() -> None:
    """Where there is a CUDA device, auto takes it."""
    assert resolve_device("auto") == torch.device("cuda")


def test_auto_prefers_mps_to_the_cpu(bare: pytest.MonkeyPatch) -> None:
    """Without CUDA, auto takes MPS, and the CPU where there is neither."""
    assert resolve_device("auto") == CPU
    bare.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device() == torch.device("mps")


@pytest.mark.usefixtures("gpus")
def test_a_device_is_taken_by_its_number() -> None:
    """`cuda:1` is the second device, `cuda` the first."""
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("cuda") == torch.device("cuda")


@pytest.mark.usefixtures("gpus")
def test_a_device_that_is_too_many_is_named_with_those_there_are() -> None:
    """The message lists what may be given."""
    with pytest.raises(ModelUnavailable) as caught:
        resolve_device("cuda:2")
    assert str(caught.value) == (
        "--device cuda:2: this machine has only cuda:0, cuda:1; give one of them"
    )


def test_no_cuda_says_why(bare: pytest.MonkeyPatch) -> None:
    """A build without CUDA is told from a machine without a GPU."""
    bare.setattr(torch.version, "cuda", None)
    with pytest.raises(ModelUnavailable) as caught:
        resolve_device("cuda")
    assert str(caught.value) == (
        "--device cuda: no CUDA device (this build of torch is without CUDA); give auto or cpu"
    )
    bare.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(ModelUnavailable, match="the driver shows no GPU"):
        resolve_device("cuda")


@pytest.mark.usefixtures("bare")
def test_mps_that_is_not_there_is_refused() -> None:
    """MPS is only for machines that have it."""
    with pytest.raises(ModelUnavailable, match="this machine or this build of torch has no MPS"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "meta", "xpu"])
def test_an_unknown_device_is_refused_with_the_known_ones(name: str) -> None:
    """A typo and a device that nobody has tried are both refused."""
    with pytest.raises(ModelUnavailable) as caught:
        resolve_device(name)
    assert str(caught.value) == (
        f"--device {name}: unknown device; give auto, cpu, mps, cuda or cuda:N"
    )


def test_auto_is_bfloat16_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA device that only emulates bfloat16 gets float32, as do MPS and the CPU."""
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve_dtype("auto", cuda) is torch.bfloat16
    assert resolve_dtype("auto", torch.device("mps")) is torch.float32
    assert resolve_dtype("auto", CPU) is torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert resolve_dtype("auto", cuda) is torch.float32


def test_formats_have_a_long_and_a_short_name() -> None:
    """`bf16` is `bfloat16`."""
    assert resolve_dtype("bf16", CPU) is resolve_dtype("bfloat16", CPU) is torch.bfloat16
    assert resolve_dtype("fp16", CPU) is torch.float16
    with pytest.raises(ModelUnavailable) as caught:
        resolve_dtype("int4", CPU)
    assert str(caught.value) == (
        "--dtype int4: unknown format; give auto, float32, bfloat16, float16, int8"
    )


def test_int8_is_for_a_cpu() -> None:
    """What is not in int8 there is in float32; elsewhere it is refused."""
    assert resolve_dtype("int8", CPU) is torch.float32
    with pytest.raises(ModelUnavailable, match="--dtype int8: only on a CPU, and this is cuda"):
        resolve_dtype("int8", torch.device("cuda"))


def test_threads_are_set_and_told() -> None:
    """None keeps torch's choice; a number sets it; none at all is refused."""
    before = torch.get_num_threads()
    try:
        assert use_threads(None) == before
        assert use_threads(1) == torch.get_num_threads() == 1
        with pytest.raises(ModelUnavailable, match="--threads 0: give a number from 1 up"):
            use_threads(0)
    finally:
        torch.set_num_threads(before)


def test_tokenizers_read_their_threads_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the process was started with: beside a GPU it has the host to itself."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    tokenize_in_parallel(3)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    assert os.environ["RAYON_NUM_THREADS"] == "3"
