"""Which rows an optimiser step sees, and in which forward passes.

The order follows from (seed, epoch) alone, so that a resumed run needs no replay; every process derives the same plan,
and with it the targets of the whole step, so that no process need ask another for a denominator.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainers.config import RunConfig
from trainers.data.batches import Batch, Integers, lay_out
from trainers.data.packing import best_fit
from trainers.data.rows import Tokens, runs

FORWARD_TOKENS = {"cpu": 2048, "cuda": 8192}
"""Tokens of a forward pass when `micro_batch_size` isn't given: what a CPU's caches, and a GPU's memory, take well."""


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


class Plan:
    """Steps of a whole run, from the lengths of the rows.

    Rows that follow each other in the data may be one item (the answers to one prompt, say): it is shuffled, packed and
    batched as a whole. A pack holds as many tokens as the largest item may have.
    """

    def __init__(
        self, tokens: Tokens, config: RunConfig, seed: int, device: str = "cpu", together: int | Integers = 1
    ) -> None:
        """`together`: how many rows are an item, one number for all or one of each, `[items]`."""
        self.tokens, self.config, self.seed = tokens, config, seed
        self.row_ids: pa.Array = pa.concat_arrays(tokens.row_ids.chunks)
        self.lengths = np.diff(tokens.offsets)
        self.targets = targets_of(tokens)
        self.sizes = _sizes(together, len(self.lengths))
        """Rows of each item, `[items]`."""
        self.firsts = np.cumsum(self.sizes) - self.sizes
        """The first row of each item, `[items]`."""
        self.capacity = int(self.sizes.max(initial=1)) * config.max_length
        self.micro_batch_size = config.micro_batch_size or max(1, FORWARD_TOKENS.get(device, 2048) // self.capacity)
        self._epoch: tuple[int, Integers, Integers] = (-1, np.empty(0, np.int64), np.zeros(1, np.int64))
        self.packs = len(self._packs(0)[1]) - 1
        self.steps_per_epoch = math.ceil(self.packs / config.batch_size)
        wanted = math.ceil(config.epochs * self.steps_per_epoch)
        self.steps = wanted if config.max_steps is None else min(wanted, config.max_steps)

    def over(self, tokens: Tokens) -> Plan:
        """The same rows in the same packs, of other tokens."""
        plan = copy.copy(self)
        plan.tokens, plan.lengths, plan.targets = tokens, np.diff(tokens.offsets), targets_of(tokens)
        return plan

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
        shuffled = np.random.default_rng([self.seed, epoch, 1]).permutation(self.packs)
        packs = shuffled[first : first + self.config.batch_size]
        members = [order[starts[pack] : starts[pack + 1]] for pack in packs]
        members.sort(key=lambda rows: -int(self.lengths[rows].sum()))
        sizes = [len(rows) for rows in members]
        return Window(step, epoch, np.concatenate(members), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    def batches(
        self, window: Window, weights: npt.NDArray[np.float64], rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The forward passes of one process: as many in each, if need be on padding alone.

        `weights`: see `Batch`; of each of the window's rows, `[k]`.
        """
        for spans in self.passes(window, rank, world):
            segments = np.concatenate(spans) if spans else np.empty(0, np.int64)
            held = [len(span) for span in spans]
            yield lay_out(self.tokens, window.rows[segments], held, segments, weights[segments])

    def passes(self, window: Window, rank: int = 0, world: int = 1) -> Iterator[list[Integers]]:
        """Of each forward pass of one process, the places in the window of the rows of each of its packs."""
        size, mine = self.micro_batch_size, range(rank, window.packs, world)
        for micro in range(math.ceil(math.ceil(window.packs / world) / size)):
            packs = mine[micro * size : (micro + 1) * size]
            yield [np.arange(window.starts[pack], window.starts[pack + 1]) for pack in packs]

    def _packs(self, epoch: int) -> tuple[Integers, Integers]:
        """Rows of an epoch in pack order and where packs start; a shuffle before packing mixes rows of one length."""
        if self._epoch[0] != epoch:
            lengths = np.add.reduceat(self.lengths, self.firsts)
            items = np.random.default_rng([self.seed, epoch, 0]).permutation(len(lengths))
            starts = np.arange(len(items) + 1, dtype=np.int64)
            if self.config.packing:
                order, starts = best_fit(lengths[items], self.capacity)
                items = items[order]
            sizes = self.sizes[items]
            ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            self._epoch = (epoch, runs(self.firsts[items], sizes), ends[starts])
        return self._epoch[1:]


def _sizes(together: int | Integers, rows: int) -> Integers:
    return np.full(rows // together, together, np.int64) if isinstance(together, int) else together


def targets_of(tokens: Tokens) -> Integers:
    """Target tokens of each row, `[n]`, without a first token that nothing stands before, and so nothing predicts."""
    counted = np.concatenate([[0], np.cumsum(tokens.mask, dtype=np.int64)])
    starts, ends = tokens.offsets[:-1], tokens.offsets[1:]
    first = np.append(tokens.mask, False)[starts] & (tokens.begins == 0) & (ends > starts)
    return np.asarray(counted[ends] - counted[starts] - first, dtype=np.int64)
