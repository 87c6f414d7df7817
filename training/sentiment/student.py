"""The shipped classifier: a two-layer ModernBERT, mean-pooled, trained on the teacher's targets.

The first layer attends a few tokens to each side, so that "not bad at all" is read as a phrase; the
second attends everywhere. The embedding takes nine tenths of the parameters and none of the time.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import (
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from training.sentiment.data import LABELS
from training.sentiment.tokenizer import MAX_TOKENS
from training.sentiment.vectors import Vectors

Floats = npt.NDArray[np.float64]
Ids = list[int]
EMBEDDING_SCALE = 0.1


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train; `tokens` counts padded tokens per step."""

    rate: float = 1.5e-3
    tokens: int = 3072
    warmup: float = 0.06
    decay: float = 0.05
    word_dropout: float = 0.1
    averaging: float = 0.998
    seed: int = 0


def build(
    tokenizer: PreTrainedTokenizerFast, vectors: Vectors, layers: int = 2
) -> ModernBertForSequenceClassification:
    """Return an untrained model whose token embeddings are `vectors` [vocabulary, width]."""
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=vectors.shape[1],
        intermediate_size=2 * vectors.shape[1],
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=512,
        layer_types=["sliding_attention"] * (layers - 1) + ["full_attention"],
        local_attention=8,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
        embedding_dropout=0.1,
        mlp_dropout=0.1,
        attention_dropout=0.05,
        classifier_dropout=0.2,
        classifier_pooling="mean",
        classifier_bias=True,
        initializer_range=0.05,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        id2label=dict(enumerate(LABELS)),
        label2id={name: number for number, name in enumerate(LABELS)},
    )
    model = ModernBertForSequenceClassification(config)
    with torch.no_grad():
        _table(model).copy_(torch.from_numpy(vectors) * EMBEDDING_SCALE)
    return model


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[Ids]:
    """Return the token ids of each text, cut at the model's length."""
    ids: list[Ids] = []
    for start in range(0, len(texts), 5000):
        part = list(texts[start : start + 5000])
        ids += tokenizer(part, truncation=True, max_length=MAX_TOKENS, return_attention_mask=False)[
            "input_ids"
        ]
    return ids


def train(
    model: ModernBertForSequenceClassification,
    ids: Sequence[Ids],
    targets: Floats,
    weights: Floats,
    plan: Sequence[Sequence[int]],
    recipe: Recipe,
    report: Callable[[int, ModernBertForSequenceClassification], None],
) -> ModernBertForSequenceClassification:
    """Train on soft `targets` [texts, 3]; return the moving average of the weights.

    `plan` holds the places of the texts to see in each epoch.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)
    optimiser = _optimiser(model, recipe)
    steps = sum(len(_batches(ids, places, recipe.tokens, rng)) for places in plan)
    average: ModernBertForSequenceClassification = copy.deepcopy(model)
    goals = torch.from_numpy(targets.astype(np.float32))
    shares = torch.from_numpy(weights.astype(np.float32))
    step, started = 0, time.monotonic()
    for epoch, chosen in enumerate(plan):
        model.train()
        running = 0.0
        for batch in _batches(ids, chosen, recipe.tokens, rng):
            _set_rate(optimiser, recipe, min(step / steps, 1.0))
            tokens, mask = _pad([ids[place] for place in batch])
            tokens = _drop_words(tokens, mask, recipe.word_dropout)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(input_ids=tokens, attention_mask=mask).logits
            losses = nn.functional.cross_entropy(logits.float(), goals[batch], reduction="none")
            loss = (losses * shares[batch]).mean()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            step += 1
            _follow(average, model, min(recipe.averaging, step / (step + 10)))
            running += float(loss.detach())
            if step % 200 == 0:
                pace = time.monotonic() - started
                print(f"  step {step}/{steps} loss {running / 200:.4f} {pace:.0f} s", flush=True)
                running = 0.0
        report(epoch, average)
    return average


def predict(
    model: ModernBertForSequenceClassification, ids: Sequence[Ids], batch: int = 64
) -> Floats:
    """Return the logits [texts, 3] of encoded texts."""
    model.train(False)
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    logits = np.zeros((len(ids), len(LABELS)))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            tokens, mask = _pad([ids[place] for place in places])
            logits[places] = model(input_ids=tokens, attention_mask=mask).logits.numpy()
    return logits


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    scaled = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(scaled / scaled.sum(-1, keepdims=True))


def fold(
    model: ModernBertForSequenceClassification, temperature: float, bias: Sequence[float]
) -> None:
    """Divide the logits by `temperature` and add `bias`, inside the classifier's own weights."""
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.div_(temperature)
        model.classifier.bias.add_(torch.tensor(bias, dtype=torch.float32))


def _table(model: nn.Module) -> nn.Parameter:
    """Return the token embedding, the only parameter with one row per token."""
    return next(p for name, p in model.named_parameters() if "tok_embeddings" in name)


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    table = _table(model)
    others = [p for p in model.parameters() if p is not table]
    groups = [
        {"params": [table], "weight_decay": 0.0},
        {"params": others, "weight_decay": recipe.decay},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), fused=True)


def _set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, done: float) -> None:
    """Warm up linearly, then follow half a cosine down to a fiftieth."""
    if done < recipe.warmup:
        factor = done / recipe.warmup + 1e-3
    else:
        left = (done - recipe.warmup) / (1 - recipe.warmup)
        factor = 0.02 + 0.98 * (1 + math.cos(math.pi * left)) / 2
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate * factor


def _batches(
    ids: Sequence[Ids], chosen: Sequence[int], tokens: int, rng: random.Random
) -> list[list[int]]:
    """Return batches of texts of about the same length, in random order."""
    order = sorted(chosen, key=lambda place: len(ids[place]) * rng.uniform(0.9, 1.1))
    groups: list[list[int]] = [[]]
    longest = 0
    for place in order:
        longest = max(longest, len(ids[place]))
        if groups[-1] and longest * (len(groups[-1]) + 1) > tokens:
            groups.append([])
            longest = len(ids[place])
        groups[-1].append(place)
    rng.shuffle(groups)
    return groups


def _pad(ids: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Return ids and mask [texts, longest]; the padding id is 0."""
    longest = max(len(one) for one in ids)
    tokens = torch.tensor([one + [0] * (longest - len(one)) for one in ids])
    lengths = torch.tensor([len(one) for one in ids])
    return tokens, (torch.arange(longest)[None] < lengths[:, None]).long()


def _drop_words(tokens: Tensor, mask: Tensor, share: float) -> Tensor:
    """Replace a share of the tokens by [MASK] (id 4), the special ones excepted."""
    chosen = (torch.rand(tokens.shape) < share) & (mask == 1) & (tokens > 4)
    return tokens.masked_fill(chosen, 4)


def _follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    with torch.no_grad():
        pairs = zip(average.parameters(), model.parameters(), strict=True)
        for slow, fast in pairs:
            slow.lerp_(fast, 1 - keep)
