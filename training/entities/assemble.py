"""Put the pipeline together around a trained component, and write it as a compact folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spacy.language import Language

from training.entities import rules

BEFORE = "entity_ruler_before"
CORRECTIONS = "entity_ruler_companies"
AFTER = "entity_ruler_after"
REST = "entity_ruler_numbers"
BLOCKER = "whitespace_blocker"
BLOCKED = 3
"""The IOB code that, on a token without entity type, forbids the component any entity there."""


def add_rules(nlp: Language) -> None:
    """Add the rulers around `ner`; only that of the companies replaces what is there already.

    Tokens of white space (line breaks, further blanks) are blocked for `ner`: by itself it forbids
    entities to begin there, but not to end there or to reach across.
    """
    options = {"overwrite_ents": False}
    before: Any = nlp.add_pipe("entity_ruler", BEFORE, before="ner", config=options)
    before.add_patterns(rules.certain())
    blocker: Any = nlp.add_pipe("attribute_ruler", BLOCKER, before="ner")
    blocker.add(patterns=[[{"IS_SPACE": True}]], attrs={"ENT_IOB": BLOCKED})
    fixes: Any = nlp.add_pipe(
        "entity_ruler", CORRECTIONS, after="ner", config={"overwrite_ents": True}
    )
    fixes.add_patterns(rules.corrections())
    after: Any = nlp.add_pipe("entity_ruler", AFTER, after=CORRECTIONS, config=options)
    after.add_patterns(rules.possible())
    rest: Any = nlp.add_pipe("entity_ruler", REST, after=AFTER, config=options)
    rest.add_patterns(rules.remaining())


def save(nlp: Language, folder: Path, meta: dict[str, Any]) -> None:
    """Write the pipeline with its meta data.

    The vocabulary's strings are words met in training, which nothing reads afterwards (vectors are
    found by hash, and texts bring their own strings), so only the labels' strings are kept.
    """
    nlp.meta.update(meta)
    nlp.to_disk(folder)
    labels = sorted({label for names in nlp.pipe_labels.values() for label in names})
    strings = folder / "vocab" / "strings.json"
    strings.write_text(json.dumps(labels, indent=0) + "\n", encoding="utf-8")


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
