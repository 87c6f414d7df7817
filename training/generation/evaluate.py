"""Figures of the shipped language model beside those of a unigram and a trigram model.

    python -m training.generation.evaluate --data DIR [--weights DIR] [--samples]

Bits per byte is the cross-entropy of the text divided by its UTF-8 bytes, so it compares models of
different tokenizers; perplexity is per token of the model's own tokenizer. Each token is predicted
from at least `STRIDE` tokens before it, but for the first of a text. The n-gram models use the same
tokenizer and are counted on all the text that the language model is trained on.

WikiText-2 is distributed as tokens; they are put together again as ordinary text (`detokenised`).
Its headings are left out. Its `<unk>` stands for a rare word that is lost: it is written as "X",
and a token that covers such an "X" is not scored, nor are its bytes.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from training.corpora import lines, records
from training.generation.corpus import novels, tidy, training_passages
from training.generation.ngram import Floats, Ints, Trigram
from training.report import Figure, table

WINDOW, STRIDE = 512, 256  # tokens
BATCH = 8  # windows
DEV_CHARS = 400_000  # of each dev text, to keep the run short
UNKNOWN = "X"
PROMPTS = (
    "The weather in the morning was",
    "I went to the kitchen and",
    "My favourite book is about",
    "Once upon a time there was",
    "The city is known for",
    "When she opened the door,",
    "Scientists have found that",
    "We should all remember that",
)


@dataclass(frozen=True)
class Scored:
    """A held-out text as token ids, which of them count, and the bytes that those stand for."""

    ids: Ints
    counts: np.ndarray[tuple[int], np.dtype[np.bool_]]
    size: int


def detokenised(line: str) -> str:
    """Return a line of WikiText as ordinary text; `<unk>` stays."""
    text = re.sub(r" @([-,.])@ ", r"\1", line.strip())
    parts = text.split('"')
    quoted = [f'"{part.strip()}"' if place % 2 else part for place, part in enumerate(parts)]
    text = "".join(quoted)
    text = re.sub(r" ([,.;:!?)\]%]|'(?:s|re|ve|ll|d|t|m)?(?!\w))", r"\1", text)
    return re.sub(r"([(\[$£€]) ", r"\1", text)


def scored(tokenizer: PreTrainedTokenizerFast, text: str) -> Scored:
    """Return the text as ids; the end-of-text token leads and is not scored itself."""
    pieces = text.split("<unk>")
    hidden = set(np.cumsum([len(piece) + 1 for piece in pieces[:-1]]) - 1)
    whole = UNKNOWN.join(pieces)
    coded = tokenizer(whole, return_offsets_mapping=True, verbose=False)
    ids = np.array([tokenizer.eos_token_id, *coded["input_ids"]], dtype=np.int64)
    spans = coded["offset_mapping"]
    counts = [hidden.isdisjoint(range(start, end)) for start, end in spans]
    lost = {
        place
        for (start, end), counted in zip(spans, counts, strict=True)
        if not counted
        for place in range(start, end)
    }
    kept = "".join(character for place, character in enumerate(whole) if place not in lost)
    return Scored(ids, np.array([False, *counts]), len(kept.encode()))


def held_out(data: Path) -> dict[str, str]:
    """Return the held-out texts: WikiText-2 whole, of the dev parts the beginning."""
    sections = [
        paragraph
        for article in records(data / "wiki_articles" / "dev.jsonl.xz")
        for group in (article["lead"], *(paragraphs for _, paragraphs in article["body"]))
        for paragraph in group
    ]
    wikitext = [
        detokenised(line)
        for line in lines(data / "wikitext2" / "test.txt.xz")
        if line.strip() and not line.strip().startswith("=")
    ]
    stories = [paragraph for novel in novels(data / "novels" / "dev.txt.xz") for paragraph in novel]
    return {
        "WikiText-2 test": "\n".join(wikitext),
        "wiki_articles dev": "\n".join(map(tidy, sections))[:DEV_CHARS],
        "novels dev": "\n".join(stories)[:DEV_CHARS],
    }


class LanguageModel:
    """The weights in `folder`, loaded as any user would load them."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()  # type: ignore[no-untyped-call]

    def losses(self, ids: Ints) -> Floats:
        """Return the nats of each token from the second on, in overlapping windows."""
        found = np.zeros(len(ids) - 1)
        starts = list(range(0, max(1, len(ids) - 1 - STRIDE), STRIDE))
        for place in range(0, len(starts), BATCH):
            part = starts[place : place + BATCH]
            chunks = [torch.from_numpy(ids[start : start + WINDOW + 1]) for start in part]
            batch = torch.nn.utils.rnn.pad_sequence(chunks, batch_first=True)
            nats = self._nats(batch)
            for row, start, chunk in zip(nats, part, chunks, strict=True):
                new = STRIDE if start else 0
                found[start + new : start + len(chunk) - 1] = row[new : len(chunk) - 1]
        return found

    @torch.inference_mode()
    def _nats(self, batch: torch.Tensor) -> Floats:
        """Return the nats of all but the first column of a (windows, tokens) batch."""
        logits = self.model(input_ids=batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none"
        )
        nats: Floats = loss.view(len(batch), -1).double().numpy()
        return nats

    def continuation(self, prompt: str, seed: int) -> str:
        """Return the prompt and what follows, with the settings that the weights come with."""
        torch.manual_seed(seed)
        inputs = self.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        ids = self.model.generate(**inputs)
        text: str = self.tokenizer.decode(ids[0], skip_special_tokens=True)
        return text


