"""The engine's stages on a CUDA device, where there is one: graphs, bfloat16, memory.

In float32, and with tokens that are well apart, what is decoded on a GPU is what `generate()` gives
there; captured steps and plain ones give the same.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tests.engine.stages.decoding.driver import drive
from tests.engine.stages.decoding.tiny import byte_tokenizer, causal_model, seq2seq_model
from tests.engine.stages.test_generation import assert_as_alone, random_item
from wsproc.engine.stages.decoding.cuda_graph import CudaCapture
from wsproc.engine.stages.generation import GenerationStage
from wsproc.engine.stages.summary_seq2seq import Seq2SeqSummaryStage

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

CUDA = torch.device("cuda", 0)


class Counting(CudaCapture):
    """Counts what is captured."""

    captured = 0

    def __call__(self, work: Any) -> Any:
        """Capture, and count it."""
        replay = super().__call__(work)
        self.captured += 1
        return replay


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "mistral"])
def test_generation_gives_what_generate_gives(family: str) -> None:
    """By captured steps, greedily and by seed, whatever joins and leaves."""
    capture = Counting(CUDA)
    model: Any = causal_model(family, seed=1).to(CUDA)
    stage = GenerationStage(model, byte_tokenizer(bos=True), rows=5, tokens=24, capture=capture)
    rng = random.Random(family)
    items = [random_item(rng) for _ in range(16)]
    for item, told in zip(items, drive(stage, items, rng), strict=True):
        assert_as_alone(stage, item, told)
    assert capture.captured


@pytest.mark.parametrize("family", ["bart", "pegasus", "t5"])
def test_captured_summaries_are_those_of_plain_steps(family: str) -> None:
    """Beams included, whatever joins and leaves."""
    capture = Counting(CUDA)
    tokenizer = byte_tokenizer(pair=True)
    tokenizer.model_max_length = 48
    rng = random.Random(family)
    items = [{"text": random_item(rng)["prompt"]} for _ in range(12)]

    def summaries(how: CudaCapture | None) -> list[Any]:
        model: Any = seq2seq_model(family, seed=4).to(CUDA)
        stage = Seq2SeqSummaryStage(model, tokenizer, rows=4, tokens=96, capture=how)
        return [told.result for told in drive(stage, items, random.Random(1))]

    assert summaries(capture) == summaries(None)
    assert capture.captured


def test_a_pass_in_bfloat16_is_near_one_in_float32() -> None:
    """Scores move in their third digit; that is what a GPU's number format costs."""
    model: Any = causal_model("llama", seed=1)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        exact = model(input_ids=ids).logits[0, -1]
        near = model.to(CUDA, torch.bfloat16)(input_ids=ids.to(CUDA)).logits[0, -1]
    spread = float((exact - exact.mean()).abs().max())
    assert float((near.float().cpu() - exact).abs().max()) < 0.1 * spread
