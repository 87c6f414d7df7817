"""Loading a spaCy pipeline with nothing in it but what its entities need.

A component is left out only if it is known to find no entities and no kept component listens to
it; rules over tags or lemmas cannot be told from the configuration, so with an `entity_ruler` or
any component that is not known here, the whole pipeline is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.failure import explained
from wsproc.engine.models.hub import fetch
from wsproc.engine.models.source import Kind, Report, Source

if TYPE_CHECKING:
    from spacy.language import Language

_FINDERS = frozenset({"ner", "beam_ner"})
_ENCODERS = frozenset({"tok2vec", "transformer", "curated_transformer"})
_BYSTANDERS = frozenset(
    {
        "attribute_ruler",
        "lemmatizer",
        "morphologizer",
        "parser",
        "senter",
        "sentencizer",
        "tagger",
        "textcat",
        "textcat_multilabel",
        "trainable_lemmatizer",
    }
)


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A spaCy pipeline that is ready to run, and the components that were left out of it."""

    source: Source
    nlp: Language
    excluded: tuple[str, ...]


def load_spacy(source: Source, device: torch.device, report: Report) -> LoadedPipeline:
    """Load a pipeline from a folder, an installed package or the Hub.

    Raises `ModelUnavailable` with one sentence: package missing, files unreadable, a pipeline that
    finds no entities, or a CUDA device without the package that spaCy needs for it.
    """
    import spacy

    folder = _folder(source, report)
    report(f"loading {source.stage} model {source.title} from {folder}")
    with explained(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _use(device)
        excluded = dispensable(spacy.util.load_config(folder / "config.cfg"))
        nlp = spacy.util.load_model_from_path(folder, exclude=sorted(excluded))
    _check_finder(source, nlp)
    report(f"{source.stage} model ready: {', '.join(nlp.pipe_names)} on {device}")
    return LoadedPipeline(source, nlp, tuple(sorted(excluded)))


def dispensable(config: Mapping[str, Any]) -> set[str]:
    """Return the names of the components, of a pipeline's configuration, that entities can miss."""
    components: Mapping[str, Any] = config.get("components", {})
    factories = {name: component.get("factory") for name, component in components.items()}
    kept = {name for name, factory in factories.items() if factory in _FINDERS}
    others = set(factories.values()) - _FINDERS - _ENCODERS - _BYSTANDERS
    if others or not kept:
        return set()
    heard = {name for finder in kept for name in _upstreams(components[finder])}
    kept |= {name for name in factories if factories[name] in _ENCODERS and {name, "*"} & heard}
    return set(components) - kept


def _upstreams(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the `upstream` of every listener in a component's configuration."""
    if "Listener" in str(part.get("@architectures", "")):
        yield str(part.get("upstream", "*"))
    for value in part.values():
        if isinstance(value, Mapping):
            yield from _upstreams(value)


def _folder(source: Source, report: Report) -> Path:
    """Return the folder with the pipeline's `config.cfg`."""
    if source.is_spacy_package:
        folder = _package_folder(source)
    else:
        folder = fetch(source, report) if source.kind is Kind.HUB else Path(source.location)
    if not (folder / "config.cfg").is_file():
        raise ModelUnavailable(
            f"the {source.stage} model {source.location} is no spaCy pipeline ({folder} has no"
            f" config.cfg): give --{source.stage} a saved pipeline or the name of an installed one,"
            " or start with --models embedded"
        )
    return folder


def _package_folder(source: Source) -> Path:
    """Return the folder `NAME-VERSION` inside an installed spaCy package."""
    import spacy

    name = source.location
    if not spacy.util.is_package(name):
        raise ModelUnavailable(
            f"the {source.stage} model {name} is not installed: run"
            f" `python -m spacy download {name}`, give --{source.stage} a folder, or start with"
            " --models embedded"
        )
    package = spacy.util.get_package_path(name)
    return next((file.parent for file in sorted(package.glob("*/config.cfg"))), package)


def _use(device: torch.device) -> None:
    from thinc.api import require_cpu, require_gpu

    if device.type == "cuda":
        require_gpu(device.index or 0)
    else:
        require_cpu()


def _check_finder(source: Source, nlp: Language) -> None:
    factories = {nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    if factories <= _ENCODERS | _BYSTANDERS:
        raise ModelUnavailable(
            f"the stage {source.stage} needs a pipeline that finds entities, but {source.location}"
            f" has only {', '.join(nlp.pipe_names) or 'a tokenizer'}: give --{source.stage} another"
            " model, or start with --models embedded"
        )