def trigram(data: Path, tokenizer: PreTrainedTokenizerFast) -> Trigram:
    """Return the n-gram baseline, counted on the passages that the model is trained on."""
    passages = training_passages(data)
    ids = [tokenizer.eos_token_id]
    for start in range(0, len(passages), 1000):
        for coded in tokenizer(passages[start : start + 1000], verbose=False)["input_ids"]:
            ids += [*coded, tokenizer.eos_token_id]
    return Trigram(np.array(ids, dtype=np.int64), len(tokenizer))


def figures(data: Path, weights: Path) -> list[Figure]:
    """Measure the weights and the n-gram baselines on the held-out texts."""
    model = LanguageModel(weights)
    baseline = trigram(data, model.tokenizer)
    found: list[Figure] = []
    for name, text in held_out(data).items():
        held = scored(model.tokenizer, text)
        rare = np.r_[held.ids[:1], held.ids]  # so that the n-grams predict the first token too
        found += _measures("generation", name, model.losses(held.ids), held)
        found += _measures("trigram", name, -np.log(baseline.probabilities(rare)), held)[:1]
        found += _measures("unigram", name, -np.log(baseline.unigrams(rare)), held)[:1]
    return found


def _measures(model: str, name: str, nats: Floats, held: Scored) -> list[Figure]:
    """Return bits per byte and perplexity; `nats` are those of all ids but the first."""
    total = float(nats[held.counts[1:]].sum())
    items = int(held.counts.sum())
    bits = total / math.log(2) / held.size
    note = "lower is better"
    return [
        Figure(model, name, "bits per byte", bits, items, note=note),
        Figure(model, name, "token perplexity", math.exp(total / items), items, note=note),
    ]


def main() -> None:
    """Print the figures, or seeded samples."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the corpora; needed for the figures")
    parser.add_argument("--weights", type=Path, default=Path("wsproc/weights/generation"))
    parser.add_argument("--samples", action="store_true", help="print seeded samples")
    options = parser.parse_args()
    if options.data:
        print(table(figures(options.data, options.weights)))
    if options.samples:
        model = LanguageModel(options.weights)
        for seed, prompt in enumerate(PROMPTS):
            print(f"- {model.continuation(prompt, seed)!r}")


if __name__ == "__main__":
    main()
