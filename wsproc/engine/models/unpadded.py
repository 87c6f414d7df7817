"""A classifier's texts behind each other in one row, so that no padding is computed.

Linear layers, norms and activations look at one token at a time, so to them it is all the same
where a text ends; attention is computed text by text, those of equal length together. So nothing of
a neighbour reaches a result, which is what int8 needs; all that a float32 product may do in other
company is to add up in another order.

That works for encoders whose head reads the first token of a text: BERT, RoBERTa, DistilBERT and
their families. Whether it does is seen at load, where sentences must get the logits that they get
one by one; other models go on in padded batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from wsproc.engine.models.attention import use_attention

NAME = "wsproc_unpadded"

TOLERANCE = 1e-3
"""How far a logit may be off one by one: sums in another order move the sixth digit."""

_SIZES = "wsproc_sizes"  # the argument by which the layers are told where the texts end


class Unpadded:
    """Runs a sequence classification model over texts that stand in one row.

    Changes the model: its attention becomes the one below, which is the usual one for whoever calls
    the model as before. Raises ValueError for a model that this does not fit, as far as its parts
    show it; see `unpadded` for one that was tried.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        base: Any = model.base_model
        body = getattr(base, "encoder", None) or getattr(base, "transformer", None)
        embeddings = getattr(base, "embeddings", None)
        if not isinstance(body, nn.Module) or not isinstance(embeddings, nn.Module):
            raise ValueError(f"{type(model).__name__} is no encoder of the kind of BERT")
        self._model: Any = model
        # RoBERTa's family counts positions from behind the padding's own, BERT's from 0.
        counts = hasattr(embeddings, "create_position_ids_from_input_ids")
        self._first = int(model.config.pad_token_id or 0) + 1 if counts else 0
        use_attention(model, NAME, _attend, _mask)
        self._hook = body.register_forward_hook(_leave_first_tokens, with_kwargs=True)

    def undo(self, attention: str) -> None:
        """Leave the model as it was, with the attention of that name."""
        self._hook.remove()
        self._model.set_attn_implementation(attention)

    @torch.inference_mode()
    def logits(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Return logits `[texts, labels]` for token ids, special ones included.

        It is fastest when texts of equal length stand next to each other.
        """
        device = self._model.device
        sizes = [len(text) for text in texts]
        ids = torch.tensor([[token for text in texts for token in text]], device=device)
        positions = torch.cat([torch.arange(size) for size in sizes]).to(device)
        found: Tensor = self._model(
            input_ids=ids, position_ids=positions[None] + self._first, **{_SIZES: sizes}
        ).logits
        return found


def unpadded(model: PreTrainedModel, probes: Sequence[Sequence[int]]) -> Unpadded | None:
    """Return how to run a model without padding, or None where that changes the probes' logits."""
    usual = torch.cat([_usual(model, probe) for probe in probes])
    attention = str(model.config._attn_implementation)
    try:
        row = Unpadded(model)
    except ValueError:
        return None
    try:
        fits = all(_alike(found, usual) for found in _both_ways(row, probes))
    except Exception:  # a part of the model is made otherwise; padded batches serve every model
        fits = False
    if fits:
        return row
    row.undo(attention)
    return None


def _both_ways(row: Unpadded, probes: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    return row.logits(probes), torch.cat([row.logits([probe]) for probe in probes])


def _alike(found: Tensor, usual: Tensor) -> bool:
    return found.shape == usual.shape and torch.allclose(found, usual, rtol=0.0, atol=TOLERANCE)


@torch.inference_mode()
def _usual(model: Any, text: Sequence[int]) -> Tensor:
    logits: Tensor = model(input_ids=torch.tensor([list(text)], device=model.device)).logits
    return logits


def _leave_first_tokens(
    body: nn.Module, inputs: Any, arguments: Mapping[str, Any], output: Any
) -> Any:
    """Let the head see the first token of each text, `[texts, 1, size]`, and nothing else."""
    sizes = arguments.get(_SIZES)
    if sizes is None:
        return output
    states: Tensor = output.last_hidden_state
    lengths = torch.tensor(sizes)
    output.last_hidden_state = states[0, (lengths.cumsum(0) - lengths).to(states.device)][:, None]
    return output


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each text: `[1, heads, tokens, size]` to `[1, tokens, heads, size]`."""
    sizes: Sequence[int] | None = kwargs.pop(_SIZES, None)
    if sizes is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    parts = []
    at = 0
    for size, alike in groupby(sizes):
        count = len(list(alike))
        end = at + count * size
        queries, keys, values = (
            states[0, :, at:end].unflatten(1, (count, size)).transpose(0, 1)
            for states in (query, key, value)
        )
        found = scaled_dot_product_attention(queries, keys, values, scale=kwargs.get("scaling"))
        parts.append(found.transpose(1, 2).flatten(0, 1))
        at = end
    return torch.cat(parts)[None], None


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """Return the usual mask; none where nobody has masked anything."""
    if kwargs.get("attention_mask") is None:
        return None
    mask: Tensor | None = sdpa_mask(*args, **kwargs)
    return mask
