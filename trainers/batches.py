"""Which rows an optimiser step sees, and how they become tensors.

The order follows from (seed, epoch) alone, so that a resumed run needs no replay; every process derives the same plan,
and with it the targets of the whole step, so that no process need ask another for a denominator.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from trainers.config import SftConfig
from trainers.packing import best_fit
from trainers.tokens import Tokens

IGNORED = -100
"""The label of a position without a target, as transformers has it."""
FORWARD_TOKENS = {"cpu": 2048, "cuda": 8192}
"""Tokens of a forward pass when `micro_batch_size` isn't given: what a CPU's caches, and a GPU's memory, take well."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """What one optimiser step trains on, over all processes."""

    step: int
    epoch: int
    rows: Integers
    """Row numbers, pack by pack, `[k]`."""
    starts: Integers
    """Pack `p` is `rows[starts[p]:starts[p + 1]]`, `[packs + 1]`."""

    @property
    def packs(self) -> int:
        """How many there are."""
        return len(self.starts) - 1


@dataclass(frozen=True)
class Batch:
    """The tensors of a forward pass, all `[P, L]`."""

    input_ids: torch.Tensor
    labels: torch.Tensor
    """The token itself where it is a target, else -100; never a target: a row's first token."""
    position_ids: torch.Tensor
    """From 0 in each row; padding counts as a row of its own."""
    segments: torch.Tensor
    """Where in the window's `rows` the token's row stands; -1 for padding."""
    weights: torch.Tensor
    """What the token's NLL counts in the loss of the step, float32; 0 where there is no target."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


class Plan:
    """Steps of a whole run, from the lengths of the rows."""

    def __init__(self, tokens: Tokens, config: SftConfig, seed: int, device: str = "cpu") -> None:
        self.tokens, self.config, self.seed = tokens, config, seed
        self.row_ids: pa.Array = pa.concat_arrays(tokens.row_ids.chunks)
        self.lengths = np.diff(tokens.offsets)
        self.targets = _targets(tokens)
        self.micro_batch_size = config.micro_batch_size or max(1, FORWARD_TOKENS.get(device, 2048) // config.max_length)
        self._epoch: tuple[int, Integers, Integers] = (-1, np.empty(0, np.int64), np.zeros(1, np.int64))
        self.packs = len(self._packs(0)[1]) - 1
        self.steps_per_epoch = math.ceil(self.packs / config.batch_size)
        wanted = math.ceil(config.epochs * self.steps_per_epoch)
        self.steps = wanted if config.max_steps is None else min(wanted, config.max_steps)

    @property
    def hash(self) -> str:
        """Of the first epoch's packs: differs when rows, lengths, seed or packing differ."""
        order, starts = self._packs(0)
        return hashlib.sha256(self.lengths.tobytes() + order.tobytes() + starts.tobytes()).hexdigest()

    def window(self, step: int) -> Window:
        """The packs of a step, longest first; the last step of an epoch may have fewer than `batch_size`."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order, starts = self._packs(epoch)
        first = place * self.config.batch_size
        packs = np.random.default_rng([self.seed, epoch, 1]).permutation(self.packs)[
            first : first + self.config.batch_size
        ]
        members = [order[starts[pack] : starts[pack + 1]] for pack in packs]
        members.sort(key=lambda rows: -int(self.lengths[rows].sum()))
        sizes = [len(rows) for rows in members]
        return Window(step, epoch, np.concatenate(members), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    def weights(self, window: Window) -> npt.NDArray[np.float64]:
        """What each target token of each of the window's rows counts in the loss, `[k]`."""
        targets = self.targets[window.rows]
        if self.config.loss == "sum":
            return np.ones(len(targets))
        if self.config.loss == "token_mean":
            return np.full(len(targets), 1 / max(int(targets.sum()), 1))
        return np.asarray(1 / (np.maximum(targets, 1) * max(np.count_nonzero(targets), 1)), dtype=np.float64)

    def batches(self, window: Window, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """The forward passes of one process: as many in each, if need be on padding alone."""
        size = self.micro_batch_size
        weights = self.weights(window)
        mine = range(rank, window.packs, world)
        for micro in range(math.ceil(math.ceil(window.packs / world) / size)):
            yield self._batch(window, weights, list(mine[micro * size : (micro + 1) * size]))

    def _packs(self, epoch: int) -> tuple[Integers, Integers]:
        """Rows of an epoch in pack order and where packs start; a shuffle before packing mixes rows of one length."""
        if self._epoch[0] != epoch:
            shuffled = np.random.default_rng([self.seed, epoch, 0]).permutation(len(self.lengths))
            if self.config.packing:
                order, starts = best_fit(self.lengths[shuffled], self.config.max_length)
                self._epoch = (epoch, shuffled[order], starts)
            else:
                self._epoch = (epoch, shuffled, np.arange(len(shuffled) + 1, dtype=np.int64))
        return self._epoch[1:]

    def _batch(self, window: Window, weights: npt.NDArray[np.float64], packs: list[int]) -> Batch:
        """Lay rows out one after the other, and pad to the longest of the packs."""
        spans = [np.arange(window.starts[pack], window.starts[pack + 1]) for pack in packs]
        segments = np.concatenate(spans) if spans else np.empty(0, np.int64)
        rows, held = window.rows[segments], [len(span) for span in spans]
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        within = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
        pack_ends = ends[np.cumsum(held) - 1] if held else ends
        pack_lengths = np.diff(pack_ends, prepend=0)
        width = int(pack_lengths.max(initial=2))
        shift = np.repeat(np.arange(len(packs)) * width - (pack_ends - pack_lengths), pack_lengths)
        slots = np.arange(lengths.sum()) + shift
        source = np.repeat(self.tokens.offsets[rows], lengths) + within
        target = self.tokens.mask[source] & (within > 0)
        ids = self.tokens.ids[source]
        shape = (max(len(packs), 1), width)
        return Batch(
            input_ids=_laid_out(shape, slots, ids, np.zeros(shape, np.int64)),
            labels=_laid_out(shape, slots, np.where(target, ids, IGNORED), np.full(shape, IGNORED, np.int64)),
            position_ids=_laid_out(shape, slots, within, _padding(shape, pack_lengths)),
            segments=_laid_out(shape, slots, np.repeat(segments, lengths), np.full(shape, -1, np.int64)),
            weights=_laid_out(
                shape, slots, np.where(target, np.repeat(weights[segments], lengths), 0), np.zeros(shape, np.float32)
            ),
        )


def _targets(tokens: Tokens) -> Integers:
    """Target tokens of each row, `[n]`, without its first token, which nothing predicts."""
    counted = np.concatenate([[0], np.cumsum(tokens.mask, dtype=np.int64)])
    first = tokens.mask[np.minimum(tokens.offsets[:-1], max(len(tokens.mask) - 1, 0))] if len(tokens.mask) else 0
    return np.asarray(counted[tokens.offsets[1:]] - counted[tokens.offsets[:-1]] - first, dtype=np.int64)


def _padding(shape: tuple[int, int], lengths: Integers) -> npt.NDArray[np.int64]:
    """Positions as if all were padding after packs of these lengths: they count from 0 where a pack ends."""
    lengths = lengths if len(lengths) else np.zeros(1, np.int64)
    return np.arange(shape[1]) - lengths[:, None]


def _laid_out(
    shape: tuple[int, int], slots: Integers, values: npt.NDArray[np.generic], canvas: npt.NDArray[np.generic]
) -> torch.Tensor:
    """`values` at `slots` of the flattened `canvas`."""
    canvas.reshape(-1)[slots] = values
    return torch.from_numpy(canvas).reshape(shape)
