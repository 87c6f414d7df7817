"""Capturing work as a CUDA graph: the only place that needs CUDA to run.

All graphs of one `CudaCapture` share the memory of what they compute in between. They may, since
they are replayed one after the other on one stream and leave their results in tensors of their
caller's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM_UP = 2
"""Passes before the capture, in which libraries choose kernels and allocate what they keep."""


class CudaCapture:
    """A `Capture` on one CUDA device; see `static_step`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return a replay of `work`; RuntimeError for work that CUDA cannot capture.

        That is work that waits for the device, such as for a number that decides what is next.
        """
        with torch.cuda.device(self._device):
            usual = torch.cuda.current_stream()
            self._stream.wait_stream(usual)
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP):
                    work()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ):
                    work()
            finally:
                # A capture that fails leaves its own stream in place of the usual one.
                torch.cuda.set_stream(usual)
            usual.wait_stream(self._stream)
        return graph.replay
