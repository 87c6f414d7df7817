"""Loading transformers checkpoints and the sentence scorer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.engine.checkpoints import (
    byte_tokenizer,
    save_causal_lm,
    save_classifier,
    save_seq2seq,
)
from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.load import (
    DEFAULT_MAX_TOKENS,
    LoadedModel,
    is_extractive,
    load_causal_lm,
    load_classifier,
    load_extractive,
    load_seq2seq,
    max_input_tokens,
)
from wsproc.engine.models.source import Kind, Source

CPU = torch.device("cpu")
Loader = Callable[..., LoadedModel]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one checkpoint of each family."""
    folder = tmp_path_factory.mktemp("checkpoints")
    save_classifier(folder / "classifier")
    save_seq2seq(folder / "seq2seq")
    save_causal_lm(folder / "causal")
    return folder


def _source(folder: Path, stage: str = "sentiment", kind: Kind = Kind.FOLDER) -> Source:
    return Source(stage, kind, str(folder), folder.name)


def _silent(line: str) -> None:
    """Report to nobody."""


def _refusal(load: Loader, source: Source) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load(source, CPU, torch.float32, _silent)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("load", "name", "limit"),
    [
        (load_classifier, "classifier", 62),
        (load_seq2seq, "seq2seq", 48),
        (load_causal_lm, "causal", 40),
    ],
)
def test_a_model_comes_ready_to_run(saved: Path, load: Loader, name: str, limit: int) -> None:
    """It is in eval mode, asks for no gradients, attends by sdpa and knows its longest input."""
    loaded = load(_source(saved / name), CPU, torch.float32, _silent)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.model.config._attn_implementation == "sdpa"
    assert loaded.max_tokens == limit
    assert loaded.tokenizer("a").input_ids[0] == 0


