"""Where a stage's weights come from: the package itself, a folder, or a name on the Hub.

Rules:

- `embedded` is the model that the package ships; `hub` is the well-known one of `PRESETS`; `none`
  switches the stage off.
- Otherwise a folder that exists wins over a name, and what cannot be a name must be a folder.
- For the entities stage a name without a slash is an installed spaCy package.

Nothing is opened and nothing is asked over the network here; this module loads no model library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from wsproc.engine.call import ModelUnavailable

STAGES = ("sentiment", "summary", "entities", "generation")
"""The stages that the package brings, and the folders of `wsproc/weights`."""

OFF = "none"
"""The name that switches a stage off."""

PRESETS: Mapping[str, Mapping[str, str]] = {
    "embedded": dict.fromkeys(STAGES, "embedded"),
    "hub": {
        "sentiment": "cardiffnlp/twitter-roberta-base-sentiment-latest",
        "summary": "facebook/bart-large-cnn",
        "entities": "en_core_web_sm",
        "generation": "Qwen/Qwen2.5-0.5B-Instruct",
    },
}
"""What `--models NAME` stands for: a model name for each stage."""

Report: TypeAlias = Callable[[str], None]
"""Takes one line, for people, about what is being loaded."""

_NAME = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?(?:@[\w./-]+)?", re.ASCII)


class Kind(StrEnum):
    """What kind of place a `Source` is."""

    EMBEDDED = "embedded"
    FOLDER = "folder"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Source:
    """The place of one stage's weights.

    `location` is a folder's path or, for `Kind.HUB`, a Hub name (`owner/model`, with `@revision`
    behind it where one is wanted) or the name of a spaCy package; `title` is short, for people.
    """

    stage: str
    kind: Kind
    location: str
    title: str

    @property
    def is_spacy_package(self) -> bool:
        """Whether the weights are an installed Python package instead of a Hub repository."""
        return self.stage == "entities" and self.kind is Kind.HUB and "/" not in self.location


def resolve(stage: str, name: str) -> Source | None:
    """Return where the weights of `stage` are when its setting is `name`; None if switched off.

    Raises `ModelUnavailable` for a setting that can be neither a folder nor a name, and for
    embedded weights that are not there.
    """
    if name == OFF:
        return None
    if name == "embedded":
        return _embedded(stage)
    if name == "hub":
        return _hub(stage)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return Source(stage, Kind.FOLDER, str(path.resolve()), path.resolve().name)
    if not _NAME.fullmatch(name) or name.endswith((".", "/")):
        raise ModelUnavailable(_no_such_folder(stage, name, path))
    return Source(stage, Kind.HUB, name, name)


def _embedded(stage: str) -> Source:
    folder = Path(str(files("wsproc"))) / "weights" / stage
    if stage in STAGES and folder.is_dir():
        return Source(stage, Kind.EMBEDDED, str(folder), f"embedded {stage} model")
    raise ModelUnavailable(
        f"--{stage} embedded: this installation has no embedded {stage} model ({folder} is"
        f" missing); install wsproc again, or give --{stage} a folder or a model's name"
    )


def _hub(stage: str) -> Source:
    name = PRESETS["hub"].get(stage)
    if name is None:
        raise ModelUnavailable(
            f"--{stage} hub: no well-known model is set for the stage {stage!r};"
            f" give --{stage} a folder or a model's name"
        )
    return Source(stage, Kind.HUB, name, name)


def _no_such_folder(stage: str, name: str, path: Path) -> str:
    fault = "is a file, not a folder" if path.is_file() else "there is no such folder"
    return (
        f"--{stage} {name}: {fault}; give the folder of a saved model, a model's name such as"
        f" {PRESETS['hub'].get(stage, 'owner/model')}, or one of embedded, hub, none"
    )
