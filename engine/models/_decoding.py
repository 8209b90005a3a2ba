"""The decoding loop: replies of a batch, token by token, each drawn by its own request's random numbers.

What a row draws does not depend on the rows beside it: the n-th token of a request comes from the n-th number of a
generator seeded by its `draw`, by inversion of the row's own cumulative distribution. On a CPU that distribution is
the same to the bit in every batch, since steps keep to the rule of `_forward`: a multiple of `GRAIN` rows, one width.
On a GPU float noise is left (1e-2 in bfloat16), which can turn a draw that falls that close to a border.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch  # noqa: TID253  loaded by `_torch` in the worker's thread, never by a plan

from engine.models._forward import kept, pad
from engine.models._items import Draft, even
from engine.request import Answer

SHRINK = 7 / 8  # finished rows leave (a copy of the cache) when no more than this part of the batch is alive
NUCLEUS = 256  # the nucleus is looked for among so many best tokens before the whole vocabulary is sorted

Decode = Callable[[Sequence[int]], str]


@dataclass(eq=False)
class _Row:
    draft: Draft
    tokens: list[int] = field(default_factory=list)
    finish: str | None = None

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.draft.draw)

    def add(self, token: int, ends: Collection[int], decode: Decode) -> None:
        """Take a token, and see whether it is the last one."""
        self.tokens.append(token)
        if token in ends or token in self.draft.ends or self._stopped(decode):
            self.finish = "stop"
        elif len(self.tokens) == self.draft.max_new:
            self.finish = "length"

    def answer(self, ends: Collection[int], decode: Decode) -> Answer:
        """The reply, cut before a stop text or the end-of-text token."""
        ended = self.tokens[-1] in ends or self.tokens[-1] in self.draft.ends
        text = decode(self.tokens[:-1] if ended else self.tokens)
        found = [i for i in (text.find(stop) for stop in self.draft.stop) if i >= 0]
        return Answer(
            text=text[: min(found)] if found else text,
            finish_reason=self.finish,
            tokens_in=len(self.draft.ids),
            tokens_out=len(self.tokens),
        )

    def _stopped(self, decode: Decode) -> bool:
        """Whether the newest token completes a stop text.

        A token is at least a byte, so the last tokens suffice, one for each byte; some more, because a tokenizer may
        drop the space before the first token that it decodes.
        """
        if not self.draft.stop:
            return False
        reach = max(len(stop.encode()) for stop in self.draft.stop) + 4
        tail = decode(self.tokens[-reach:])
        return any(stop in tail for stop in self.draft.stop)


def generate(model: Any, drafts: Sequence[Draft], *, ends: Collection[int], decode: Decode) -> list[Answer]:
    """Continue every draft until it ends, meets a stop text, or is full."""
    rows = [_Row(draft) for draft in drafts]
    live = list(rows)
    inputs = pad([draft.ids for draft in drafts], model, side="left", width=drafts[0].width)
    settings = _settings(live, model.device)
    cache = None
    while True:
        keep = kept(model) if cache is None else 1
        out = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=keep)
        cache = out.past_key_values
        chosen = pick(out.logits[: len(live), -1].float(), _uniform(live, model.device), *settings)
        for row, token in zip(live, chosen.tolist(), strict=True):
            if row.finish is None:
                row.add(token, ends, decode)
        alive = [i for i, row in enumerate(live) if row.finish is None]
        if not alive:
            return [row.answer(ends, decode) for row in rows]
        inputs = _step(inputs, chosen)
        seats = len(inputs["attention_mask"])
        if not SHRINK * seats < even(len(alive)) <= seats:
            index = torch.tensor(alive + alive[:1] * (even(len(alive)) - len(alive)), device=model.device)
            cache.reorder_cache(index)
            inputs = {name: tensor[index] for name, tensor in inputs.items()}
            live = [live[i] for i in alive]
            settings = _settings(live, model.device)


def _uniform(rows: Sequence[_Row], device: Any) -> torch.Tensor:
    """The next random number of each row, float32 (rows,)."""
    return torch.tensor([row.rng.random() for row in rows], dtype=torch.float32, device=device)


def _settings(rows: Sequence[_Row], device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Temperature and top-p of each row, (rows, 1)."""
    values = torch.tensor([(row.draft.temperature, row.draft.top_p) for row in rows], device=device)
    return values[:, :1], values[:, 1:]


def _step(inputs: dict[str, torch.Tensor], chosen: torch.Tensor) -> dict[str, torch.Tensor]:
    """The inputs of the next pass: the chosen tokens, one column more of mask, the next positions.

    Rows behind those that were chosen for only fill the batch up and take any token.
    """
    mask = inputs["attention_mask"]
    spare = chosen[:1].expand(len(mask) - len(chosen))
    step = {
        "input_ids": torch.cat([chosen, spare])[:, None],
        "attention_mask": torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1),
    }
    if "position_ids" in inputs:
        step["position_ids"] = inputs["position_ids"][:, -1:] + 1
    return step


def pick(logits: torch.Tensor, uniform: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """One token a row, int64 (rows,).

    Args:
        logits: float32 (rows, vocabulary).
        uniform: float32 (rows,), in [0, 1).
        temperature: float32 (rows, 1); 0 takes the most likely token.
        top_p: float32 (rows, 1); nucleus sampling (Holtzman et al. 2020, section 3.1), tokens as likely as the last
            of the nucleus included.
    """
    greedy = temperature == 0
    best = logits.argmax(-1)
    if bool(greedy.all()):
        return best
    probabilities = (logits / temperature.masked_fill(greedy, 1.0)).softmax(-1)
    if bool((top_p < 1).any()):
        probabilities = probabilities.masked_fill(probabilities < _least_likely(probabilities, top_p), 0.0)
    cumulative = probabilities.cumsum(-1)
    mass = cumulative[:, -1]
    below = torch.minimum(uniform * mass, mass.nextafter(torch.zeros_like(mass)))  # rounding may reach the mass itself
    drawn = (cumulative <= below[:, None]).sum(-1)
    return torch.where(greedy[:, 0], best, drawn)


def _least_likely(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """The smallest probability in the nucleus of each row, (rows, 1); 0 for rows with top-p 1."""
    ordered = probabilities.topk(min(NUCLEUS, probabilities.shape[-1])).values
    least = _border(ordered, top_p)
    wider = ((ordered.sum(-1, keepdim=True) < top_p) & (top_p < 1))[:, 0]
    if bool(wider.any()):
        least[wider] = _border(probabilities[wider].sort(descending=True).values, top_p[wider])
    return least.masked_fill(top_p >= 1, 0.0)


def _border(ordered: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """The last of the falling probabilities (rows, k) that is needed to reach the mass top-p."""
    outside = ordered.cumsum(-1) - ordered >= top_p
    return ordered.masked_fill(outside, 1.0).amin(-1, keepdim=True)