def test_float16_weights_are_widened(tmp_path: Path, saved: Path) -> None:
    """Weights are computed with in the format asked for, not in the one they were saved in."""
    half = load_classifier(_source(saved / "classifier"), CPU, torch.float16, _silent)
    half.model.save_pretrained(tmp_path)
    half.tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float16"
    loaded = load_classifier(_source(tmp_path), CPU, torch.float32, _silent)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_progress_is_told_and_nothing_else_printed(
    saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two lines go to the callback; the libraries' own bars and warnings stay away."""
    lines: list[str] = []
    folder = saved / "classifier"
    load_classifier(_source(folder), CPU, torch.float32, lines.append)
    assert lines == [
        f"loading sentiment model classifier from {folder} (0.1 MB)",
        "sentiment model ready: 0.0 M parameters, float32 on cpu",
    ]
    assert capfd.readouterr() == ("", "")


def test_the_limit_of_roberta_is_less_than_its_table() -> None:
    """RoBERTa's positions begin behind its padding index: 514 embeddings hold 512 tokens."""
    model = _meta(RobertaForMaskedLM, RobertaConfig(max_position_embeddings=514, **_SMALL))
    assert max_input_tokens(model, byte_tokenizer()) == 512


def test_the_limit_of_bert_is_its_table() -> None:
    """BERT's positions begin at zero."""
    config = BertConfig(max_position_embeddings=512, **_SMALL)
    assert max_input_tokens(_meta(BertForSequenceClassification, config), byte_tokenizer()) == 512


def test_a_tokenizers_smaller_limit_counts() -> None:
    """A model may be trained on less than its table holds, which only its tokenizer says."""
    model = _meta(RobertaForMaskedLM, RobertaConfig(max_position_embeddings=514, **_SMALL))
    assert max_input_tokens(model, byte_tokenizer(model_max_length=128)) == 128


def test_a_model_without_a_limit_gets_the_customary_one() -> None:
    """T5 has relative positions; a tokenizer that knows no limit says 1e30."""
    config = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    model = _meta(T5ForConditionalGeneration, config)
    assert byte_tokenizer().model_max_length > 10**20
    assert max_input_tokens(model, byte_tokenizer()) == DEFAULT_MAX_TOKENS


_SMALL: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def _meta(model: Any, config: Any) -> Any:
    with torch.device("meta"):
        return model(config)


@pytest.mark.parametrize(
    ("load", "stage", "name", "words"),
    [
        (
            load_classifier,
            "sentiment",
            "seq2seq",
            "needs a sequence classifier, but {} holds BartForConditionalGeneration",
        ),
        (
            load_causal_lm,
            "generation",
            "seq2seq",
            "needs a causal language model, but {} holds BartForConditionalGeneration",
        ),
        (
            load_seq2seq,
            "summary",
            "causal",
            "needs a sequence-to-sequence model, but {} holds LlamaForCausalLM",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused(
    saved: Path, load: Loader, stage: str, name: str, words: str
) -> None:
    """Transformers would load the parts that fit; the stage would then talk nonsense."""
    folder = saved / name
    assert _refusal(load, _source(folder, stage)) == (
        f"the stage {stage} {words.format(folder)}; give --{stage} another model, or start with"
        " --models embedded"
    )


def test_weights_without_a_trained_head_are_refused(tmp_path: Path, saved: Path) -> None:
    """Missing weights would be filled with random numbers."""
    shutil.copytree(saved / "classifier", tmp_path, dirs_exist_ok=True)
    RobertaForMaskedLM.from_pretrained(tmp_path).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["RobertaForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert _refusal(load_classifier, _source(tmp_path)) == (
        f"the stage sentiment needs a sequence classifier, but {tmp_path} holds weights without"
        " classifier.dense.bias (4 missing); give --sentiment another model, or start with"
        " --models embedded"
    )


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("model.safetensors", b"not tensors at all", "cannot be read (SafetensorError: "),
        ("model.safetensors", b"", "cannot be read (SafetensorError: "),
        ("model.safetensors", None, "has a configuration but no weights: "),
        ("config.json", b"{", "cannot be read (OSError: It looks like the config file at "),
        ("config.json", None, "has no configuration (config.json): "),
        ("config.json", b'{"model_type": "x"}', "cannot be read (ValueError: "),
        ("tokenizer.json", b"{}", "cannot be read ("),
    ],
)
def test_a_damaged_folder_is_one_sentence_with_the_way_out(
    tmp_path: Path, saved: Path, file: str, content: bytes | None, words: str
) -> None:
    """Whatever file is damaged or missing, the message has the model, the fault and the mend."""
    folder = tmp_path / "copy"
    shutil.copytree(saved / "classifier", folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    message = _refusal(load_classifier, _source(folder))
    assert message.startswith(f"the sentiment model {folder} {words}")
    assert message.endswith(
        ": save or copy it again, give --sentiment another model, or start with --models embedded"
    )


def test_a_damaged_embedded_model_is_mended_by_installing_again(tmp_path: Path) -> None:
    """The way out depends on where the weights came from."""
    source = _source(tmp_path, kind=Kind.EMBEDDED)
    assert "(config.json): install wsproc again, give" in _refusal(load_classifier, source)


def test_weights_of_another_shape_are_refused(tmp_path: Path, saved: Path) -> None:
    """A configuration that does not belong to the weights is no model."""
    shutil.copytree(saved / "classifier", tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vocab_size"] += 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert " cannot be read (RuntimeError: " in _refusal(load_classifier, _source(tmp_path))


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path: Path, saved: Path) -> None:
    """Decoders that classify often have no padding token; batches need one."""
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    shutil.copytree(saved / "causal", tmp_path, dirs_exist_ok=True)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_causal_lm(_source(tmp_path), CPU, torch.float32, _silent)
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id == 2


def test_the_sentence_scorer_is_known_by_its_configuration(saved: Path) -> None:
    """The summary stage has two kinds of weights behind one setting."""
    embedded = Path(__file__).parents[3] / "wsproc" / "weights" / "summary"
    assert is_extractive(_source(embedded, "summary"), _silent)
    assert not is_extractive(_source(saved / "seq2seq", "summary"), _silent)
    summarizer = load_extractive(_source(embedded, "summary"), _silent)
    text = "The ship left the port of Bergen at noon. It was late. Nobody on board had slept well."
    assert summarizer.summarize(text, max_words=12).text
