"""Attention where two answers stand behind one prompt: `[prompt | chosen | rejected]`, and neither sees the other.

All follows from positions: they restart at 0 where another item begins, and fall back to the prompt's length where the
second answer does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainers.errors import HandoffError


def branching(device: torch.device, config: Any) -> str:
    """The attention, by transformers' name, that takes any mask: FlexAttention on GPUs, elsewhere scaled dot products.

    Raises:
        HandoffError: the model has sliding windows, whose mask would be replaced.
    """
    if getattr(config, "sliding_window", None):
        raise HandoffError(
            "params.share_prompt is true, and this model's attention has sliding windows: set share_prompt: false"
        )
    return "flex_attention" if device.type == "cuda" else "sdpa"


def mask(position_ids: Tensor, attention: str) -> Any:
    """What each token of `[P, L]` sees: `[P, 1, L, L]`, bool, or for FlexAttention a block mask of the same."""
    item, second, prompt = _parts(position_ids)

    def seen(pack: Any, _: Any, query: Any, key: Any) -> Any:
        within = (item[pack, query] == item[pack, key]) & (key <= query)
        return within & (prompt[pack, key] | (second[pack, query] == second[pack, key]))

    packs, length = position_ids.shape
    if attention == "flex_attention":
        from torch.nn.attention.flex_attention import create_block_mask

        return create_block_mask(seen, packs, None, length, length, device=position_ids.device)
    pack, place = (torch.arange(size, device=position_ids.device) for size in (packs, length))
    return seen(pack[:, None, None], None, place[:, None], place)[:, None]


def _parts(position_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each token of `[P, L]`: its item's number, whether it is of the second answer, whether it is of the prompt."""
    longest = position_ids.shape[1]
    starts = position_ids == 0
    falls = torch.diff(position_ids, dim=1, prepend=position_ids[:, :1] - 1) != 1
    falls &= ~starts
    fallen, item = falls.cumsum(1), starts.cumsum(1)
    second = fallen > torch.where(starts, fallen, 0).cummax(1).values
    forks = torch.full((len(item), int(item.max()) + 1), longest, device=item.device)
    forks.scatter_reduce_(1, item, torch.where(falls, position_ids, longest), "amin")
    return item, second, ~second & (position_ids < forks.gather(1, item))
