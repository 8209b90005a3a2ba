"""Rows as the tensors of one forward pass: packs one below the other, and which hidden state predicts which target.

Which rows come together is the plan's business (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from trainers.data.rows import Tokens

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """`P` packs, padded to `L` tokens, that hold `R` rows with `N` targets among them."""

    input_ids: torch.Tensor
    """`[P, L]`, int64."""
    position_ids: torch.Tensor
    """`[P, L]`, int64: from 0 in each row, or from its prompt's end; padding counts as a row of its own."""
    sources: torch.Tensor
    """`[N]`, int64: where in `[P * L]` the hidden state stands that predicts the target: at the token before it, which
    for a row that goes on from another's prompt is the prompt's last."""
    targets: torch.Tensor
    """`[N]`, int64: the token ids to predict; never a row's first."""
    places: torch.Tensor
    """`[N]`, int64: where the target stands among all tokens of the data, for what is known token by token."""
    owners: torch.Tensor
    """`[N]`, int64: which of the `R` rows the target belongs to."""
    rows: torch.Tensor
    """`[R]`, int64: the rows' numbers in the data."""
    segments: torch.Tensor
    """`[R]`, int64: the rows' places in the window."""
    weights: torch.Tensor
    """`[R]`, float32: what the NLL of each target of the row counts in a loss that is a weighted sum of NLLs."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})

    def by_row(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of `values`, `[N]`, over the targets of each row, `[R]`, in float32 at least."""
        values = values if values.dtype == torch.float64 else values.float()
        return values.new_zeros(len(self.rows)).index_add(0, self.owners, values)


def lay_out(
    tokens: Tokens, rows: Integers, held: list[int], segments: Integers, weights: npt.NDArray[np.float64]
) -> Batch:
    """Lay rows out one after the other, pack by pack, and pad to the longest of the packs.

    Args:
        tokens: of all rows.
        rows: numbers of the rows, `[R]`, pack by pack.
        held: how many of them each pack holds, `[P]`; without any it is one pack of padding.
        segments: `[R]`, see `Batch`.
        weights: `[R]`, see `Batch`.
    """
    lengths = np.diff(tokens.offsets)[rows]
    ends = np.cumsum(lengths)
    within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    pack_ends = ends[np.cumsum(held) - 1] if held else ends
    pack_lengths = np.diff(pack_ends, prepend=0)
    width = int(pack_lengths.max(initial=2))
    shift = np.repeat(np.arange(len(held)) * width - (pack_ends - pack_lengths), pack_lengths)
    slots = np.arange(lengths.sum()) + shift
    places = np.repeat(tokens.offsets[rows], lengths) + within
    begins = tokens.begins[rows]
    positions = within + np.repeat(begins, lengths)
    target = tokens.mask[places] & (positions > 0)
    sources = slots - 1
    branches = np.flatnonzero(begins)
    starts = ends - lengths
    sources[starts[branches]] = slots[starts[branches - 1]] + begins[branches] - 1
    shape = (max(len(held), 1), width)
    ids = tokens.ids[places].astype(np.int64)
    return Batch(
        input_ids=_laid_out(slots, ids, np.zeros(shape, np.int64)),
        position_ids=_laid_out(slots, positions, _padding(shape, pack_lengths)),
        sources=torch.from_numpy(sources[target]),
        targets=torch.from_numpy(ids[target]),
        places=torch.from_numpy(places[target]),
        owners=torch.from_numpy(np.repeat(np.arange(len(rows)), lengths)[target]),
        rows=torch.from_numpy(np.asarray(rows, np.int64)),
        segments=torch.from_numpy(np.asarray(segments, np.int64)),
        weights=torch.from_numpy(weights.astype(np.float32)),
    )


def _padding(shape: tuple[int, int], lengths: Integers) -> Integers:
    """Positions as if all were padding after packs of these lengths: they count from 0 where a pack ends."""
    lengths = lengths if len(lengths) else np.zeros(1, np.int64)
    return np.arange(shape[1]) - lengths[:, None]


def _laid_out(slots: Integers, values: Integers, canvas: Integers) -> torch.Tensor:
    """`values` at `slots` of the flattened `canvas`, `[P, L]`."""
    canvas.reshape(-1)[slots] = values
    return torch.from_numpy(canvas)
