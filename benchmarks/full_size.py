"""The benchmark on the architecture of roberta-base, with random weights: for speed alone.

    python -m benchmarks.full_size [options of benchmarks.serving]

125 million parameters take about a gigabyte in each process. The texts are shorter than those for
the small model (2 to 5 chunks), so that a job takes seconds instead of minutes on few cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

from benchmarks import serving
from benchmarks.peers.model import EMBEDDED

DEFAULTS = (
    "--servers=plain,lit-stream,ray,wsproc,wsproc32",
    "--name=full-size",
    "--clients=8,32",
    "--rounds=2",
    "--seconds=12",
    "--characters=400,1000",
    "--passes=1",
    "--beside=16",
    "--cancel-clients=8",
)


def build(folder: Path) -> None:
    """Save a roberta-base of random weights with the embedded model's tokenizer and labels."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id,
        id2label={0: "negative", 1: "neutral", 2: "positive"},
        label2id={"negative": 0, "neutral": 1, "positive": 2},
    )
    torch.manual_seed(0)
    RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> None:
    """Build the model, run the benchmark on it, and throw the model away."""
    with tempfile.TemporaryDirectory(prefix="full-size-") as folder:
        model = Path(folder) / "roberta-base-random"
        build(model)
        serving.main([*DEFAULTS, f"--model={model}", *sys.argv[1:]])


if __name__ == "__main__":
    main()
