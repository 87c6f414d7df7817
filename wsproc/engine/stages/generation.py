"""Text generation by a causal language model, stepped: runs join and leave between steps.

Item: `{"prompt", "max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed",
"stop", "resume"}`; every key but `prompt` may be absent or null, which means the model's own
generation config. `temperature` 0 is greedy; a temperature above, a `top_p` or a `top_k` asks for
sampling.
Deltas: `{"text", "prompt_tokens", "completion_tokens", "resume"}`, the counts so far; never half a
character nor the beginning of a stop string. With the tokens that the deltas of a run have under
`resume`, another goes on behind them as that one would.
Result: `{"text", "finish_reason", "prompt_tokens", "completion_tokens", "prompt_truncated"}`; the
text is all deltas joined, without the stop string; `finish_reason` is `eos`, `stop` or `length`;
the token that ended the text is counted.

The tokens are those of `generate()` alone with the same settings, for a draw after
`torch.manual_seed(seed)`, whatever joins, leaves or is cancelled beside the run. Without a seed
each run draws by a random one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from wsproc.engine.call import RESUME, EngineError, InvalidItem, Item
from wsproc.engine.models.transfer import onto
from wsproc.engine.stages.decoding.causal import CausalDecoder
from wsproc.engine.stages.decoding.detokenize import Detokenizer
from wsproc.engine.stages.decoding.fields import (
    MAX_INT,
    read_int,
    read_number,
    read_text,
    read_texts,
)
from wsproc.engine.stages.decoding.prompts import Prompt, PromptReader
from wsproc.engine.stages.decoding.sampling import Policy, PolicyMaker, Settings, choose
from wsproc.engine.stages.decoding.slots import SlotTable
from wsproc.engine.stages.decoding.static_step import Capture
from wsproc.engine.stages.decoding.stops import StopFilter
from wsproc.engine.stages.items import tokens_of
from wsproc.engine.stages.padding import groups_by_length
from wsproc.engine.stages.stage import Emission, StepBudget, TokenCount

DEFAULT_MAX_TOKENS = 256
MAX_STOPS = 16
MAX_SEED = 2**63 - 1


@dataclass(slots=True, eq=False)
class GenerationRun:
    """One prompt and its answer so far.

    `tokens` is both; of these, `cached` have their keys and values in the run's slot, `known` were
    there from the beginning, since the run goes on where another broke off, and `told` have gone
    out with deltas.
    """

    prompt: Prompt
    limit: int
    policy: Policy
    text: Detokenizer
    stops: StopFilter
    tokens: list[int]
    known: int
    told: int
    cached: int = 0
    pieces: list[str] = field(default_factory=list)

    @property
    def generated(self) -> int:
        """How many tokens the answer has."""
        return len(self.tokens) - len(self.prompt.tokens)

    @property
    def filling(self) -> bool:
        """Whether part of what was known is still to be read."""
        return self.unread > 0

    @property
    def unread(self) -> int:
        """How many tokens of the prompt, or known ones behind it, are still to be read."""
        return max(0, self.known - self.cached)


class GenerationStage:
    """A `Stage` over any transformers causal language model that takes a `Cache`.

    `rows` runs of up to `context` tokens, prompt and answer together, are held at once, and
    their memory is allocated here. A step decodes one token for each run and spends what is
    left of `tokens` on reading the prompts of newcomers, in equal pieces. Runs beyond `rows`
    wait, giving empty emissions. `context` is at most, and by default, the model's number of
    positions; `launch` is the fixed cost of a forward pass in tokens (see `groups_by_length`);
    `chat=False` gives a model that has a chat template the bare prompt; `max_tokens` is for
    items that name none, where the model's generation config names none either; `capture` is
    for decode steps that are captured once and replayed (see `static_step`). Raises ValueError
    for a model that cannot be decoded row by row.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        rows: int,
        tokens: int,
        context: int | None = None,
        name: str = "generation",
        chat: bool = True,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        launch: int = 48,
        capture: Capture | None = None,
    ) -> None:
        self.name = name
        self.budget = StepBudget(rows=rows, tokens=max(rows, tokens))
        self.counted = TokenCount()
        self.context = _context(model, context)
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._launch = launch
        self._prompts = PromptReader(tokenizer, chat=chat)
        self._policies = PolicyMaker(model)
        self._max_length: int | None = model.generation_config.max_length
        self._eos = self._policies.eos
        self._decoder = CausalDecoder(model, slots=rows, context=self.context, capture=capture)
        cache = self._decoder.cache
        self._slots: SlotTable[GenerationRun] = SlotTable(rows, move=cache.move, swap=cache.swap)

    def weigh(self, item: Item) -> int:
        """Return the tokens to be read first, within one step: what it takes to join."""
        most = min(self.context, self.budget.tokens)
        known = sum(map(len, item.get(RESUME) or ()))
        return min(most, tokens_of(item.get("prompt"), most) + known)

    def begin(self, items: Sequence[Item]) -> list[GenerationRun | EngineError]:
        """Read the items; the device is first used by the step that follows."""
        return [self._begin(item) for item in items]

    def _begin(self, item: Item) -> GenerationRun | EngineError:
        try:
            return self._read(item)
        except InvalidItem as error:
            return error

    def _read(self, item: Item) -> GenerationRun:
        text = read_text(item, "prompt")
        asked = read_int(item, "max_tokens", 1, MAX_INT)
        seed = read_int(item, "seed", 0, MAX_SEED)
        known = _tokens(item.get(RESUME), self._decoder.vocabulary)
        stops = read_texts(item, "stop", MAX_STOPS)
        settings = Settings(
            temperature=read_number(item, "temperature", 0.0, 100.0),
            top_p=read_number(item, "top_p", 0.0, 1.0),
            top_k=read_int(item, "top_k", 0, MAX_INT),
            repetition_penalty=read_number(item, "repetition_penalty", 0.01, 100.0),
        )
        config = self._policies.config(settings)
        room = _room(asked or config.max_new_tokens or self._max_tokens, self.context)
        prompt = self._prompts.read(text, self.context - room)
        length = len(prompt.tokens)
        limit = min(self._answer(asked, config, length), self.context - length)
        if len(known) >= limit:
            raise InvalidItem(f"{RESUME} must have fewer tokens than the answer may have")
        policy = self._policies.make(settings, prompt=length, max_length=length + limit, seed=seed)
        if seed is not None:
            policy.skip(len(known), self._decoder.vocabulary)
        run = GenerationRun(
            prompt=prompt,
            limit=limit,
            policy=policy,
            text=Detokenizer(self._tokenizer),
            stops=StopFilter([*stops, *_strings(config.stop_strings)]),
            tokens=[*prompt.tokens, *known],
            known=length + len(known),
            told=length + len(known),
        )
        run.pieces = [run.stops.push(run.text.push(token)) for token in known]
        return run

    def _answer(self, asked: int | None, config: GenerationConfig, prompt: int) -> int:
        """Return how many tokens to generate, the context aside, as `generate()` would."""
        if asked or config.max_new_tokens:
            return asked or int(config.max_new_tokens)
        if self._max_length:
            return max(1, self._max_length - prompt)
        return self._max_tokens

    @torch.inference_mode()
    def step(self, runs: Sequence[GenerationRun]) -> list[Emission]:
        """Give each run its next token, or read on in its prompt.

        What may fail for want of memory comes first and changes nothing but keys and values, which
        the same step would write again: after an exception the runs are where they were.
        """
        self._seat(runs)
        seated = [run for run in runs if run in self._slots]
        ready = sorted((run for run in seated if not run.filling), key=self._slots.__getitem__)
        parts = self._parts([run for run in seated if run.filling], len(ready))
        logits = [self._decode(ready)] if ready else []
        groups = self._grouped(parts)
        logits += [self._fill(group) for group in groups]
        sizes = dict.fromkeys(ready, 1)
        for group in groups:
            sizes |= group
            self._count_padding(list(group.values()))
        chosen = self._choose(sizes, logits)
        self._count(sizes)
        emissions = {run: self._advance(run, token) for run, token in chosen.items()}
        return [emissions.get(run, Emission()) for run in runs]

    def release(self, runs: Sequence[GenerationRun]) -> None:
        """Free the slots of the runs; one that holds none is passed over."""
        for run in runs:
            if run in self._slots:
                self._decoder.cache.clear(self._slots[run])
                self._slots.drop(run)

    def _seat(self, runs: Sequence[GenerationRun]) -> None:
        """Give slots to runs that have none, in the order of `runs`, while there are any."""
        for run in runs:
            if run not in self._slots and self._slots.free:
                self._slots.take(run)

    def _parts(self, filling: Sequence[GenerationRun], ready: int) -> dict[GenerationRun, int]:
        """Return the prompts to read in this step and how many tokens of each.

        What `ready` runs leave of the budget is shared equally, so that a short prompt does not
        wait for a long one.
        """
        spare = max(1, self.budget.tokens - ready)
        chosen = sorted(filling[:spare], key=self._slots.__getitem__)
        share = spare // max(1, len(chosen))
        return {run: min(share, run.unread) for run in chosen}

    def _grouped(self, parts: Mapping[GenerationRun, int]) -> list[dict[GenerationRun, int]]:
        """Return the parts in groups of like size, so that little padding is computed."""
        runs, sizes = list(parts), list(parts.values())
        groups = groups_by_length(sizes, launch=self._launch, most=self.budget.tokens)
        return [{runs[at]: sizes[at] for at in sorted(group)} for group in groups]

    def _decode(self, ready: Sequence[GenerationRun]) -> Tensor:
        return self._decoder.advance(
            [self._slots[run] for run in ready],
            [run.tokens[-1] for run in ready],
            [run.cached for run in ready],
        )

    def _fill(self, parts: Mapping[GenerationRun, int]) -> Tensor:
        return self._decoder.forward(
            [self._slots[run] for run in parts],
            [run.tokens[run.cached : run.cached + size] for run, size in parts.items()],
            [run.cached for run in parts],
        )

    def _choose(
        self, sizes: Mapping[GenerationRun, int], logits: Sequence[Tensor]
    ) -> dict[GenerationRun, int | None]:
        """Choose a token for each run that has read its prompt to the end.

        `sizes` are the tokens that each run was fed, in the order of the rows of `logits`.
        """
        rows = [row for row, (run, size) in enumerate(sizes.items()) if run.unread <= size]
        if not rows:
            return {}
        runs = list(sizes)
        movers = [runs[row] for row in rows]
        policies = [run.policy for run in movers]
        scores = torch.cat(list(logits)) if len(logits) > 1 else logits[0]
        if len(rows) < len(runs):
            scores = scores[onto(rows, scores.device)]
        chosen = choose(scores, policies, [run.tokens for run in movers])
        return dict(zip(movers, chosen, strict=True))

    def _count(self, sizes: Mapping[GenerationRun, int]) -> None:
        """Note what the forward passes have put into the cache."""
        tokens = sum(sizes.values())
        self.counted.useful += tokens
        self.counted.computed += tokens
        for run, size in sizes.items():
            filling = run.filling
            run.cached += size
            if filling and not run.filling:
                self._slots.promote(run)

    def _count_padding(self, sizes: Sequence[int]) -> None:
        self.counted.computed += len(sizes) * max(sizes) - sum(sizes)

    def _advance(self, run: GenerationRun, token: int | None) -> Emission:
        """Add a token to the answer and say what is new."""
        if token is None:
            return Emission(error=EngineError("the model gave no usable scores for the next token"))
        run.tokens.append(token)
        reason = "eos" if token in self._eos else None
        piece = "" if reason else run.stops.push(run.text.push(token))
        if reason is None and run.stops.stopped:
            reason = "stop"
        if reason is None and run.generated >= run.limit:
            reason = "length"
        if reason in ("eos", "length"):
            piece += run.stops.push(run.text.flush())
            reason = "stop" if run.stops.stopped else reason
            piece += run.stops.flush()
        run.pieces.append(piece)
        return Emission(_deltas(run, piece), _result(run, reason) if reason else None)


