"""The NLL of targets under an output layer, without its logits ever being there as a whole.

Two forms. Where the weights of the NLLs are known before (`linear_cross_entropy`), the gradients are computed along
with the loss; where they follow from the NLLs themselves (`token_nll`: preferences, advantages), the logits are made
once more in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
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


def token_nll(
    hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """The NLL of each of `targets`, differentiable one by one; arguments as of `linear_cross_entropy`.

    Returns:
        `[N]`, float32, and whether each target was the likeliest token, `[N]`, without a gradient.
    """
    rows = chunk or chunk_rows(len(hidden), *head.shape)
    nll, hits = _TokenNll.apply(hidden, head, bias, targets, rows)  # type: ignore[no-untyped-call]
    return nll, hits


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
        layer = _Layer(head, bias, _arithmetic(hidden, head))
        grads = _zeros((hidden, head, bias), ctx.needs_input_grad)
        nll, hits = _nothing_yet(hidden)
        for part in _parts(len(hidden), rows):
            logits, log_sum = layer.logits(hidden[part])
            nll[part], hits[part] = _score(logits, log_sum, targets[part])
            layer.add_gradients(grads, part, hidden[part], logits, log_sum, targets[part], weights[part])
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


class _TokenNll(torch.autograd.Function):
    """The upstream gradients are the weights, known only in the backward pass, which makes the logits again."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, rows: int
    ) -> tuple[Tensor, Tensor]:
        layer = _Layer(head, bias, _arithmetic(hidden, head))
        nll, hits = _nothing_yet(hidden)
        for part in _parts(len(hidden), rows):
            nll[part], hits[part] = _score(*layer.logits(hidden[part]), targets[part])
        ctx.save_for_backward(hidden, head, bias, targets)
        ctx.rows, ctx.dtype = rows, layer.dtype
        ctx.mark_non_differentiable(hits)
        return nll, hits

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden, head, bias, targets = ctx.saved_tensors
        layer = _Layer(head, bias, ctx.dtype)
        grads = _zeros((hidden, head, bias), ctx.needs_input_grad)
        for part in _parts(len(hidden), ctx.rows):
            logits, log_sum = layer.logits(hidden[part])
            layer.add_gradients(grads, part, hidden[part], logits, log_sum, targets[part], upstream[0][part])
        given = (
            grad.to(tensor.dtype) if grad is not None else None
            for grad, tensor in zip(grads, (hidden, head, bias), strict=True)
        )
        return (*given, None, None)


@dataclass(frozen=True)
class _Layer:
    """The output layer; its products are in `dtype`, all else in float32."""

    head: Tensor
    bias: Tensor | None
    dtype: torch.dtype

    def logits(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of a chunk, and the logarithm of the sum of their exponentials."""
        x, w = hidden.to(self.dtype), self.head.to(self.dtype)
        logits = x @ w.T if self.bias is None else torch.addmm(self.bias.to(self.dtype), x, w.T)
        wide = logits.float()
        return wide, wide.logsumexp(-1)

    def add_gradients(
        self, grads: list[Tensor | None], part: slice, hidden: Tensor, logits: Tensor, log_sum: Tensor,
        targets: Tensor, weights: Tensor,
    ) -> None:  # fmt: skip
        """Add a chunk's gradients to those of hidden states, head and bias; uses up the logits."""
        if all(grad is None for grad in grads):
            return
        # d nll / d logits = softmax - one-hot, made in the logits' own memory
        at_target = targets.unsqueeze(-1)
        slope = logits.sub_(log_sum.unsqueeze(-1)).exp_()
        slope.scatter_add_(-1, at_target, torch.full_like(at_target, -1, dtype=torch.float32))
        slope.mul_(weights.unsqueeze(-1))
        to_hidden, to_head, to_bias = grads
        narrow = slope.to(self.dtype)
        if to_hidden is not None:
            to_hidden[part] = narrow @ self.head.to(self.dtype)
        if to_head is not None:
            to_head += narrow.T @ hidden.to(self.dtype)
        if to_bias is not None:
            to_bias += slope.sum(0)


def _score(logits: Tensor, log_sum: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """NLL and hits of one chunk."""
    nll = log_sum - logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return nll, logits.argmax(-1) == targets


def _arithmetic(hidden: Tensor, head: Tensor) -> torch.dtype:
    """The type of matrix products: autocast's where it is on."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else head.dtype


def _parts(tokens: int, rows: int) -> Iterator[slice]:
    return (slice(start, start + rows) for start in range(0, tokens, rows))


def _nothing_yet(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Memory for NLLs and hits."""
    return (
        torch.empty(len(hidden), dtype=torch.float32, device=hidden.device),
        torch.empty(len(hidden), dtype=torch.bool, device=hidden.device),
    )


def _zeros(tensors: tuple[Tensor | None, ...], wanted: tuple[bool, ...]) -> list[Tensor | None]:
    """Memory for the gradients that are asked for, in float32."""
    return [
        torch.zeros_like(tensor, dtype=torch.float32) if need and tensor is not None else None
        for tensor, need in zip(tensors, wanted, strict=False)
    ]
