"""What is said when weights cannot be loaded: the stage, the model and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.source import Kind, Source


@contextmanager
def explained(source: Source) -> Iterator[None]:
    """Turn whatever the libraries raise while they load `source` into `ModelUnavailable`."""
    try:
        yield
    except ModelUnavailable:
        raise
    except Exception as error:
        raise ModelUnavailable(sentence(error, source)) from error


def sentence(error: Exception, source: Source) -> str:
    """Say what is wrong with the weights and what to do about it."""
    what = f"the {source.stage} model {source.location}"
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text:
        return f"{what} does not fit into memory: choose a smaller one or another --device"
    if isinstance(error, ImportError):
        return f"{what} needs a package that is not installed ({_first_line(error)}): install it"
    way = f"{_mend(source)}, give --{source.stage} another model, or start with --models embedded"
    if isinstance(error, FileNotFoundError) and "config.json" in text:
        return f"{what} has no configuration (config.json): {way}"
    if "no file named" in text:
        return f"{what} has a configuration but no weights: {way}"
    return f"{what} cannot be read ({_first_line(error)}): {way}"


def _mend(source: Source) -> str:
    if source.kind is Kind.HUB:
        name = source.location.partition("@")[0]
        return f"run `hf download --force-download {name}`"
    return "install wsproc again" if source.kind is Kind.EMBEDDED else "save or copy it again"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    first = lines[0].strip().rstrip(".:") if lines else ""
    return f"{type(error).__name__}: {first[:160]}" if first else type(error).__name__
