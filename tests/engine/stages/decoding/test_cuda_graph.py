"""Capturing on CUDA: with one that only notes what is asked of it, and with a real one if any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from wsproc.engine.stages.decoding.cuda_graph import WARM_UP, CudaCapture

DEVICE = torch.device("cuda", 0)


class Stream:
    """A stream by name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wait_stream(self, other: Stream) -> None:
        """Wait for nothing."""


class FakeCuda:
    """What `CudaCapture` uses of `torch.cuda`; `now` is the current stream's name."""

    def __init__(self) -> None:
        self.now = "usual"
        self.capturing = False

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for `torch.cuda`."""
        for name in ("device", "stream", "graph"):
            patch.setattr(torch.cuda, name, getattr(self, name))
        patch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
        patch.setattr(torch.cuda, "Stream", lambda device: Stream("side"))
        patch.setattr(torch.cuda, "current_stream", lambda: Stream(self.now))
        patch.setattr(torch.cuda, "set_stream", self.set_stream)
        patch.setattr(torch.cuda, "CUDAGraph", Graph)

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        """Only the one."""
        assert device == DEVICE
        yield

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        """Make it current for a block."""
        before, self.now = self.now, stream.name
        yield
        self.now = before

    @contextmanager
    def graph(self, graph: Any, *, stream: Stream, **options: Any) -> Iterator[None]:
        """Capture; as in torch the stream stays current where that fails."""
        self.now, self.capturing = stream.name, True
        yield
        self.now, self.capturing = "usual", False

    def set_stream(self, stream: Stream) -> None:
        """Make it current for good."""
        self.now = stream.name


class Graph:
    """A graph that replays nothing."""

    def replay(self) -> str:
        """Say so."""
        return "replayed"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Install a fake."""
    fake = FakeCuda()
    fake.install(monkeypatch)
    return fake


def test_work_is_done_on_the_side_before_it_is_captured(cuda: FakeCuda) -> None:
    """Libraries choose kernels in the first passes, which no capture allows."""
    passes: list[tuple[str, bool]] = []
    replay = CudaCapture(DEVICE)(lambda: passes.append((cuda.now, cuda.capturing)))
    assert passes == [("side", False)] * WARM_UP + [("side", True)]
    assert cuda.now == "usual"
    assert replay() == "replayed"


def test_the_usual_stream_is_back_where_a_capture_fails(cuda: FakeCuda) -> None:
    """Else all later work would go where nobody waits for it."""

    def work() -> None:
        if cuda.capturing:
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        CudaCapture(DEVICE)(work)
    assert cuda.now == "usual"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@torch.inference_mode()
def test_a_real_graph_replays_on_what_is_in_its_tensors_now() -> None:
    """And work that asks for a number fails to be captured, after which others can."""
    source, target = torch.arange(4, device=DEVICE), torch.zeros(4, device=DEVICE)

    def work() -> None:
        target.copy_(source * 2)

    capture = CudaCapture(DEVICE)
    replay = capture(work)
    source += 1
    replay()
    assert target.tolist() == [2, 4, 6, 8]
    with pytest.raises(RuntimeError):
        capture(lambda: target.add_(target.sum().item()))
    source += 1
    CudaCapture(DEVICE)(work)()
    assert target.tolist() == [4, 6, 8, 10]
