"""From a name on the Hub to a folder on this machine: the local cache first, then one download.

`transformers` asks the Hub about every file and retries each question for 20 s or more when there
is no network. So the names are settled here, and models are only ever loaded from a folder:

1. what the cache holds completely is used as it is, without a question to the Hub: a start is the
   same with and without a network (`hf download NAME` fetches a newer revision);
2. otherwise one bounded question says whether the Hub can be reached and has the model;
3. only then are the needed files downloaded.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, ModelInfo, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from wsproc.engine.call import ModelUnavailable
from wsproc.engine.models.source import Report, Source

PROBE_S = 8.0
"""How long the Hub may take, name resolution included, to say that it has a model."""

_SIDE_FILES = (
    "*.json",
    "*.txt",
    "*.jinja",
    "*.model",
    "*.bpe",
)
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def fetch(
    source: Source,
    report: Report,
    *,
    endpoint: str | None = None,
    cache: Path | None = None,
    timeout: float = PROBE_S,
) -> Path:
    """Return a folder with the files of a `Kind.HUB` source, downloading them if need be.

    `endpoint` is the Hub's address and `cache` the cache folder, both as huggingface_hub chooses
    them if None; `timeout` bounds, in seconds, the question whether the Hub has the model.

    Raises `ModelUnavailable`, with the way out, when the files can be had from neither.
    """
    name, _, revision = source.location.partition("@")
    with _explained(source, endpoint, cache):
        cached = _cached(name, revision or constants.DEFAULT_REVISION, cache)
        if cached is not None:
            return cached
        api = HfApi(endpoint=endpoint)
        info = _within(timeout, partial(_ask, api, name, revision or None, timeout))
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        needed = needed_files(sizes)
        total = sum(sizes[file] for file in needed)
        report(f"downloading {source.title} ({total / 1e6:,.0f} MB) into {_place(cache)}")
        folder = snapshot_download(
            name,
            revision=revision or None,
            cache_dir=cache,
            endpoint=endpoint,
            allow_patterns=[escape(file) for file in needed],
            tqdm_class=_reporting_bar(report, source.title, total),
        )
    return Path(folder)


def needed_files(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Return the files of a repository that loading it with torch or spaCy needs, of all `names`.

    For a transformers model: the small files at the top and one kind of weights, safetensors if
    there are any. For a spaCy pipeline (it has a `config.cfg`): everything but the wheel.
    """
    if "config.cfg" in names:
        return [name for name in names if not name.endswith((".whl", ".gitattributes", ".md"))]
    top = [name for name in names if "/" not in name]
    small = [name for name in top if any(fnmatchcase(name, kind) for kind in _SIDE_FILES)]
    for kind in _WEIGHTS:
        weights = [name for name in top if fnmatchcase(name, kind)]
        if weights:
            return small + weights
    return small


def _cached(name: str, revision: str, cache: Path | None) -> Path | None:
    """Return the cached snapshot's folder if nothing that loading needs is missing in it."""
    for file in ("config.json", "config.cfg"):
        found = try_to_load_from_cache(name, file, cache_dir=cache, revision=revision)
        if isinstance(found, str):
            folder = Path(found).parent
            return folder if file == "config.cfg" or _has_weights(folder) else None
    return None


def _has_weights(folder: Path) -> bool:
    single = ("model.safetensors", "pytorch_model.bin")
    if any((folder / file).exists() for file in single):
        return True
    return any(_has_shards(folder, f"{file}.index.json") for file in single)


def _has_shards(folder: Path, index: str) -> bool:
    """Return whether every shard `NAME-0000N-of-0000M` that belongs to the index is there."""
    if not (folder / index).exists():
        return False
    stem, suffix = index.removesuffix(".index.json").rsplit(".", 1)
    shards = sorted(folder.glob(f"{stem}-*-of-*.{suffix}"))
    return bool(shards) and len(shards) == int(shards[0].stem.rsplit("-", 1)[1])


def _ask(api: HfApi, name: str, revision: str | None, timeout: float) -> ModelInfo:
    return api.model_info(name, revision=revision, timeout=timeout, files_metadata=True)


def _within(seconds: float, ask: Callable[[], ModelInfo]) -> ModelInfo:
    """Return what `ask` returns; `TimeoutError` if that takes too long.

    The clock of an HTTP client does not cover the resolver, which alone can take half a minute
    where packets are dropped, so the question runs in a thread that may be left behind.
    """
    answer: Future[ModelInfo] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # it is the asker's to raise
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True, name="hub-probe").start()
    return answer.result(seconds)


@contextmanager
def _explained(source: Source, endpoint: str | None, cache: Path | None) -> Iterator[None]:
    """Turn the Hub's errors into one sentence each, and keep its own warnings off the log."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, HFValidationError, OSError) as error:
        raise ModelUnavailable(_sentence(error, source, endpoint, cache)) from error
    finally:
        logger.setLevel(level)


def _sentence(error: Exception, source: Source, endpoint: str | None, cache: Path | None) -> str:
    """Say what is wrong and what to do about it."""
    hub = endpoint or constants.ENDPOINT
    what = f"the {source.stage} model {source.location}"
    name = source.location.partition("@")[0]
    otherwise = f"give --{source.stage} a folder, or start with --models embedded"
    match error:
        case HFValidationError():
            text = f"{source.location!r} cannot be a model's name on the Hub; {otherwise}"
        case GatedRepoError():
            text = (
                f"{what} is gated: accept its terms at {hub}/{name} and run `hf auth login`"
                f" (or set HF_TOKEN); or {otherwise}"
            )
        case RevisionNotFoundError():
            text = f"{what}: the Hub has the model but not that revision; or {otherwise}"
        case RepositoryNotFoundError():
            text = (
                f"the Hub has no public model {name} for the stage {source.stage}: check the"
                f" spelling, or run `hf auth login` if it is private; or {otherwise}"
            )
        case HfHubHTTPError():
            status = error.response.status_code
            text = f"{hub} answered {status} for {what}: try later, or {otherwise}"
        case OfflineModeIsEnabled():
            text = (
                f"{what} is not in {_place(cache)} and HF_HUB_OFFLINE forbids to download it:"
                f" unset that, set HF_HOME to a cache that has it, {otherwise}"
            )
        case OSError(errno=errno.ENOSPC):
            text = f"{what} does not fit on the disk of {_place(cache)}: make room or set HF_HOME"
        case httpx2.HTTPError() | LocalEntryNotFoundError() | TimeoutError():
            text = (
                f"{what} is not in {_place(cache)} and {hub} cannot be reached:"
                f" check the network, set HF_HOME to a cache that has it, {otherwise}"
            )
        case _:
            text = f"{what}: {_place(cache)} refuses it ({error}): set HF_HOME, or {otherwise}"
    return text


def _place(cache: Path | None) -> str:
    return str(cache or constants.HF_HUB_CACHE)


def _reporting_bar(report: Report, title: str, total: int) -> type[tqdm]:
    """Return a progress bar that shows nothing and reports each tenth of `total` bytes."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts = kwargs.get("name") == "huggingface_hub.snapshot_download"
            self.bytes = 0.0
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            before, self.bytes = self.bytes, self.bytes + (n or 0)
            if self.counts and total and int(10 * self.bytes / total) > int(10 * before / total):
                report(f"downloading {title}: {min(self.bytes / total, 1):.0%}")

    return Bar
