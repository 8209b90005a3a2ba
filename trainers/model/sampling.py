"""Answers drawn from the policy, many at once, with a cache of keys and values.

Every draw comes from a number that belongs to its row and place, so an answer doesn't depend on which others are drawn
beside it, nor on what was drawn before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainers.model.policy import Policy
from trainers.model.scoring import arithmetic

Ids = npt.NDArray[np.int64]


@torch.no_grad()
def sample(
    policy: Policy,
    prompts: Sequence[Ids],
    draws: npt.NDArray[np.float64],
    ends: Sequence[int],
    *,
    temperature: float = 1.0,
    batch_size: int = 64,
) -> list[Ids]:
    """One answer to each prompt, its end token included where it came to one.

    From the whole distribution (no top-k or top-p): the log-probabilities that the trainer computes must be those that
    the answers were drawn with.

    Args:
        policy: in evaluation mode.
        prompts: token ids of each, at least one.
        draws: `[B, T]`, uniform in [0, 1): of row b's t-th token; T is the most that an answer may have.
        ends: tokens that end an answer.
        temperature: what logits are divided by.
        batch_size: answers that are drawn together.
    """
    answers: list[Ids] = [np.empty(0, np.int64)] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))  # alike in length: little padding
    with _padded_attention(policy), arithmetic(policy):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            drawn = _together(policy, [prompts[row] for row in rows], draws[rows], ends, temperature)
            for row, answer in zip(rows, drawn, strict=True):
                answers[row] = answer
    return answers


def _together(
    policy: Policy, prompts: Sequence[Ids], draws: npt.NDArray[np.float64], ends: Sequence[int], temperature: float
) -> list[Ids]:
    """Answers of one batch, padded on the left, until each has ended or is as long as it may be."""
    from transformers import DynamicCache

    device = policy.head.weight.device
    ids, seen = (part.to(device) for part in _left_padded(prompts))
    uniform, stops = torch.from_numpy(draws).to(device), torch.tensor(list(ends), dtype=torch.int64, device=device)
    cache = DynamicCache()
    drawn, ended = [], torch.zeros(len(prompts), dtype=torch.bool, device=device)
    positions = (seen.cumsum(1) - 1).clamp(min=0)
    for at in range(uniform.shape[1]):
        states = policy.decoder(
            input_ids=ids, attention_mask=seen, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        chosen = draw(policy.head(states[:, -1]) / temperature, uniform[:, at])
        drawn.append(torch.where(ended, -1, chosen))
        ended |= torch.isin(chosen, stops)
        if ended.all():
            break
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        seen = torch.cat([seen, torch.ones_like(ids)], 1)
    table = torch.stack(drawn, 1).cpu().numpy()
    return [row[row >= 0] for row in table]


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """The token at which the distribution function passes `uniform`, `[B]`, for logits `[B, V]`."""
    reached = logits.double().softmax(-1).cumsum(-1)
    found = torch.searchsorted(reached, uniform[:, None] * reached[:, -1:], right=True)[:, 0]
    return found.clamp(max=logits.shape[-1] - 1)


def _left_padded(prompts: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Ids `[B, L]` with 0 before shorter prompts, and where they are prompts."""
    width = max(map(len, prompts))
    ids, seen = np.zeros((len(prompts), width), np.int64), np.zeros((len(prompts), width), np.int64)
    for line, prompt in enumerate(prompts):
        ids[line, width - len(prompt) :] = prompt
        seen[line, width - len(prompt) :] = 1
    return torch.from_numpy(ids), torch.from_numpy(seen)


@contextlib.contextmanager
def _padded_attention(policy: Policy) -> Iterator[None]:
    """The policy's own attention is for packs; masks over padding are for scaled dot products."""
    policy.causal.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        policy.causal.set_attn_implementation(policy.attention)
