"""Losses as pure functions of tensors. A loss is a weighted sum of token NLLs; reductions differ in the weights alone.

The weights come from the batch, which knows how many targets the whole optimiser step has.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def linear_cross_entropy(
    hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted NLL of `targets` under `softmax(hidden @ head.T + bias)`, at most `chunk` rows of logits at a time.

    The gradients are computed along with the loss, chunk by chunk, so that logits `[N, V]` never exist (Liger Kernel,
    arXiv 2410.10989, section 3.2). Softmax is in float32; matrix products are in autocast's type where it is on.

    Args:
        hidden: `[N, H]`, last hidden states of the positions that have a target.
        head: `[V, H]`, the output layer's weights.
        bias: `[V]`, or None.
        targets: `[N]`, int64.
        weights: `[N]`, what each NLL counts in the loss.
        chunk: rows of logits in memory; None for Liger's rule.

    Returns:
        The loss, a scalar in float32; the NLL of each target, `[N]`, and whether it was the likeliest token, `[N]`,
        both without gradients.
    """
    rows = chunk or chunk_rows(len(hidden), *head.shape)
    loss, nll, hits = _LinearCrossEntropy.apply(hidden, head, bias, targets, weights, rows)  # type: ignore[no-untyped-call]
    return loss, nll, hits


def chunk_rows(tokens: int, vocabulary: int, width: int) -> int:
    """Liger's rule: as many rows of logits as take about the memory of the hidden states, in a power of two."""
    rows = math.ceil(tokens / math.ceil(vocabulary / width))
    return 1 << max(rows - 1, 0).bit_length()


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients for an upstream gradient of one are kept from the forward pass, and scaled in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor, rows: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        wanted = [bool(need) for need in ctx.needs_input_grad[:3]]
        grads = [
            torch.zeros_like(tensor, dtype=torch.float32) if need and tensor is not None else None
            for tensor, need in zip((hidden, head, bias), wanted, strict=True)
        ]
        nll = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        hits = torch.empty(len(hidden), dtype=torch.bool, device=hidden.device)
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            nll[part], hits[part] = _chunk(hidden[part], head, bias, targets[part], weights[part], part, grads)
        ctx.save_for_backward(*grads)
        ctx.types = [tensor.dtype if tensor is not None else None for tensor in (hidden, head, bias)]
        ctx.mark_non_differentiable(nll, hits)
        return (nll * weights).sum(), nll, hits

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [
            (grad * upstream[0]).to(dtype) if grad is not None else None
            for grad, dtype in zip(ctx.saved_tensors, ctx.types, strict=True)
        ]
        return (*scaled, None, None, None)


def _chunk(
    hidden: Tensor,
    head: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    weights: Tensor,
    part: slice,
    grads: list[Tensor | None],
) -> tuple[Tensor, Tensor]:
    """NLL and hits of one chunk; adds its gradients to `grads` of hidden states, head and bias."""
    dtype = (
        torch.get_autocast_dtype(hidden.device.type) if torch.is_autocast_enabled(hidden.device.type) else head.dtype
    )
    x, w = hidden.to(dtype), head.to(dtype)
    logits = (x @ w.T if bias is None else torch.addmm(bias.to(dtype), x, w.T)).float()
    log_sum = logits.logsumexp(-1)
    at_target = targets.unsqueeze(-1)
    nll = log_sum - logits.gather(-1, at_target).squeeze(-1)
    hits = logits.argmax(-1) == targets
    if any(grad is not None for grad in grads):
        # d nll / d logits = softmax - one-hot, made in the logits' own memory
        slope = logits.sub_(log_sum.unsqueeze(-1)).exp_()
        slope.scatter_add_(-1, at_target, torch.full_like(at_target, -1, dtype=torch.float32))
        slope.mul_(weights.unsqueeze(-1))
        to_hidden, to_head, to_bias = grads
        narrow = slope.to(dtype)
        if to_hidden is not None:
            to_hidden[part] = narrow @ w
        if to_head is not None:
            to_head += narrow.T @ x
        if to_bias is not None:
            to_bias += slope.sum(0)
    return nll, hits
