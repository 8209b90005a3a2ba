"""The next token's log-probabilities for a batch of prompts: one prefill, the head at the last positions alone.

What prompts begin with (the first sentence of a scorer's prompt) is run once, and its keys and values serve every row
that begins so. Where a prompt is cut for that follows from its own length: on a CPU its answer has the same bits
whether others share its beginning or none does (see `_forward`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch  # noqa: TID253  loaded by `_torch` in the worker's thread, never by a plan

from engine.models._forward import Inputs, kept, pad, slices, takes
from engine.models._items import Choice
from engine.request import Answer

CUTS = (16, 64, 256, 1024)  # tokens after which prompts may part; multiples of `GRAIN`

Ids = tuple[int, ...]


def next_token(model: Any, items: Sequence[Choice]) -> list[Answer]:
    """The log-probability of each candidate as the next token, over the whole vocabulary, for prompts of one width."""
    cuts = tuple(cut for cut in CUTS if cut < items[0].width) if _has_plain_cache(model) else ()
    beginnings = Beginnings(model, cuts)
    alike = sorted(range(len(items)), key=lambda i: items[i].ids)  # what begins alike shares a pass
    parts = slices([items[i] for i in alike], model, items[0].width - beginnings.length)
    answers = dict(zip(alike, [answer for part in parts for answer in _pass(model, part, beginnings)], strict=True))
    return [answers[i] for i in range(len(items))]


def _has_plain_cache(model: Any) -> bool:
    """Whether the cache is keys and values of all tokens under absolute positions, so that rows can go on from it.

    Behind padding in the middle of a row, a sliding window would reach less far.
    """
    if not takes(model, "position_ids") or not takes(model, "past_key_values"):
        return False
    cache = model(**pad([[0]], model, side="left", width=1), use_cache=True, logits_to_keep=1).past_key_values
    return {type(layer).__name__ for layer in getattr(cache, "layers", ())} == {"DynamicLayer"}


@dataclass
class Beginnings:
    """Keys and values of what prompts begin with, up to each cut; the last ones are remembered."""

    model: Any
    cuts: tuple[int, ...]
    last: dict[int, tuple[list[Ids], Any]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """The tokens that every prompt has before its rest."""
        return max(self.cuts, default=0)

    def before(self, rows: Sequence[Sequence[int]], cut: int) -> Any:
        """A cache with a row for the first `cut` tokens of each of the rows; None where that is nothing."""
        if not cut:
            return None
        begins = [tuple(row[:cut]) for row in rows]
        known = list(dict.fromkeys(begins))
        if self.last.get(cut, (None,))[0] != known:
            self.last[cut] = known, self._run(known, cut)
        cache = copy.deepcopy(self.last[cut][1])
        at = {begin: i for i, begin in enumerate(known)}
        cache.reorder_cache(torch.tensor([at[begin] for begin in begins], device=self.model.device))
        return cache

    def _run(self, begins: Sequence[Ids], cut: int) -> Any:
        done = max((c for c in self.cuts if c < cut), default=0)
        inputs = self.inputs([begin[done:] for begin in begins], cut - done, done)
        cache = self.before(begins, done)
        return self.model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).past_key_values

    def inputs(self, rests: Sequence[Sequence[int]], width: int, done: int) -> Inputs:
        """The inputs of rows that go on after `done` tokens."""
        inputs = pad(rests, self.model, side="left", width=width)
        if done:
            mask = inputs["attention_mask"]
            inputs["attention_mask"] = torch.cat([mask.new_ones(len(mask), done), mask], dim=1)
            inputs["position_ids"] = inputs["position_ids"] + done
        return inputs


def _pass(model: Any, items: Sequence[Choice], beginnings: Beginnings) -> list[Answer]:
    rows, done = [item.ids for item in items], beginnings.length
    inputs = beginnings.inputs([row[done:] for row in rows], items[0].width - done, done)
    cache = beginnings.before(rows, done)
    out = model(**inputs, past_key_values=cache, use_cache=cache is not None, logits_to_keep=kept(model))
    logprobs = out.logits[:, -1].float().log_softmax(-1)
    wanted = {id_ for item in items for id_ in item.candidates.values()}
    at = {id_: i for i, id_ in enumerate(wanted)}
    values = logprobs[:, list(wanted)].tolist()
    return [
        Answer(logprobs={text: row[at[id_]] for text, id_ in item.candidates.items()}, tokens_in=len(item.ids))
        for item, row in zip(items, values, strict=True)
    ]
