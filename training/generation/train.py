"""Train the small language model: `python -m training.generation.train --data DIR --out DIR`.

The run is bounded by wall-clock minutes, and the learning rate is a function of the share of them
that is over: a short warm-up, a plateau, a linear decay to zero (warm-up, stable, decay; Hägele et
al. 2024). Matrices are trained by Muon (Jordan et al. 2024, its learning rate scaled as in Liu et
al. 2025), embeddings and norms by AdamW. Products are in bfloat16. The state is written to the work
folder every ten minutes, and a run that finds one goes on from it: repeat the command to resume it,
with a larger `--minutes` to train longer.

The weights kept are a moving average, so that those of a run that is cut short are usable too.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from training.generation.attention import register
from training.generation.corpus import training_passages
from training.generation.objective import next_token_loss
from training.generation.tokenizer import END, PAD, train_tokenizer

Tokens = npt.NDArray[np.uint16]

SEED = 7
VOCABULARY = 4096
POSITIONS = 512
BATCH = 8  # blocks of POSITIONS tokens
SHORT = 128  # blocks are cut to this length at first, which makes attention cheaper
LONG_FROM = 0.85  # share of the time after which blocks stay whole
WARM_UP, DECAY_FROM = 0.02, 0.35  # shares of the time
MATRIX_RATE, OTHER_RATE = 8e-3, 3e-3
AVERAGE = 0.99
SAVE_EVERY = 600.0  # seconds
SAMPLING = {
    "do_sample": True,
    "temperature": 0.6,
    "top_k": 40,
    "top_p": 0.9,
    "repetition_penalty": 1.05,
    "max_new_tokens": 128,
}
TOKENIZER_CONFIG = {  # what transformers 4 and 5 both read
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": END,
    "eos_token": END,
    "pad_token": PAD,
    "model_max_length": POSITIONS,
    "clean_up_tokenization_spaces": False,
}


@dataclass
class Progress:
    """How far a run is: optimiser steps, tokens seen, and seconds spent in training."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


class Blocks:
    """The training text as blocks of `POSITIONS` + 1 tokens, in a new order in each epoch."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.count = (len(tokens) - 1) // POSITIONS

    def batch(self, step: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the inputs and targets of a step, (BATCH * POSITIONS / length, length) each."""
        epoch, place = divmod(step * BATCH, self.count - self.count % BATCH)
        order = np.random.default_rng((SEED, epoch)).permutation(self.count)
        starts = order[place : place + BATCH] * POSITIONS
        block = np.stack([self.tokens[start : start + POSITIONS + 1] for start in starts])
        ids = torch.from_numpy(block.astype(np.int64))
        return ids[:, :-1].reshape(-1, length), ids[:, 1:].reshape(-1, length)


class Run:
    """One training run: model, optimisers, averaged weights, progress."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model = model
        model.set_attn_implementation(register())
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        self.optimisers: list[tuple[float, torch.optim.Optimizer]] = [
            (
                MATRIX_RATE,
                torch.optim.Muon(
                    matrices, lr=MATRIX_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
                ),
            ),
            (
                OTHER_RATE,
                torch.optim.AdamW(
                    others, lr=OTHER_RATE, betas=(0.9, 0.97), weight_decay=0.0, fused=True
                ),
            ),
        ]
        self.average = {name: p.detach().clone() for name, p in named}
        self.progress = Progress()

    def step(self, inputs: torch.Tensor, targets: torch.Tensor, rate: float) -> float:
        """Take one optimiser step at the given share of the full learning rates."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = self.model.model(inputs, use_cache=False).last_hidden_state
        loss = next_token_loss(hidden, self.model.model.embed_tokens.weight, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for full, optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = full * rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        keep = min(AVERAGE, self.progress.step / (self.progress.step + 10))
        for name, parameter in self.model.named_parameters():
            self.average[name].lerp_(parameter.detach(), 1 - keep)
        self.progress.step += 1
        self.progress.tokens += inputs.numel()
        return loss.item()

    def save(self, path: Path) -> None:
        """Write the whole state of the run, in one piece or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for _, optimiser in self.optimisers],
            "average": self.average,
            "progress": asdict(self.progress),
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for (_, optimiser), saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.average = state["average"]
        self.progress = Progress(**state["progress"])

    def export(self, out: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        """Write the averaged weights, in half precision, as a transformers folder."""
        averaged: Any = LlamaForCausalLM(self.model.config)
        averaged.load_state_dict(self.average, strict=False)
        averaged.tie_weights()
        averaged.half()
        settings = {**SAMPLING, **_special_ids(tokenizer)}
        averaged.generation_config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
        averaged.save_pretrained(out)
        (out / "model.safetensors").chmod(0o644)
        tokenizer.save_pretrained(out)
        (out / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG, indent=2) + "\n")


def _special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names}


def rate_at(share: float) -> float:
    """Return the share of the full learning rate when this share of the time is over."""
    if share < WARM_UP:
        return share / WARM_UP
    return min(1.0, max(0.0, (1 - share) / (1 - DECAY_FROM)))


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the untrained model, 3.0 million parameters, 0.8 of them embeddings."""
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=5,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=POSITIONS,
            tie_word_embeddings=True,
            **_special_ids(tokenizer),
        )
    )


