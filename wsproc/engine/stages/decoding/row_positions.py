"""Positions by row for decoders that count positions themselves, from the length of their cache.

Encoder-decoder models take no `position_ids` for the decoder: all rows of a batch stand at the same
position. Two ways of using a position are known here, and each is asked with the row's own:

- a table of position embeddings, `embed_positions` (Bart, mBART, Pegasus, Marian, Blenderbot);
- a bias by relative position in the first layer, `compute_bias` (T5, mT5).

Outside `at` the model behaves as ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


class RowPositions:
    """Attached to the decoder of one model; ValueError when the way it counts is not known."""

    def __init__(self, model: PreTrainedModel, *, most: int) -> None:
        self._now: Tensor | None = None
        decoder: Any = model.get_decoder()
        table = getattr(decoder, "embed_positions", None)
        biases = [part for part in decoder.modules() if hasattr(part, "relative_attention_bias")]
        if table is not None and "position_ids" in inspect.signature(table.forward).parameters:
            table.register_forward_pre_hook(self._ask, with_kwargs=True)
            table.register_forward_hook(self._shape)
        elif table is None and len(biases) == 1:
            self._bias(biases[0], most)
        else:
            raise ValueError(f"how {type(model).__name__} counts positions is not known")

    @contextmanager
    def at(self, positions: Tensor) -> Iterator[None]:
        """Let each row of the decoder, one token wide, stand at its own of `positions` `[rows]`."""
        self._now = positions
        try:
            yield
        finally:
            self._now = None

    def _ask(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        return None if self._now is None else (args, {**kwargs, "position_ids": self._now})

    def _shape(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return None if self._now is None else output.view(len(self._now), 1, output.shape[-1])

    def _bias(self, attention: Any, most: int) -> None:
        """Answer `compute_bias` from a table `[heads, position of query, position of key]`."""
        original = attention.compute_bias
        tables: list[Tensor] = []

        def by_row(query_length: int, key_length: int, *args: Any, **kwargs: Any) -> Tensor:
            if self._now is None:
                bias: Tensor = original(query_length, key_length, *args, **kwargs)
                return bias
            if not tables:
                tables.append(original(most, most)[0])
            rows = tables[0][:, self._now, :key_length]
            return rows.transpose(0, 1)[:, :, None]

        attention.compute_bias = by_row
