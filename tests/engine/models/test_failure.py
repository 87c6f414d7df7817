"""The sentences about weights that cannot be loaded."""

from __future__ import annotations

import pytest
import torch

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.failure import explained, sentence
from wsproc.engine.models.source import Kind, Source

HUB = Source("summary", Kind.HUB, "owner/model@v1", "owner/model@v1")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
            "does not fit into memory: choose a smaller one or another --device",
        ),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate"),
            "does not fit into memory: choose a smaller one or another --device",
        ),
        (MemoryError(), "does not fit into memory: choose a smaller one or another --device"),
        (
            ImportError("This tokenizer needs sentencepiece.\nRun something"),
            "needs a package that is not installed (ImportError: This tokenizer needs"
            " sentencepiece): install it",
        ),
        (
            ValueError("\n  first line:  \nsecond line"),
            "cannot be read (ValueError: first line): run `hf download --force-download"
            " owner/model`, give --summary another model, or start with --models embedded",
        ),
        (
            EOFError(),
            "cannot be read (EOFError): run `hf download --force-download owner/model`, give"
            " --summary another model, or start with --models embedded",
        ),
    ],
)
def test_each_fault_has_its_sentence(error: Exception, message: str) -> None:
    """One line with the stage, the model, the fault and what to do."""
    assert sentence(error, HUB) == f"the summary model owner/model@v1 {message}"


def test_a_sentence_that_is_there_is_kept() -> None:
    """What already says it well is passed on; everything else is the cause of what is said."""
    with pytest.raises(ModelUnavailable, match=r"^as it is$"), explained(HUB):
        raise ModelUnavailable("as it is")
    with pytest.raises(ModelUnavailable) as caught, explained(HUB):
        raise KeyError("x")
    assert isinstance(caught.value.__cause__, KeyError)