def encoded(data: Path, work: Path) -> tuple[PreTrainedTokenizerFast, Tokens]:
    """Return the tokenizer and the shuffled, separated passages as ids; kept in the work folder."""
    ids, folder = work / "tokens.npy", work / "tokenizer"
    if not ids.exists():
        passages = training_passages(data)
        np.random.default_rng(SEED).shuffle(passages)
        tokenizer = train_tokenizer(passages[: len(passages) // 2], VOCABULARY, POSITIONS)
        tokenizer.save_pretrained(folder)
        end = tokenizer.eos_token_id
        np.save(ids, _joined(tokenizer, passages, end))
    kept: Any = AutoTokenizer.from_pretrained(folder)
    return kept, np.load(ids)


def _joined(tokenizer: PreTrainedTokenizerFast, passages: list[str], end: int) -> Tokens:
    parts: list[npt.NDArray[np.uint16]] = []
    for start in range(0, len(passages), 1000):
        coded = tokenizer(passages[start : start + 1000], verbose=False)["input_ids"]
        parts.extend(np.array([*ids, end], dtype=np.uint16) for ids in coded)
    return np.concatenate(parts)


def train(data: Path, out: Path, work: Path, minutes: float) -> Progress:
    """Train until the minutes are over, those of earlier runs in the work folder included."""
    work.mkdir(parents=True, exist_ok=True)
    tokenizer, tokens = encoded(data, work)
    blocks, run, state = Blocks(tokens), Run(new_model(tokenizer)), work / "state.pt"
    if state.exists():
        run.load(state)
    progress = run.progress
    print(
        f"{len(tokens):,} tokens, {run.model.num_parameters():,} parameters, {progress}", flush=True
    )
    last, saved = time.monotonic(), progress.seconds
    while (share := progress.seconds / (60 * minutes)) < 1:
        inputs, targets = blocks.batch(progress.step, SHORT if share < LONG_FROM else POSITIONS)
        loss = run.step(inputs, targets, rate_at(share))
        now = time.monotonic()
        progress.seconds, last = progress.seconds + now - last, now
        if progress.step % 50 == 0:
            speed = progress.tokens / progress.seconds
            print(
                f"step {progress.step} loss {loss:.3f} rate {rate_at(share):.3f} "
                f"tokens {progress.tokens:,} minutes {progress.seconds / 60:.1f} {speed:.0f}/s",
                flush=True,
            )
        if progress.seconds - saved >= SAVE_EVERY:
            run.save(state)
            run.export(out, tokenizer)
            saved = progress.seconds
    run.save(state)
    run.export(out, tokenizer)
    return progress


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument(
        "--work", type=Path, default=Path("build/generation"), help="state of the run"
    )
    parser.add_argument("--minutes", type=float, default=82, help="training time, in all runs")
    arguments = parser.parse_args()
    print(train(arguments.data, arguments.out, arguments.work, arguments.minutes))


if __name__ == "__main__":
    main()
