"""Summaries: written by an encoder-decoder model, or chosen from the text's own sentences.

Both kinds have one face.
Item: `{"text", "min_length", "max_length"}`; the lengths may be absent or null, which means the
model's own, and count tokens where a model writes and words where sentences are chosen.
Deltas: `{"text"}`, the summary so far, where it cannot change any more: a model that decodes with
beams may still change every word, and gives one only at the end of each window of a long text.
Result: `{"summary", "windows", "truncated"}`, with `tokens` (how many were written) or `spans`
(the chosen sentences, as pairs of code points in the text). `windows` is into how many parts the
text was divided, each summarised by itself; `truncated` says that the end of the text was not read,
or that the only sentence chosen had to be cut.
"""

from __future__ import annotations

from wsproc.engine.stages.summary_extractive import ExtractiveSummaryStage
from wsproc.engine.stages.summary_seq2seq import Seq2SeqSummaryStage

__all__ = ["ExtractiveSummaryStage", "Seq2SeqSummaryStage"]
