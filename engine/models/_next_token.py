"""The next token's log-probabilities for a batch of prompts: one prefill, the head at the last position alone.

What all prompts of a batch begin with (the first sentence of a scorer's prompt) is run once, and its keys and values
serve every row. A prompt's answer does not depend on the others but for float noise.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch  # noqa: TID253  loaded by `_torch` in the worker's thread, never by a plan

from engine.models._encoding import Choice
from engine.models._forward import Inputs, pad, slices
from engine.request import Answer

SHARED = 8  # tokens that rows must begin with together for a pass of its own to pay


@dataclass(frozen=True)
class Prefix:
    """What rows begin with: how many tokens, and their keys and values for one row (None: nothing is shared)."""

    length: int = 0
    cache: Any = None

    def inputs(self, inputs: Inputs) -> dict[str, Any]:
        """The inputs of rows that go on from here."""
        if self.cache is None:
            return {**inputs, "use_cache": False}
        mask = inputs["attention_mask"]
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(len(mask))
        seen = mask.new_ones(len(mask), self.length)
        return {
            "input_ids": inputs["input_ids"],
            "attention_mask": torch.cat([seen, mask], dim=1),
            "position_ids": inputs["position_ids"] + self.length,
            "past_key_values": cache,
            "use_cache": True,
        }


def next_token(model: Any, items: Sequence[Choice]) -> list[Answer]:
    """The log-probability of each candidate as the next token, over the whole vocabulary."""
    prefix = shared_prefix(model, items)
    rests = [replace(item, ids=item.ids[prefix.length :]) for item in items]
    return [answer for part in slices(rests, model) for answer in _pass(model, part, prefix)]


def shared_prefix(model: Any, items: Sequence[Choice]) -> Prefix:
    """The pass over what all items begin with; every item keeps a token of its own.

    Only for models whose cache is plain keys and values under absolute positions: behind padding in the middle of a
    row, a sliding window would reach less far.
    """
    first, last = min(item.ids for item in items), max(item.ids for item in items)  # what these two share, all share
    alike = [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    begin = alike[: min(item.size for item in items) - 1]
    if len(items) == 1 or len(begin) < SHARED or "position_ids" not in inspect.signature(model.forward).parameters:
        return Prefix()
    cache = model(**pad([begin], model, side="left"), use_cache=True, logits_to_keep=1).past_key_values
    plain = [type(layer).__name__ for layer in getattr(cache, "layers", ())]
    return Prefix(len(begin), cache) if set(plain) == {"DynamicLayer"} else Prefix()


def _pass(model: Any, items: Sequence[Choice], prefix: Prefix) -> list[Answer]:
    inputs = prefix.inputs(pad([item.ids for item in items], model, side="left"))
    logprobs = model(**inputs, logits_to_keep=1).logits[:, -1].float().log_softmax(-1)
    wanted = {id_ for item in items for id_ in item.candidates.values()}
    at = {id_: i for i, id_ in enumerate(wanted)}
    values = logprobs[:, list(wanted)].tolist()
    return [
        Answer(
            logprobs={text: row[at[id_]] for text, id_ in item.candidates.items()},
            tokens_in=prefix.length + len(item.ids),
        )
        for item, row in zip(items, values, strict=True)
    ]
