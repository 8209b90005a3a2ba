"""Gradients of several losses with respect to what they share, for the methods that compare them as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainers.data.batches import Batch
from trainers.model.policy import Policy
from trainers.model.scoring import arithmetic


def shared(policy: Policy) -> list[nn.Parameter]:
    """The adapters, where the model has some, or else the last block of its trunk."""
    if policy.causal is not policy.model:
        return [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    depth = policy.causal.config.get_text_config().num_hidden_layers
    stacks = (part for part in policy.decoder.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)
    return list(next(stacks)[-1].parameters())


def gram_of_gradients(
    policy: Policy, batches: Sequence[Batch], losses: Callable[[Tensor, Batch], Tensor], accelerator: Any
) -> Tensor:
    """Inner products, `[n, n]`, of the gradients of n losses: n backward passes for each batch.

    Args:
        policy: whose `shared` parameters the gradients are of.
        batches: of this process.
        losses: from the states that predict a batch's targets, `[N, H]`, to its part of each loss, `[n]`.
        accelerator: adds the gradients of all processes.
    """
    parameters = shared(policy)
    total: Tensor | None = None
    for batch in (batch.to(accelerator.device) for batch in batches):
        with arithmetic(policy):
            hidden = policy.hidden(batch.input_ids, batch.position_ids).flatten(0, 1)[batch.sources]
            parts = losses(hidden, batch)
        rows = [torch.autograd.grad(part, parameters, retain_graph=True, allow_unused=True) for part in parts]
        found = torch.stack([_flat(row, parameters) for row in rows])
        total = found if total is None else total + found
    assert total is not None
    total = accelerator.reduce(total, "sum").double()
    return total @ total.T


def _flat(gradients: Sequence[Tensor | None], parameters: Sequence[nn.Parameter]) -> Tensor:
    """All in one line; what a loss doesn't reach has none."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).float().flatten() for g, p in pairs])
