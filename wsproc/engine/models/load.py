"""Loading: from a `Source` to a model in eval mode on its device, with its tokenizer and limits.

Every loader gives back a frozen record or raises `ModelUnavailable` with one sentence that names
the stage, the model and the way out; what the libraries print themselves is kept off the terminal.
No code from a model's repository is ever run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto import modeling_auto as auto

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.failure import explained
from wsproc.engine.models.hub import fetch
from wsproc.engine.models.source import Kind, Report, Source

if TYPE_CHECKING:
    from wsproc.engine.models.extractive import ExtractiveSummarizer

DEFAULT_MAX_TOKENS = 512
"""The input length of a model that states none: the smallest that is customary."""

_SENTINEL = 10**9  # `model_max_length` is 1e30 where the tokenizer knows no limit
_CONFIG_LIMITS = (
    "max_position_embeddings",
    "max_encoder_position_embeddings",
    "max_source_positions",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "seq_length",
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A transformers model that is ready to run.

    `max_tokens` is the longest input in tokens, special tokens included: of the encoder for a
    sequence-to-sequence model, of prompt and continuation together for a causal one.
    """

    source: Source
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    max_tokens: int


@dataclass(frozen=True, slots=True)
class _Family:
    """What a stage can run: transformers' auto class and the architectures that belong to it."""

    loader: Any
    architectures: Mapping[str, Any]
    wanted: str


_CLASSIFIER = _Family(
    transformers.AutoModelForSequenceClassification,
    auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "a sequence classifier",
)
_CAUSAL_LM = _Family(
    transformers.AutoModelForCausalLM,
    auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "a causal language model",
)
_SEQ2SEQ = _Family(
    transformers.AutoModelForSeq2SeqLM,
    auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "a sequence-to-sequence model",
)


def load_classifier(
    source: Source, device: torch.device, dtype: torch.dtype, report: Report
) -> LoadedModel:
    """Load a sequence classification checkpoint and its tokenizer; raises `ModelUnavailable`."""
    return _load(_CLASSIFIER, source, device, dtype, report)


def load_causal_lm(
    source: Source, device: torch.device, dtype: torch.dtype, report: Report
) -> LoadedModel:
    """Load a decoder-only language model and its tokenizer; raises `ModelUnavailable`."""
    return _load(_CAUSAL_LM, source, device, dtype, report)


def load_seq2seq(
    source: Source, device: torch.device, dtype: torch.dtype, report: Report
) -> LoadedModel:
    """Load an encoder-decoder model and its tokenizer; raises `ModelUnavailable`."""
    return _load(_SEQ2SEQ, source, device, dtype, report)


def is_extractive(source: Source, report: Report) -> bool:
    """Return whether the weights are of the sentence scorer, which is no transformers model.

    Downloads a Hub model. Raises `ModelUnavailable` for a folder without a readable configuration.
    """
    from wsproc.engine.models.extractive import MODEL_TYPE

    folder = folder_of(source, report)
    with explained(source):
        config = json.loads((folder / "config.json").read_bytes())
        return bool(config.get("model_type") == MODEL_TYPE)


def load_extractive(source: Source, report: Report) -> ExtractiveSummarizer:
    """Load the sentence scorer, which always runs on the CPU; raises `ModelUnavailable`."""
    from wsproc.engine.models.extractive import ExtractiveSummarizer

    folder = folder_of(source, report)
    report(f"loading {source.stage} model {source.title} from {folder}{_size(folder)}")
    with explained(source):
        return ExtractiveSummarizer.from_pretrained(folder)


def folder_of(source: Source, report: Report) -> Path:
    """Return the folder that holds the weights, downloading a Hub model if it is not cached."""
    return fetch(source, report) if source.kind is Kind.HUB else Path(source.location)


def max_input_tokens(model: nn.Module, tokenizer: Any) -> int:
    """Return the longest input in tokens, special tokens included, that both of them take.

    RoBERTa and its relatives number positions from `padding_idx + 1`, so that 514 position
    embeddings hold 512 tokens; such tables are recognised by their `padding_idx`. Models with
    relative positions state no limit; the tokenizer's then counts, or `DEFAULT_MAX_TOKENS`.
    """
    limits = [getattr(tokenizer, "model_max_length", None), _config_limit(model)]
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - offset)
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < _SENTINEL]
    return min(known, default=DEFAULT_MAX_TOKENS)


def _config_limit(model: nn.Module) -> int | None:
    config: Any = model.config
    for text in (config, config.get_text_config()):
        for key in _CONFIG_LIMITS:
            limit = getattr(text, key, None)
            if isinstance(limit, int) and limit > 0:
                return limit
    return None


def _load(
    family: _Family, source: Source, device: torch.device, dtype: torch.dtype, report: Report
) -> LoadedModel:
    folder = folder_of(source, report)
    report(f"loading {source.stage} model {source.title} from {folder}{_size(folder)}")
    with explained(source), _quiet():
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"no config.json in {folder}")
        _check_architecture(family, source, AutoConfig.from_pretrained(folder))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model, info = family.loader.from_pretrained(folder, dtype=dtype, output_loading_info=True)
        _check_complete(family, source, info)
        _ensure_padding(source, model, tokenizer)
        model = model.eval().requires_grad_(False).to(device)
    limit = max_input_tokens(model, tokenizer)
    count = sum(parameter.numel() for parameter in model.parameters())
    name = str(dtype).removeprefix("torch.")
    report(f"{source.stage} model ready: {count / 1e6:.1f} M parameters, {name} on {device}")
    return LoadedModel(source, model, tokenizer, device, dtype, limit)


def _check_architecture(family: _Family, source: Source, config: Any) -> None:
    """Refuse a checkpoint of another kind, of which transformers would load the matching part."""
    names = list(config.architectures or [])
    known = {
        name
        for value in family.architectures.values()
        for name in (value if isinstance(value, tuple | list) else [value])
    }
    if names and not known.intersection(names):
        raise ModelUnavailable(_wrong_kind(family, source, " and ".join(names)))


def _check_complete(family: _Family, source: Source, info: Mapping[str, Any]) -> None:
    """Refuse weights with holes, which transformers would fill with random numbers."""
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelUnavailable(
            _wrong_kind(family, source, f"weights without {missing[0]} ({len(missing)} missing)")
        )


def _wrong_kind(family: _Family, source: Source, found: str) -> str:
    return (
        f"the stage {source.stage} needs {family.wanted}, but {source.location} holds {found};"
        f" give --{source.stage} another model, or start with --models embedded"
    )


def _ensure_padding(source: Source, model: Any, tokenizer: Any) -> None:
    """Let a tokenizer without a padding token pad with its end token; both then agree on it."""
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelUnavailable(
                f"the tokenizer of the {source.stage} model {source.location} has neither a padding"
                " nor an end token: set pad_token in its tokenizer_config.json"
            )
        tokenizer.pad_token_id = tokenizer.eos_token_id
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _size(folder: Path) -> str:
    kinds = ("*.safetensors", "*.bin")
    total = sum(file.stat().st_size for kind in kinds for file in folder.glob(kind))
    return f" ({total / 1e6:,.1f} MB)" if total else ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings and progress bars of transformers off the terminal while it loads."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.log_levels["error"])
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
