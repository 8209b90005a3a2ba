"""What a model, as it is, gives to the targets of rows: their log-probabilities, without gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainers.data.batches import Batch
from trainers.model.policy import Policy, Scored


class _Nothing:
    """An objective that wants no gradients."""

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        nll, hits = policy.token_nll(hidden, batch.targets)
        return Scored(nll.sum(), nll, hits)


@torch.no_grad()
def log_probabilities(model: nn.Module, batches: Iterable[Batch], rows: int, device: torch.device) -> Tensor:
    """The log-probability of each row's targets, summed, `[rows]`, float64; 0 for rows that are in no batch.

    Without dropout. `model` is a policy, wrapped for several processes or not; each does its own batches.
    """
    trains = model.training
    model.eval()
    sums = torch.zeros(rows, dtype=torch.float64, device=device)
    for batch in (batch.to(device) for batch in batches):
        sums[batch.rows] = -batch.by_row(model(batch, _Nothing()).nll.double())
    model.train(trains)
    return sums
