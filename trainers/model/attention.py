"""How the rows of a pack are kept apart, by the fastest attention that machine and packages allow.

On a GPU that is transformers' own (it finds the rows by their positions, which restart at 0). On a CPU it is
attention row by row: a mask over whole packs would have it work through all that is masked.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

BY_ROW = "row_by_row"
SHORTEST = 32
"""Rows up to this length are attended to together."""


def implementation(device: torch.device, config: Any) -> str:
    """The name that transformers knows it by.

    Flash attention with variable lengths where it is installed, FlexAttention on other GPUs, and on CPUs attention row
    by row, or scaled dot products under a mask for models with sliding windows.
    """
    if device.type == "cuda":
        installed = importlib.util.find_spec("flash_attn") and torch.cuda.get_device_capability(device) >= (8, 0)
        return "flash_attention_2" if installed else "flex_attention"
    if getattr(config, "sliding_window", None):
        return "sdpa"
    register()
    return BY_ROW


def register() -> None:
    """Make attention row by row known to transformers."""
    from transformers import AttentionInterface

    AttentionInterface.register(BY_ROW, attend_by_row)


@dataclass(frozen=True)
class Layout:
    """Where the tokens of `[P, L]` packs stand when each row has a line of its own, padded to one of a few widths."""

    blocks: tuple[tuple[int, int], ...]
    """Lines and width of each block of lines, `(R, W)`; together `S` slots."""
    token_of: Tensor
    """`[S]`: the token of the flattened packs in each slot; 0 where a line is padded."""
    slot_of: Tensor
    """`[P * L]`: the slot of each token."""
    padded: Tensor
    """`[S]`, bool."""


def layout(position_ids: Tensor) -> Layout:
    """Rows by their positions, `[P, L]`: a row starts where they restart at 0."""
    starts = np.flatnonzero(position_ids.numpy().reshape(-1) == 0)
    lengths = np.diff(starts, append=position_ids.numel())
    widths = np.maximum(SHORTEST, 2 ** np.ceil(np.log2(lengths)).astype(np.int64))
    slots, blocks, filled = np.empty(position_ids.numel(), np.int64), [], 0
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        fitting = int(lengths[rows].max())
        blocks.append((len(rows), fitting))
        line = np.repeat(filled + np.arange(len(rows)) * fitting, lengths[rows])
        within = np.arange(lengths[rows].sum()) - np.repeat(np.cumsum(lengths[rows]) - lengths[rows], lengths[rows])
        slots[np.repeat(starts[rows], lengths[rows]) + within] = line + within
        filled += len(rows) * fitting
    tokens, padded = np.zeros(filled, np.int64), np.ones(filled, bool)
    tokens[slots], padded[slots] = np.arange(len(slots)), False
    return Layout(tuple(blocks), *map(torch.from_numpy, (tokens, slots, padded)))


def attend_by_row(
    _: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    rows: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each row; called by transformers.

    Args:
        _: the attention layer.
        query: `[P, heads, L, D]`.
        key: `[P, key heads, L, D]`.
        value: as `key`.
        attention_mask: None; the layout says it all.
        dropout: of the attention weights.
        scaling: of the products; None for `1 / sqrt(D)`.
        rows: what `layout` made of the positions; None: each of the `P` is one row.
        others: what other models ask of their attention; nothing else is known here.

    Returns:
        `[P, L, heads, D]`, and None for the attention weights.
    """
    asked = [name for name in ("softcap", "s_aux", "position_bias", "sliding_window") if others.get(name) is not None]
    if asked or attention_mask is not None:
        raise NotImplementedError(f"attention row by row knows no {', '.join(asked) or 'mask'}")
    attend = functools.partial(
        scaled_dot_product_attention,
        dropout_p=dropout,
        scale=scaling,
        is_causal=True,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    # In float32 whatever the model is in: torch's kernel for CPUs is several times slower in bfloat16
    states = [part.float() for part in (query, key, value)]
    with torch.autocast(query.device.type, enabled=False):
        if rows is None:
            return attend(*states).transpose(1, 2).to(query.dtype), None
        lines = [_lines(part.transpose(1, 2).flatten(0, 1), rows) for part in states]
        slots = torch.cat([attend(*block).transpose(1, 2).flatten(0, 1) for block in zip(*lines, strict=True)])
    tokens: Tensor = _FromLines.apply(slots, rows)  # type: ignore[no-untyped-call]
    return tokens.to(query.dtype).reshape(query.shape[0], query.shape[2], *tokens.shape[1:]), None


def _lines(tokens: Tensor, rows: Layout) -> list[Tensor]:
    """`[P * L, heads, D]` to `[R, heads, W, D]` for each block."""
    slots = _ToLines.apply(tokens, rows)  # type: ignore[no-untyped-call]
    parts = torch.split(slots, [count * width for count, width in rows.blocks])
    return [
        part.reshape(*block, *part.shape[1:]).transpose(1, 2) for part, block in zip(parts, rows.blocks, strict=True)
    ]


class _ToLines(torch.autograd.Function):
    """Tokens to slots. Both ways are look-ups, where autograd would add up gradients one by one.

    Padding at a line's end is seen by no token before it, so what stands there doesn't matter, and gets no gradient.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, rows: Layout) -> Tensor:
        ctx.rows = rows
        return tokens.index_select(0, rows.token_of)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        return upstream[0].index_select(0, ctx.rows.slot_of), None


class _FromLines(torch.autograd.Function):
    """Slots to tokens; padding gets a gradient of zero."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, rows: Layout) -> Tensor:
        ctx.rows = rows
        return slots.index_select(0, rows.slot_of)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        grad = upstream[0].index_select(0, ctx.rows.token_of)
        return grad.masked_fill_(ctx.rows.padded[:, None, None], 0), None
