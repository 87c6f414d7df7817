"""Readers of the training corpora: compressed text, TSV, JSONL and CoNLL files in one folder.

The folder's layout is `<corpus>/<file>.xz`; `training/README.md` names the public origin and the
licence of every corpus, so that the folder can be built again from the originals.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TaggedSentence:
    """One sentence of a CoNLL file: tokens and their BIO tags, of equal length."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of an `.xz` text file without their line ends."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the tab-separated fields of each line of an `.xz` TSV file."""
    for line in lines(path):
        yield line.split("\t")


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of each line of an `.xz` JSONL file."""
    for line in lines(path):
        yield json.loads(line)


def sentences(path: Path) -> Iterator[TaggedSentence]:
    """Yield the sentences of an `.xz` CoNLL file: token first, BIO tag last, blank line between."""
    tokens: list[str] = []
    tags: list[str] = []
    for line in lines(path):
        fields = line.split()
        if fields:
            tokens.append(fields[0])
            tags.append(fields[-1])
        elif tokens:
            yield TaggedSentence(tuple(tokens), tuple(tags))
            tokens, tags = [], []
    if tokens:
        yield TaggedSentence(tuple(tokens), tuple(tags))
