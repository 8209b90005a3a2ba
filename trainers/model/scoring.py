"""What a policy says of tokens that are there already, without gradients: log-probabilities, entropies, values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.data.batches import Batch
from trainers.losses.linear import chunk_rows, token_nll
from trainers.model.policy import Policy
from trainers.model.values import ValueHeads


@dataclass(frozen=True)
class TokenScores:
    """Of `N` targets, in float32."""

    logp: Tensor
    """`[N]`: log-probability of the target."""
    entropy: Tensor
    """`[N]`: of the distribution that the target was drawn from, in nats."""
    reach: Tensor
    """`[N]`: squared length of the gradient of `logp` with respect to the state that it is read off."""
    values: Tensor
    """`[N, n]`: of the value heads, if there are any."""


def arithmetic(policy: Policy) -> AbstractContextManager[None]:
    """The type that the policy calculates in, for passes that aren't its own `forward`."""
    device = policy.head.weight.device.type
    return torch.autocast(device, torch.bfloat16, enabled=policy.dtype == torch.bfloat16)


@contextmanager
def evaluating(policy: Policy) -> Iterator[None]:
    """For as long as this lasts the policy doesn't train: no dropout, and a cache of keys and values if asked for."""
    trains = policy.training
    policy.eval()
    try:
        yield
    finally:
        policy.train(trains)


def tempered_nll(policy: Policy, hidden: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """`Policy.token_nll` of logits divided by a temperature."""
    head, bias = _tempered(policy, temperature)
    return token_nll(hidden / temperature, head, bias, targets, policy.chunk_tokens)


@torch.no_grad()
def score(policy: Policy, batch: Batch, temperature: float = 1.0, heads: ValueHeads | None = None) -> TokenScores:
    """Scores of a batch's targets; logits are in memory chunk by chunk, as they are in training."""
    with arithmetic(policy):
        hidden = policy.hidden(batch.input_ids, batch.position_ids).flatten(0, 1)[batch.sources]
        head, bias = _tempered(policy, temperature)
        rows = policy.chunk_tokens or chunk_rows(len(hidden), *head.shape)
        parts = [slice(start, start + rows) for start in range(0, max(len(hidden), 1), rows)]
        found = [_chunk(hidden[part] / temperature, head, bias, batch.targets[part]) for part in parts]
        logp, entropy, reach = map(torch.cat, zip(*found, strict=True))
        values = heads(hidden) if heads is not None else hidden.new_zeros(len(hidden), 0)
    return TokenScores(logp, entropy, reach / temperature**2, values)


def _chunk(hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    logits = nn.functional.linear(hidden, head, bias).float()
    log_sum = logits.logsumexp(-1, keepdim=True)
    at_target = targets[:, None]
    logp = (logits.gather(-1, at_target) - log_sum)[:, 0]
    shares = (logits - log_sum).exp()
    entropy = log_sum[:, 0] - (shares * logits).sum(-1)
    # d logp / d hidden = head[target] - sum of p head
    slope = shares.neg_().scatter_add_(-1, at_target, torch.ones_like(at_target, dtype=shares.dtype))
    return logp, entropy, (slope.to(head.dtype) @ head).float().square().sum(-1)


def _tempered(policy: Policy, temperature: float) -> tuple[Tensor, Tensor | None]:
    """The output layer for states that were divided by the temperature."""
    bias = policy.head.bias
    return policy.head.weight, bias if bias is None else bias / temperature


def without_dropout(policy: Policy) -> None:
    """Switch the base's dropout off, not the adapters': it would make ratios of probabilities from noise."""
    for name, module in policy.model.named_modules():
        if isinstance(module, nn.Dropout) and "lora_dropout" not in name:
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
