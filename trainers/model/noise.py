"""Noise on the embeddings of a model in training: NEFTune (Jain et al., arXiv 2310.05914, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def with_noise(embeddings: Tensor, position_ids: Tensor, alpha: float) -> Tensor:
    """Add uniform noise of size `alpha / sqrt(L d)`, with `L` the tokens of the row itself, not of its pack.

    Args:
        embeddings: `[P, L, d]`.
        position_ids: `[P, L]`: rows start where they restart at 0.
        alpha: the paper's scale, 5 to 15.
    """
    row = (position_ids.reshape(-1) == 0).cumsum(0) - 1
    lengths = torch.bincount(row)[row].reshape(position_ids.shape)
    size = alpha / (lengths * embeddings.shape[-1]).sqrt()
    noise = torch.empty_like(embeddings).uniform_(-1, 1)
    return embeddings + noise * size.unsqueeze(-1).to(embeddings.dtype)
