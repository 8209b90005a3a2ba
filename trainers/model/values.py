"""Value heads: what each of n objectives is still worth, read off the states of the policy's trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueHeads(nn.Module):
    """n scalar heads on one trunk, which start from 0: nothing is expected before anything was seen."""

    def __init__(self, width: int, objectives: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, objectives)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """States `[N, H]` to values `[N, n]`, in float32 whatever the trunk is in."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.layer(hidden.float())  # type: ignore[no-any-return]