def _deltas(run: GenerationRun, piece: str) -> tuple[dict[str, object], ...]:
    if not piece:
        return ()
    before, run.told = run.told, len(run.tokens)
    return ({"text": piece, **_counted(run), RESUME: run.tokens[before:]},)


def _result(run: GenerationRun, reason: str) -> dict[str, object]:
    return {
        "text": "".join(run.pieces),
        "finish_reason": reason,
        **_counted(run),
        "prompt_truncated": run.prompt.truncated,
    }


def _counted(run: GenerationRun) -> dict[str, object]:
    return {"prompt_tokens": len(run.prompt.tokens), "completion_tokens": run.generated}


def _context(model: PreTrainedModel, asked: int | None) -> int:
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    if asked is None and positions is None:
        raise ValueError("the model states no number of positions; give `context`")
    context = min(size for size in (asked, positions) if size is not None)
    if context < 2:
        raise ValueError("context must hold a prompt and an answer, that is, at least 2 tokens")
    return context


def _room(answer: int, context: int) -> int:
    """Return how many tokens of the context no prompt may take: a quarter, if so many are asked."""
    return max(1, min(answer, context // 4))


def _tokens(value: object, vocabulary: int) -> list[int]:
    """Return the tokens of another run's deltas, one list a delta."""
    parts = [] if value is None else value
    if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
        raise InvalidItem(f"{RESUME} must be a list of lists of tokens")
    tokens = [token for part in parts for token in part]
    if not all(isinstance(token, int) and 0 <= token < vocabulary for token in tokens):
        raise InvalidItem(f"{RESUME} must hold tokens of the model")
    return tokens


def _strings(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
